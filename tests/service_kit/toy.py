"""A service with one noun, boxes, that uses everything in the kit: what its tests run against."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar
from uuid import UUID

import jwt
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import Depends, FastAPI, Response
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts.service import CustomerRegistered
from service_kit.access import ALL, EVERYBODY, AccessTable, Noun, rule
from service_kit.aggregates import publish
from service_kit.app import create_app
from service_kit.consumer.offsets import consumer_offset
from service_kit.database import create_engine, metadata
from service_kit.dependencies import async_dependency
from service_kit.entities import Entity, Recorded, column
from service_kit.fields import (
    Code,
    Count,
    Currency,
    Day,
    DecimalText,
    Identifier,
    Moment,
    Money,
    MoneyRead,
    Name,
    QueryNumber,
    ReadModel,
    StrictModel,
    Text,
)
from service_kit.identifiers import new_id
from service_kit.locking import lock
from service_kit.resources import Resource
from service_kit.routing import Work
from service_kit.settings import ServiceSettings
from service_kit.tables import filtered, searched, sorted_by_name
from service_kit.versions import ExpectedVersion

assert consumer_offset is not None


class Base(Entity):
    metadata = metadata


class Box(Recorded, Base, table="box"):
    __table_args__: ClassVar = (
        *filtered("box", ("size", "packed_at", "shelf", "updated_at")),
        *sorted_by_name("box", "name"),
        searched("box", "name", "shelf", phones=("phone",)),
        sa.Index("box_name_id_idx", "name", "id"),
    )

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    name: str
    size: int
    shelf: str | None = None
    phone: str | None = None
    packed_at: datetime | None = None

    @property
    def partition_key(self) -> UUID:
        return self.id


class BoxCreate(StrictModel):
    name: Name
    size: Count
    code: Code | None = None
    note: Text | None = None
    price: Money | None = None
    weight: DecimalText | None = None
    currency: Currency | None = None
    packed_at: Moment | None = None
    packed_on: Day | None = None
    shelf_id: Identifier | None = None
    phone: Name | None = None


class BoxRead(ReadModel):
    id: UUID
    version: int
    name: str
    size: int
    price: MoneyRead | None = None
    shelf: str | None
    phone: str | None
    packed_at: Moment | None
    updated_at: Moment


boxes = Resource(
    "/boxes/{box_id}",
    Box.table,
    BoxRead,
    filters={"name": Name, "size": QueryNumber, "shelf": Code, "packed_at": Moment},
    sorts=("name", "size", "packed_at"),
)


def _event(box: Box) -> CustomerRegistered:
    return CustomerRegistered(id=box.id, region=None, segment=None, registered_at=datetime.now(UTC))


@boxes.routes.post("", status_code=201)
async def create_box(body: BoxCreate, work: Work, response: Response) -> BoxRead:
    box = Box(
        id=new_id(),
        version=1,
        name=body.name,
        size=body.size,
        shelf=body.code,
        phone=body.phone,
        packed_at=body.packed_at,
    )
    work.add(box)
    publish(work, box, _event(box), datetime.now(UTC))
    return boxes.show_created(response, box)


@boxes.routes.post("/{box_id}/grow")
async def grow_box(
    box_id: Identifier,
    work: Work,
    response: Response,
    expected: Annotated[ExpectedVersion, Depends(async_dependency(ExpectedVersion))],
) -> BoxRead:
    box = await lock(work, Box, box_id, expected)
    box.size += 1
    box.version += 1
    publish(work, box, _event(box), datetime.now(UTC))
    return boxes.show(response, box)


@boxes.routes.get("/broken")
async def broken() -> None:
    raise RuntimeError("secret")


# After /broken, which would be taken for an id.
boxes.read_routes(list_as="list_boxes", get_as="get_box")


ACCESS = AccessTable(
    Noun(
        "boxes",
        read=rule("list_boxes get_box export_boxes", EVERYBODY),
        write=(rule("create_box", {"service-agent": ALL}),),
        table=Box.table,
        audit=rule("get_box_audit", {"service-manager": ALL}),
        personal=("name",),
        served_by=frozenset({"service-agent"}),
    ),
    # Of all callers, for the tests of the kit: their answers would show what is personal.
    Noun("operations", read=rule("grow_box broken", EVERYBODY)),
    Noun("audit", read=rule("list_audit", {})),
)


class Issuer:
    """Issues tokens that the toy accepts, and all sorts that it must not."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.kid = "toy"

    def jwks(self) -> dict[str, Any]:
        public = jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [public | {"kid": self.kid, "alg": "ES256", "use": "sig"}]}

    def published_in(self, folder: Path) -> str:
        path = folder / "jwks.json"
        path.write_text(json.dumps(self.jwks()))
        return path.as_uri()

    def token(self, *roles: str, **claims: Any) -> str:
        return self.token_of_type("JWT", *roles, **claims)

    def token_of_type(self, kind: str, *roles: str, **claims: Any) -> str:
        """Return a token with this header `typ`."""
        now = int(datetime.now(UTC).timestamp())
        payload = {
            "iss": "http://127.0.0.1/tandem-local",
            "aud": "tandem",
            "sub": "someone",
            "iat": now,
            "exp": now + 3600,
            "roles": list(roles),
        } | claims
        return jwt.encode(payload, self.key, algorithm="ES256", headers={"kid": self.kid, "typ": kind})


@asynccontextmanager
async def toy_app(
    url: str, jwks_address: str, *, pool_size: int = 10, **others: Any
) -> AsyncIterator[tuple[FastAPI, AsyncEngine]]:
    defaults: dict[str, Any] = {"allowed_hosts": ["toy"], "api_docs": True, "max_body_bytes": 65536}
    settings = ServiceSettings(
        database_url=url, database_pool_size=pool_size, auth_jwks=jwks_address, **(defaults | others)
    )
    engine = create_engine(settings, application="toy")
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(sa.text("create table if not exists alembic_version (version_num text)"))
    app = create_app(
        title="toy",
        summary="",
        tags={},
        description="",
        settings=settings,
        engine=engine,
        routers=[boxes.routes],
        access=ACCESS,
    )
    yield app, engine
    await engine.dispose()
