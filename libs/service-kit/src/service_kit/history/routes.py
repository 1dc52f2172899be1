"""`GET /v1/events/{event_id}`: one event by its id; the same in every API that keeps a history."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter

from service_kit.access import Access
from service_kit.fields import Identifier
from service_kit.history.own_events import DIRECTORY
from service_kit.history.queries import FoundEvent, event_with
from service_kit.history.schemas import HistoryEventRead
from service_kit.problems import Forbidden, NotFound
from service_kit.resources import Resource
from service_kit.routing import CallersAccess, Work, router
from service_kit.unit_of_work import UnitOfWork

EVENTS_TAG: Final = {"events": "What was published, by the ids that the KPIs and other systems know."}


Sees = Callable[[UnitOfWork, Access, FoundEvent], Awaitable[bool]]
"""Returns whether a caller, of whatever operation, may read an event; may raise `Forbidden` instead of False."""


def event_routes(resources: Sequence[Resource[Any]], others: Mapping[str, Sees] | None = None) -> APIRouter:
    """Return the route of the events of these nouns, and of subjects that are no noun's records, by their kinds."""
    declared = [(each.own_events, each) for each in resources if each.own_events is not None]
    of_subject = {own.subjects: each for own, each in declared if own.subjects != DIRECTORY}
    of_name: dict[str, Resource[Any]] = {own.named: each for own, each in declared if own.named is not None}
    routes = router("/events", "events")

    async def is_shown(work: UnitOfWork, access: Access, found: FoundEvent) -> bool:
        resource = of_subject.get(found.subjects) if found.named is None else of_name.get(found.named)
        shows = () if found.named is None else ("name",)
        return resource is not None and await resource.is_shown(work, found.record_id, access, shows)

    @routes.get("/{event_id}", summary="Read one event")
    async def get_event(event_id: Identifier, work: Work, access: CallersAccess) -> HistoryEventRead:
        """Read an event as it was published, if the caller may read its record. A name that was erased is not found."""
        found = await event_with(work, event_id)
        if found is not None:
            sees = (others or {}).get(found.subjects, is_shown)
            with contextlib.suppress(Forbidden):
                if await sees(work, access, found):
                    return found.view
        raise NotFound(f"There is no event {event_id}, or none that your roles let you read.")

    return routes
