"""`GET /v1/me`: who the caller is, whose records are theirs, and what they may do."""

from typing import Annotated, Any, Final
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, create_model

from service_kit.access import AccessTable
from service_kit.fields import ReadModel, described
from service_kit.routing import By, CallersAccess, Work, router

ME_TAG: Final = {"me": "Who the caller is, whose records are theirs, and what they may do."}
_PERSON_ID = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"
_TEAM_ID = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14"


class CallerRead(ReadModel):
    """The holder of the token."""

    subject: Annotated[str, described("The subject of the token.", "auth0|5f7c8ec7c33c6c004bbafe82")]
    roles: Annotated[list[str], described("The roles that it gives, of the seven that there are.", ["sales-rep"])]
    person_id: Annotated[UUID, described("Their own record, as salesperson or agent; null without.", _PERSON_ID)] | None
    team_ids: Annotated[list[UUID], described("Their teams.", [_TEAM_ID])]
    team_ids_below: Annotated[list[UUID], described("Their teams with all teams below them.", [_TEAM_ID])]
    regions: Annotated[list[str], described("The regions whose customers they see where regions count.", ["south"])]
    operations: Annotated[
        dict[str, list[str]],
        described(
            "What they may do, by the operation's id, and with whose records: own, team, below, region, unassigned,"
            " all, or seen, those of a record that they see. What is not named is forbidden.",
            {"close_deal": ["own", "unassigned"]},
        ),
    ]


def me_routes(person: sa.Table | None = None, read: type[ReadModel] | None = None) -> APIRouter:
    """Return the route. A person's record is shown as the table of people and its schema have it."""
    routes = router("/me", "me")
    shown: type[BaseModel] = CallerRead
    if read is not None:
        own: Any = (read | None, Field(default=None, description="That record; null without."))
        shown = create_model("MeRead", __base__=CallerRead, __doc__=CallerRead.__doc__, person=own)

    @routes.get("", response_model=shown, summary="Read who you are")
    async def get_me(request: Request, work: Work, access: CallersAccess, by: By) -> BaseModel:
        """Who holds the token, whose records are theirs, and what they may do: to show what can be used and no more."""
        table: AccessTable = request.app.state.access
        reach = await access.reach(work)
        members: dict[str, Any] = {
            "subject": by.subject,
            "roles": sorted(by.roles),
            "person_id": reach.person,
            "team_ids": sorted(reach.teams),
            "team_ids_below": sorted(reach.below),
            "regions": sorted(reach.regions),
            "operations": table.allowed(by.roles),
        }
        if person is not None and read is not None and reach.person is not None:
            row = (await work.execute(sa.select(person).where(person.c.id == reach.person))).one_or_none()
            members["person"] = None if row is None else read.model_validate(row)
        return shown(**members)

    return routes
