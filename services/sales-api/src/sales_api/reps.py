"""Salespeople: a name, the team, and whether they still sell."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import Response
from pydantic import Field, StrictBool

from event_contracts.catalogue import SALES_DIRECTORY_TOPIC
from event_contracts.directory import SalesDirectoryEntrySet
from sales_api.fields import Region, RegionRead, RepName, RepNameRead, RepTeamId, RepTeamIdRead
from sales_api.tables import Base
from sales_api.teams import Team, TeamRead
from service_kit.aggregates import publish
from service_kit.changes import Change
from service_kit.compiled import CompiledStatement
from service_kit.entities import Recorded, column
from service_kit.fields import (
    Code,
    ExternalReference,
    ExternalReferenceRead,
    Flag,
    Identifier,
    ReadModel,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    examples,
)
from service_kit.history.own_events import DIRECTORY, OwnEvents
from service_kit.identifiers import new_id
from service_kit.lists.includes import included
from service_kit.locking import lock
from service_kit.people import Subject, SubjectRead, require_new_subject
from service_kit.references import UnknownReference, require, require_new
from service_kit.resources import Resource
from service_kit.routing import Work
from service_kit.tables import filtered, searched, sorted_by_name
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import Expected


class Rep(Recorded, Base, table="rep"):
    """A salesperson. Deals and leads take over the team with the owner, and keep it."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    name: str
    team_id: Annotated[UUID | None, column(references="team.id")] = None
    region: str | None = None
    active: bool
    subject: Annotated[str | None, column(unique=True, comment="of their tokens")] = None
    external_ref: Annotated[str | None, column(unique=True)] = None

    __table_args__: ClassVar = (
        *filtered("rep", ("team_id", "active", "region", "updated_at")),
        *sorted_by_name("rep", "name"),
        searched("rep", "name", "external_ref"),
    )

    @property
    def partition_key(self) -> UUID:
        """The salesperson's own id."""
        return self.id

    def directory_entry(self) -> SalesDirectoryEntrySet:
        """Return the name behind the id, for the directory topic."""
        return SalesDirectoryEntrySet(id=self.id, kind="rep", name=self.name)


Active = Annotated[
    StrictBool,
    Field(description="False for a salesperson who no longer sells; they keep what they own."),
]

_EXAMPLE: dict[str, Any] = {
    "name": "Ana Souza",
    "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
    "region": "south",
    "active": True,
    "subject": "auth0|5f7c8ec7c33c6c004bbafe82",
}


class RepCreate(StrictModel):
    """A new salesperson."""

    model_config = examples(_EXAMPLE | {"external_ref": "crm-rep-12"})

    name: RepName
    team_id: RepTeamId | None = None
    region: Region | None = Field(default=None, description="The region whose customers they see where regions count.")
    active: Active = True
    subject: Subject | None = None
    external_ref: ExternalReference | None = None


class RepUpdate(Change):
    """What to change; what is left out stays."""

    model_config = examples(_EXAMPLE)

    name: RepName = Field(default_factory=str)
    team_id: RepTeamId | None = None
    region: Region | None = None
    """The region whose customers they see where regions count."""
    active: Active = Field(default_factory=bool)
    subject: Subject | None = None


class RepRead(ReadModel):
    """A salesperson."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    name: RepNameRead
    team_id: RepTeamIdRead | None
    region: RegionRead | None
    """The region whose customers they see where regions count."""
    active: bool
    """False for a salesperson who no longer sells; they keep what they own."""
    subject: SubjectRead | None
    external_ref: ExternalReferenceRead | None


reps = Resource(
    "/reps/{rep_id}",
    Rep.table,
    RepRead,
    filters={
        "team_id": Identifier,
        "active": Flag,
        "external_ref": ExternalReference,
        "region": Code,
    },
    sorts=("name",),
    includes={
        "team": included("team_id", Team.table, TeamRead),
    },
    own_events=OwnEvents(SALES_DIRECTORY_TOPIC, DIRECTORY, named="rep"),
)
reps.read_routes(list_as="list_reps", get_as="get_rep")


@reps.routes.post("", status_code=201, summary="Create a salesperson")
async def create_rep(body: RepCreate, work: Work, response: Response) -> RepRead:
    """Create a salesperson."""
    await require_new(work, Rep, body.external_ref)
    await require_new_subject(work, Rep, body.subject)
    if body.team_id is not None:
        await require(work, Team, body.team_id, "#/team_id")
    rep = Rep(id=new_id(), version=1, **dict(body))
    work.add(rep)
    publish(work, rep, rep.directory_entry(), datetime.now(UTC))
    return reps.show_created(response, rep)


@reps.routes.patch("/{rep_id}", summary="Change a salesperson")
async def change_rep(
    rep_id: Identifier, body: RepUpdate, work: Work, response: Response, expected: Expected
) -> RepRead:
    """Change a salesperson. What they own already keeps the team that it was sold under."""
    rep = await lock(work, Rep, rep_id, expected)
    if body.team_id is not None:
        await require(work, Team, body.team_id, "#/team_id")
    if body.subject != rep.subject:
        await require_new_subject(work, Rep, body.subject)
    if "name" in body.apply_to(rep):
        publish(work, rep, rep.directory_entry(), datetime.now(UTC))
    return reps.show(response, rep)


_columns = Rep.table.c
_TEAM_OF = CompiledStatement(sa.select(_columns.team_id).where(_columns.id == sa.bindparam("owner_id")))


async def team_of(work: UnitOfWork, owner_id: UUID | None, pointer: str = "#/owner_id") -> UUID | None:
    """Return the team that the owner belongs to now. Raise `UnknownReference` (422) for an unknown salesperson."""
    if owner_id is None:
        return None
    found = await _TEAM_OF.one_or_none(work, owner_id=owner_id)
    if found is None:
        raise UnknownReference.at(pointer, "names no rep")
    team_id: UUID | None = found["team_id"]
    return team_id
