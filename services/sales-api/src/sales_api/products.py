"""The catalogue: products by their code."""

from uuid import UUID

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import ConfigDict, Field, StrictBool
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from sales_api.access import Expected, Manager, Reader
from sales_api.tables import Base
from service_kit.changes import Change
from service_kit.compiled import CompiledStatement
from service_kit.fields import Code, Name, StrictModel, View
from service_kit.filters import equal
from service_kit.identifiers import new_id
from service_kit.paging import Paged, PageView
from service_kit.problems import Conflict, NotFound
from service_kit.references import UnknownReference
from service_kit.routing import Session, router
from service_kit.versions import set_etag, unchanged


class ProductCodeTaken(Conflict):
    """There is a product with this code."""

    slug, title = "product-code-taken", "A product with this code exists"


class Product(Base):
    """What is sold. Its code is what deals and events know it by, so it never changes."""

    __tablename__ = "product"

    code: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(unique=True, comment="rises with time: the order of the list")
    version: Mapped[int]
    name: Mapped[str]
    active: Mapped[bool]


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
_columns = Product.__table__.c
_CODES = sa.bindparam("codes", type_=sa.ARRAY(sa.Text))
_KNOWN = CompiledStatement(sa.select(_columns.code).where(_columns.code == sa.any_(_CODES)))


@products.post("", status_code=201)
async def create_product(body: ProductIn, session: Session, response: Response, _: Manager) -> ProductView:
    """Adds a product to the catalogue."""
    if await session.get(Product, body.code) is not None:
        raise ProductCodeTaken("Change it with PATCH, or choose another code.", code=body.code)
    product = Product(id=new_id(), version=1, **dict(body))
    session.add(product)
    await session.flush()
    response.headers["Location"] = f"/v1/products/{product.code}"
    set_etag(response, product.version)
    return ProductView.model_validate(product)


@products.get("")
async def list_products(session: Session, page: Paged, _: Reader, active: bool | None = None) -> PageView[ProductView]:
    """The catalogue, newest first."""
    query = sa.select(*_columns).where(*equal(_columns, {"active": active}))
    return await page.of(session, query, _columns.id, ProductView.model_validate)


@products.get("/{code}", response_model=ProductView)
async def get_product(
    code: Code, session: Session, request: Request, response: Response, _: Reader
) -> ProductView | Response:
    """One product."""
    product = await session.get(Product, code)
    if product is None:
        raise NotFound(f"There is no product {code}.")
    set_etag(response, product.version)
    return unchanged(request, product.version) or ProductView.model_validate(product)


@products.patch("/{code}")
async def change_product(
    code: Code, body: ProductChange, session: Session, response: Response, expected: Expected, _: Manager
) -> ProductView:
    """Changes a product's name, or whether it is offered."""
    product = await session.get(Product, code, with_for_update={"key_share": True})
    if product is None:
        raise NotFound(f"There is no product {code}.")
    expected.check(product.version)
    if changed := body.changed_from(product):
        for name, value in changed.items():
            setattr(product, name, value)
        product.version += 1
    set_etag(response, product.version)
    return ProductView.model_validate(product)


async def check_products(session: AsyncSession, codes: dict[str, str]) -> None:
    """`codes` gives each product's code the place it is named at.

    Raises `UnknownReference` (422) at the first place whose product does not exist.
    """
    known = {row["code"] for row in await _KNOWN.all(session, codes=list(codes))}
    for code, pointer in codes.items():
        if code not in known:
            raise UnknownReference.at(pointer, "no product has this code")
