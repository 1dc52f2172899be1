"""Exchange rates to the reporting currency, a day each; a deal freezes the latest one when it closes."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import Response
from sqlalchemy.dialects.postgresql import insert

from event_contracts.sales import FrozenRate
from sales_api.amounts import RATE, Rate, trimmed
from sales_api.dependencies import ReportingCurrency
from sales_api.tables import Base
from service_kit.audit.entries import noun_code
from service_kit.changes import Change
from service_kit.compiled import CompiledStatement
from service_kit.entities import Recorded, column
from service_kit.fields import (
    Currency,
    CurrencyRead,
    Day,
    DecimalText,
    Identifier,
    ReadModel,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    described,
    examples,
)
from service_kit.identifiers import new_id
from service_kit.locking import lock
from service_kit.problems import Unprocessable
from service_kit.resources import Resource
from service_kit.routing import Work
from service_kit.tables import filtered
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import Expected


class ExchangeRateMissing(Unprocessable):
    """No rate of the currency is known for the day or any day before it."""

    slug, title = "exchange-rate-missing", "There is no exchange rate for that day"


class ExchangeRate(Recorded, Base, table="exchange_rate"):
    """The worth of one unit of a currency in the reporting currency, from a day on."""

    id: Annotated[UUID, column(primary_key=True, comment="rises with time: the order of the list")]
    version: Annotated[int, column(server_default="1", comment="rises with each change")] = 1
    currency: str
    on: date
    rate: Annotated[Decimal, column(RATE)]

    __table_args__: ClassVar = (
        sa.UniqueConstraint("currency", "on"),
        sa.CheckConstraint("rate > 0", name="rate"),
        *filtered("exchange_rate", ("currency", "on", "updated_at")),
    )


_FROM = described("The day from which the rate applies, until the next day that has one.", "2026-03-31")


class ExchangeRateCreate(StrictModel):
    """A currency's rate from a day on, until the next day that has one."""

    model_config = examples({"currency": "BRL", "on": "2026-03-31", "rate": "0.1652"})

    currency: Currency
    on: Annotated[Day, _FROM]
    rate: Rate
    """The reporting currency for one unit of this one: a decimal string with 10 places at most."""


class ExchangeRateUpdate(Change):
    """Another rate for the same currency and day."""

    elsewhere: ClassVar = {
        "currency": "stays as it was set: set the rate of the other currency",
        "on": "stays as it was set: set the rate of the other day",
    }
    model_config = examples({"rate": "0.1700"})

    rate: Rate
    """The reporting currency for one unit of this one: a decimal string with 10 places at most."""


class ExchangeRateRead(ReadModel):
    """A currency's rate; `rate` is the reporting currency for one unit."""

    id: RecordId
    version: Version
    currency: CurrencyRead
    on: Annotated[date, _FROM]
    rate: DecimalText
    """The reporting currency for one unit of this one: a decimal string with 10 places at most."""
    updated_at: UpdatedAt

    @classmethod
    def of(cls, row: Any) -> "ExchangeRateRead":
        """Return the view of a rate, without the zeros that its column adds."""
        plain = {name: getattr(row, name) for name in cls.model_fields if name != "rate"}
        return cls(**plain, rate=trimmed(row.rate))


exchange_rates = Resource(
    "/exchange-rates/{rate_id}",
    ExchangeRate.table,
    ExchangeRateRead,
    view=ExchangeRateRead.of,
    filters={
        "currency": Currency,
        "on": Day,
    },
    sorts=("on",),
)
exchange_rates.read_routes(list_as="list_exchange_rates", get_as="get_exchange_rate")
_columns = ExchangeRate.table.c
_NOUN = noun_code(ExchangeRate.table)
_RATE_BEFORE = sa.literal_column("old.rate", RATE).label("rate_before")
"""Of an upsert: null where there was no row."""


@exchange_rates.routes.post("", summary="Set an exchange rate")
async def set_exchange_rate(
    body: ExchangeRateCreate, work: Work, response: Response, reporting_currency: ReportingCurrency
) -> ExchangeRateRead:
    """Set a day's rate, or replace it. Closed deals keep the rate that they were closed at."""
    if body.currency == reporting_currency:
        raise Unprocessable.at("#/currency", "is the reporting currency, whose rate is always 1")
    statement = insert(ExchangeRate.table).values(id=new_id(), currency=body.currency, on=body.on, rate=body.rate)
    # The same rate again is no new version.
    is_new = (_columns.rate != statement.excluded.rate).cast(sa.Integer)
    statement = statement.on_conflict_do_update(
        index_elements=["currency", "on"],
        set_={"rate": statement.excluded.rate, "version": _columns.version + is_new, "updated_at": sa.func.now()},
    )
    row = (await work.execute(statement.returning(*_columns, _RATE_BEFORE))).one()
    if row.rate_before is None:
        values = {"currency": row.currency, "on": row.on, "rate": row.rate}
        work.audit(_NOUN, row.id, "created", {name: (None, value) for name, value in values.items()}, row.version)
    elif row.rate_before != row.rate:
        work.audit(_NOUN, row.id, "updated", {"rate": (row.rate_before, row.rate)}, row.version)
    return exchange_rates.show(response, row)


@exchange_rates.routes.patch("/{rate_id}", summary="Correct an exchange rate")
async def change_exchange_rate(
    rate_id: Identifier, body: ExchangeRateUpdate, work: Work, response: Response, expected: Expected
) -> ExchangeRateRead:
    """Set another rate for the same day. Closed deals keep the rate that they were closed at."""
    rate = await lock(work, ExchangeRate, rate_id, expected)
    body.apply_to(rate)
    return exchange_rates.show(response, rate)


_LAST_RATE = CompiledStatement(
    sa.select(_columns.rate, _columns.on)
    .where(_columns.currency == sa.bindparam("currency"), _columns.on <= sa.bindparam("day"))
    .order_by(_columns.on.desc())
    .limit(sa.literal_column("1"))
)


async def rate_of(work: UnitOfWork, currency: str, day: date, reporting_currency: str) -> FrozenRate:
    """Return a currency's rate on a day: that day's, or the last one before it. Raise `ExchangeRateMissing` (422)."""
    found = await known_rate_of(work, currency, day, reporting_currency)
    if found is None:
        raise ExchangeRateMissing(
            f"Set the rate of {currency} for {day} or a day before it with POST /v1/exchange-rates, then try again.",
            currency=currency,
            on=day.isoformat(),
        )
    return found


async def known_rate_of(work: UnitOfWork, currency: str, day: date, reporting_currency: str) -> FrozenRate | None:
    """Return the same, or None when no rate is known."""
    if currency == reporting_currency:
        return FrozenRate(rate=Decimal(1), on=day)
    found = await _LAST_RATE.one_or_none(work, currency=currency, day=day)
    if found is None:
        return None
    return FrozenRate(rate=trimmed(found["rate"]), on=found["on"])
