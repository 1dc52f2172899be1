"""`GET /v1/events/{event_id}`: one event by its id; the same in every API that keeps a history."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter

from service_kit.fields import Identifier
from service_kit.history.own_events import DIRECTORY
from service_kit.history.queries import event_with
from service_kit.history.schemas import HistoryEventRead
from service_kit.problems import NotFound
from service_kit.resources import Resource
from service_kit.routing import CallersAccess, Work, router

EVENTS_TAG: Final = {"events": "What was published, by the ids that the KPIs and other systems know."}


def event_routes(resources: Sequence[Resource[Any]]) -> APIRouter:
    """Return the route of the events of these nouns."""
    declared = [(each.own_events, each) for each in resources if each.own_events is not None]
    of_subject = {own.subjects: each for own, each in declared if own.subjects != DIRECTORY}
    of_name: dict[str, Resource[Any]] = {own.named: each for own, each in declared if own.named is not None}
    routes = router("/events", "events")

    @routes.get("/{event_id}", summary="Read one event")
    async def get_event(event_id: Identifier, work: Work, access: CallersAccess) -> HistoryEventRead:
        """Read an event as it was published, if the caller may read its record. A name that was erased is not found."""
        found = await event_with(work, event_id)
        if found is not None:
            resource = of_subject.get(found.subjects) if found.named is None else of_name.get(found.named)
            shows = () if found.named is None else ("name",)
            if resource is not None and await resource.is_shown(work, found.record_id, access, shows):
                return found.view
        raise NotFound(f"There is no event {event_id}, or none that your roles let you read.")

    return routes
