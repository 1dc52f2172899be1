"""Salespeople: a name, the team, and whether they still sell."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import ConfigDict, Field, StrictBool

from event_contracts.directory import SalesDirectoryEntrySet
from sales_api.access import Expected, Manager, Reader
from sales_api.tables import Base
from sales_api.teams import check_team
from service_kit import outbox
from service_kit.changes import Change
from service_kit.compiled import CompiledStatement
from service_kit.entities import column
from service_kit.fields import ExternalReference, Identifier, Name, StrictModel, View
from service_kit.filters import equal
from service_kit.identifiers import new_id
from service_kit.paging import Paged, PageView
from service_kit.problems import NotFound
from service_kit.references import UnknownReference, require_free
from service_kit.routing import Work, router
from service_kit.tables import filtered
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import set_etag, unchanged


class Rep(Base, table="rep"):
    """A salesperson. Deals and leads take the team over when they get the owner, and keep it."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    name: str
    team_id: Annotated[UUID | None, column(references="team.id")] = None
    active: bool
    external_ref: Annotated[str | None, column(unique=True)] = None

    __table_args__: ClassVar = filtered("rep", ("team_id",))


Active = Annotated[
    StrictBool,
    Field(description="False for who no longer sells; what they own, and what is imported, keeps them as owner."),
]

_EXAMPLE: dict[str, Any] = {"name": "Ana Souza", "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11", "active": True}


class RepIn(StrictModel):
    """A new salesperson."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE | {"external_ref": "crm-rep-12"}]})

    name: Name
    team_id: Identifier | None = None
    active: Active = True
    external_ref: ExternalReference | None = None


class RepChange(Change):
    """What is to be changed; what is not given stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: Name = Field(default_factory=str)
    team_id: Identifier | None = None
    active: Active = Field(default_factory=bool)


class RepView(View):
    """A salesperson."""

    id: UUID
    version: int
    name: str
    team_id: UUID | None
    active: bool
    external_ref: str | None


reps = router("/reps", "reps")
_columns = Rep.table.c
_TEAM_OF = CompiledStatement(sa.select(_columns.team_id).where(_columns.id == sa.bindparam("owner_id")))


@reps.post("", status_code=201)
async def create_rep(body: RepIn, work: Work, response: Response, _: Manager) -> RepView:
    """Creates a salesperson."""
    await require_free(work, body.external_ref, among=Rep.table.c.external_ref, ids=Rep.table.c.id)
    await check_team(work, body.team_id)
    rep = Rep(id=new_id(), version=1, **dict(body))
    work.add(rep)
    await _publish_name(work, rep)
    response.headers["Location"] = f"/v1/reps/{rep.id}"
    set_etag(response, rep.version)
    return RepView.model_validate(rep)


@reps.get("")
async def list_reps(
    work: Work,
    page: Paged,
    _: Reader,
    team_id: Identifier | None = None,
    active: bool | None = None,
    external_ref: ExternalReference | None = None,
) -> PageView[RepView]:
    """Salespeople, newest first."""
    filters = {"team_id": team_id, "active": active, "external_ref": external_ref}
    query = sa.select(*_columns).where(*equal(_columns, filters))
    return await page.of(work, query, _columns.id, RepView.model_validate)


@reps.get("/{rep_id}", response_model=RepView)
async def get_rep(
    rep_id: Identifier, work: Work, request: Request, response: Response, _: Reader
) -> RepView | Response:
    """One salesperson."""
    rep = await work.get(Rep, rep_id)
    if rep is None:
        raise NotFound(f"There is no rep {rep_id}.")
    set_etag(response, rep.version)
    return unchanged(request, rep.version) or RepView.model_validate(rep)


@reps.patch("/{rep_id}")
async def change_rep(
    rep_id: Identifier, body: RepChange, work: Work, response: Response, expected: Expected, _: Manager
) -> RepView:
    """Changes a salesperson. What they own already keeps the team that it was sold under."""
    rep = await work.edit(Rep, rep_id)
    if rep is None:
        raise NotFound(f"There is no rep {rep_id}.")
    expected.check(rep.version)
    changed = body.changed_from(rep)
    if "team_id" in changed:
        await check_team(work, changed["team_id"])
    if changed:
        for name, value in changed.items():
            setattr(rep, name, value)
        rep.version += 1
    if "name" in changed:
        await _publish_name(work, rep)
    set_etag(response, rep.version)
    return RepView.model_validate(rep)


async def team_of(work: UnitOfWork, owner_id: UUID | None, pointer: str = "#/owner_id") -> UUID | None:
    """The team that the owner belongs to now. Raises `UnknownReference` (422) when there is no such salesperson."""
    if owner_id is None:
        return None
    found = await _TEAM_OF.one_or_none(work, owner_id=owner_id)
    if found is None:
        raise UnknownReference.at(pointer, "no rep has this id")
    team_id: UUID | None = found["team_id"]
    return team_id


async def _publish_name(work: UnitOfWork, rep: Rep) -> None:
    entry = SalesDirectoryEntrySet(id=rep.id, kind="rep", name=rep.name)
    await outbox.write(work, entry, sequence=rep.version, time=datetime.now(UTC), partition_key=rep.id)
