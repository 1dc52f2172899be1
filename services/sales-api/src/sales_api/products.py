"""The catalogue: products by their code."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import Response
from pydantic import Field, StrictBool

from event_contracts.catalogue import SALES_DIRECTORY_TOPIC
from event_contracts.directory import SalesProductEntrySet
from sales_api.fields import ProductCode, ProductCodeRead, ProductName, ProductNameRead
from sales_api.tables import Base
from service_kit.aggregates import publish
from service_kit.changes import Change
from service_kit.compiled import CompiledStatement
from service_kit.entities import Recorded, column
from service_kit.fields import Code, Flag, ReadModel, RecordId, StrictModel, UpdatedAt, Version, examples
from service_kit.history.own_events import DIRECTORY, OwnEvents
from service_kit.identifiers import new_id
from service_kit.locking import lock
from service_kit.problems import Conflict
from service_kit.references import UnknownReference
from service_kit.resources import Resource
from service_kit.routing import Work
from service_kit.tables import filtered, searched, sorted_by_name
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import Expected


class ProductCodeTaken(Conflict):
    """A product with this code exists."""

    slug, title = "product-code-taken", "A product with this code exists"


class Product(Recorded, Base, table="product"):
    """What is sold. Deals and events name it by its code, which never changes."""

    __table_args__: ClassVar = (
        *filtered("product", ("active", "updated_at")),
        *sorted_by_name("product", "name"),
        searched("product", "name", "code"),
    )

    code: Annotated[str, column(primary_key=True)]
    id: Annotated[UUID, column(unique=True, comment="rises with time: the order of the list")]
    version: int
    name: str
    active: bool

    @property
    def partition_key(self) -> UUID:
        """The product's own id."""
        return self.id

    def directory_entry(self) -> SalesProductEntrySet:
        """Return the name behind the code, for the directory topic."""
        return SalesProductEntrySet(id=self.id, kind="product", code=self.code, name=self.name)


class ProductCreate(StrictModel):
    """A new product."""

    model_config = examples({"code": "heat-pump-9", "name": "Heat pump, 9 kW", "active": True})

    code: ProductCode
    name: ProductName
    active: StrictBool = Field(default=True, description="False for a product that is no longer offered.")


class ProductUpdate(Change):
    """What to change; what is left out stays."""

    model_config = examples({"name": "Heat pump, 9 kW, quiet", "active": False})

    name: ProductName = Field(default_factory=str)
    active: StrictBool = Field(default_factory=bool)
    """False for a product that is no longer offered."""


class ProductRead(ReadModel):
    """A product."""

    id: RecordId
    code: ProductCodeRead
    version: Version
    updated_at: UpdatedAt
    name: ProductNameRead
    active: bool
    """False for a product that is no longer offered."""


products = Resource(
    "/products/{code}",
    Product.table,
    ProductRead,
    filters={
        "active": Flag,
    },
    key="code",
    own_events=OwnEvents(SALES_DIRECTORY_TOPIC, DIRECTORY, named="product"),
    sorts=(
        "code",
        "name",
    ),
)
products.read_routes(list_as="list_products", get_as="get_product", key=Code)


@products.routes.post("", status_code=201, summary="Add a product")
async def create_product(body: ProductCreate, work: Work, response: Response) -> ProductRead:
    """Add a product to the catalogue."""
    if await work.get(Product, body.code) is not None:
        raise ProductCodeTaken("Change it with PATCH, or choose another code.", code=body.code)
    product = Product(id=new_id(), version=1, **dict(body))
    work.add(product)
    publish(work, product, product.directory_entry(), datetime.now(UTC))
    return products.show_created(response, product)


@products.routes.patch("/{code}", summary="Change a product")
async def change_product(
    code: Code, body: ProductUpdate, work: Work, response: Response, expected: Expected
) -> ProductRead:
    """Change a product's name, or whether it is offered."""
    product = await lock(work, Product, code, expected)
    if "name" in body.apply_to(product):
        publish(work, product, product.directory_entry(), datetime.now(UTC))
    return products.show(response, product)


_columns = Product.table.c
_CODES = sa.bindparam("codes", type_=sa.ARRAY(sa.Text))
_KNOWN = CompiledStatement(sa.select(_columns.code).where(_columns.code == sa.any_(_CODES)))


async def check_products(work: UnitOfWork, codes: dict[str, str]) -> None:
    """Raise `UnknownReference` (422) at the first place in the body whose product does not exist.

    `codes` gives each product's code the pointer to its place.
    """
    known = {row["code"] for row in await _KNOWN.all(work, codes=list(codes))}
    for code, pointer in codes.items():
        if code not in known:
            raise UnknownReference.at(pointer, "names no product")
