"""The catalogue: products by their code."""

from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import ConfigDict, Field, StrictBool

from sales_api.access import Expected, Manager, Reader
from sales_api.tables import Base
from service_kit.changes import Change
from service_kit.compiled import CompiledStatement
from service_kit.entities import column
from service_kit.fields import Code, Name, StrictModel, View
from service_kit.filters import equal
from service_kit.identifiers import new_id
from service_kit.paging import Paged, PageView
from service_kit.problems import Conflict, NotFound
from service_kit.references import UnknownReference
from service_kit.routing import Work, router
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import set_etag, unchanged


class ProductCodeTaken(Conflict):
    """There is a product with this code."""

    slug, title = "product-code-taken", "A product with this code exists"


class Product(Base, table="product"):
    """What is sold. Its code is what deals and events know it by, so it never changes."""

    code: Annotated[str, column(primary_key=True)]
    id: Annotated[UUID, column(unique=True, comment="rises with time: the order of the list")]
    version: int
    name: str
    active: bool


class ProductIn(StrictModel):
    """A new product."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"code": "heat-pump-9", "name": "Heat pump, 9 kW", "active": True}]}
    )

    code: Code
    name: Name
    active: StrictBool = Field(default=True, description="False for what is no longer offered.")


class ProductChange(Change):
    """What is to be changed; what is not given stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Heat pump, 9 kW, quiet", "active": False}]})

    name: Name = Field(default_factory=str)
    active: StrictBool = Field(default_factory=bool)


class ProductView(View):
    """A product."""

    id: UUID
    code: str
    version: int
    name: str
    active: bool


products = router("/products", "products")
_columns = Product.table.c
_CODES = sa.bindparam("codes", type_=sa.ARRAY(sa.Text))
_KNOWN = CompiledStatement(sa.select(_columns.code).where(_columns.code == sa.any_(_CODES)))


@products.post("", status_code=201)
async def create_product(body: ProductIn, work: Work, response: Response, _: Manager) -> ProductView:
    """Adds a product to the catalogue."""
    if await work.get(Product, body.code) is not None:
        raise ProductCodeTaken("Change it with PATCH, or choose another code.", code=body.code)
    product = Product(id=new_id(), version=1, **dict(body))
    work.add(product)
    response.headers["Location"] = f"/v1/products/{product.code}"
    set_etag(response, product.version)
    return ProductView.model_validate(product)


@products.get("")
async def list_products(work: Work, page: Paged, _: Reader, active: bool | None = None) -> PageView[ProductView]:
    """The catalogue, newest first."""
    query = sa.select(*_columns).where(*equal(_columns, {"active": active}))
    return await page.of(work, query, _columns.id, ProductView.model_validate)


@products.get("/{code}", response_model=ProductView)
async def get_product(
    code: Code, work: Work, request: Request, response: Response, _: Reader
) -> ProductView | Response:
    """One product."""
    product = await work.get(Product, code)
    if product is None:
        raise NotFound(f"There is no product {code}.")
    set_etag(response, product.version)
    return unchanged(request, product.version) or ProductView.model_validate(product)


@products.patch("/{code}")
async def change_product(
    code: Code, body: ProductChange, work: Work, response: Response, expected: Expected, _: Manager
) -> ProductView:
    """Changes a product's name, or whether it is offered."""
    product = await work.edit(Product, code)
    if product is None:
        raise NotFound(f"There is no product {code}.")
    expected.check(product.version)
    if changed := body.changed_from(product):
        for name, value in changed.items():
            setattr(product, name, value)
        product.version += 1
    set_etag(response, product.version)
    return ProductView.model_validate(product)


async def check_products(work: UnitOfWork, codes: dict[str, str]) -> None:
    """`codes` gives each product's code the place it is named at.

    Raises `UnknownReference` (422) at the first place whose product does not exist.
    """
    known = {row["code"] for row in await _KNOWN.all(work, codes=list(codes))}
    for code, pointer in codes.items():
        if code not in known:
            raise UnknownReference.at(pointer, "no product has this code")
