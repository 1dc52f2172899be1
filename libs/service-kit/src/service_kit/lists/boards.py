"""Boards: a list in columns, one for each value of a column, with counts, sums and the first records of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import sqlalchemy as sa
from pydantic import BaseModel, Field, create_model

from event_contracts.fields import DECIMAL_PLACES
from service_kit.access import Access
from service_kit.fields import DecimalText, ReadModel, described
from service_kit.lists.listing import MAX_TOTAL, Listing, ListQuery, TotalRead, View
from service_kit.lists.parameters import Defaulted
from service_kit.tables import name_key_of
from service_kit.unit_of_work import UnitOfWork

MAX_CARDS: Final = 50
_CARDS: Final = 20
_MOST_PEOPLE: Final = 100
"""Columns of people, beside that of records without an owner."""


class BoardSumRead(ReadModel):
    """What the records of a column are worth in one currency, as far as they are counted."""

    currency: Annotated[str, described("As ISO 4217 has it.", "EUR")]
    amount: DecimalText
    """The sum of the amounts, as a decimal string in units of the currency."""


@dataclass(frozen=True)
class Board:
    """The columns that a list's records can be put in.

    `values` are those of a column of the table, the ones that are shown unless others are filtered for; `people` is the
    table of those whose ids a column has. `amount` and `currency` name what is summed.
    """

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    people: Mapping[str, sa.Table] = field(default_factory=dict)
    amount: str | None = None
    currency: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return what a board can be by."""
        return (*self.values, *self.people)

    @property
    def parameters(self) -> tuple[Defaulted, ...]:
        """Return the parameters that a board takes beside those of the list."""
        names: Any = Literal[tuple(self.names)]  # made of the declaration
        return (
            Defaulted("by", names, "What the columns are: one for each of its values.", default=self.names[0]),
            Defaulted("cards", _Cards, "How many records to show of each column.", default=_CARDS),
        )

    def model(self, listing: Listing) -> type[BaseModel]:
        """Return the schema of a board of a list."""
        noun = listing.read.__name__.removesuffix("Read")
        key = described("What its records have in common; null: none of it.", "proposal")
        of_column: dict[str, Any] = {
            "key": (Annotated[str, key] | None, ...),
            "total": (TotalRead, Field(description="How many records it has.")),
            "sums": (
                list[BoardSumRead],
                Field(description="What they are worth, by currency; empty if nothing is summed."),
            ),
            "items": (list[listing.read], Field(description="The first of them, in the board's order.")),  # type: ignore[name-defined]
        }
        doc = "A column of a board."
        column: Any = create_model(f"{noun}BoardColumnRead", __base__=ReadModel, __doc__=doc, **of_column)
        members: dict[str, Any] = {
            "by": (Annotated[str, described("What the columns are values of.", self.names[0])], ...),
            "columns": (list[column], Field(description="In the order of the process, or of people's names.")),
        }
        doc = "A list in columns."
        return create_model(f"{noun}BoardRead", __base__=ReadModel, __doc__=doc, **members)

    async def read(
        self, work: UnitOfWork, access: Access, listing: Listing, query: ListQuery, view: View
    ) -> dict[str, Any]:
        """Return the members of a board. Raise as `Listing.matching` does."""
        by, cards = query.given.get("by", self.names[0]), query.given.get("cards", _CARDS)
        column = listing.table.c[by]
        if query.sort is None:
            query = replace(query, sort=listing.sorts["-id"])
        matching = await listing.matching(work, access, query)
        conditions = matching.all
        if query.text is not None and listing.search is not None:
            conditions.append(listing.search.condition(query.text))
        keys = await self._keys(work, by, query)
        is_selective = listing.is_selective(query, matching)
        counts = self._counts_at_once if is_selective else self._counts
        counted: dict[Any, list[Any]] = {}
        for row in await work.execute(counts(listing, column, keys, conditions)):
            counted.setdefault(row.key, []).append(row)
        shown: dict[Any, list[Any]] = {}
        if cards:
            for row in await work.execute(self._cards(listing, column, keys, conditions, query, cards, is_selective)):
                shown.setdefault(row.board_key, []).append(view(row))
        columns = [self._column(key, counted.get(key, []), shown.get(key, [])) for key in keys]
        if by in self.people:
            columns = [each for each in columns if each["total"].count]
        return {"by": by, "columns": columns}

    async def _keys(self, work: UnitOfWork, by: str, query: ListQuery) -> list[Any]:
        if given := query.given.get(by):
            return list(dict.fromkeys(given))
        if by in self.values:
            return list(self.values[by])
        people = self.people[by]
        name = name_key_of(people, "name")
        order = [people.c.id] if name is None else [name, people.c.id]
        found = await work.execute(sa.select(people.c.id).order_by(*order).limit(_MOST_PEOPLE))
        return [*found.scalars(), None]

    def _counts_at_once(
        self, listing: Listing, column: sa.ColumnElement[Any], keys: list[Any], conditions: list[Any]
    ) -> sa.Select[Any]:
        """Return the query of the counts where few records meet the conditions: they are read once for all columns."""
        none: sa.ColumnElement[Any] = sa.null()
        amount, currency = (none if name is None else listing.table.c[name] for name in (self.amount, self.currency))
        met = sa.select(column.label("key"), amount.label("amount"), currency.label("currency")).where(*conditions)
        # OFFSET keeps the columns' own index from being read, which leads to those of all.
        one = met.offset(sa.literal_column("0")).subquery("met")
        given = [key for key in keys if key is not None]
        is_in = one.c.key == sa.any_(sa.literal(given, sa.ARRAY(column.type)))
        counts = sa.select(
            one.c.key,
            one.c.currency,
            sa.func.count().label("number"),
            sa.func.sum(sa.cast(one.c.amount, sa.Numeric)).label("sum"),
        )
        return counts.where(is_in if None not in keys else sa.or_(is_in, one.c.key.is_(None))).group_by(
            one.c.key, one.c.currency
        )

    def _counts(self, listing: Listing, column: sa.ColumnElement[Any], keys: list[Any], conditions: list[Any]) -> Any:
        none: sa.ColumnElement[Any] = sa.null()
        amount, currency = (none if name is None else listing.table.c[name] for name in (self.amount, self.currency))

        def part(of: sa.FromClause | None, is_in: sa.ColumnElement[bool]) -> Any:
            some = sa.select(amount.label("amount"), currency.label("currency")).select_from(listing.table)
            some = some.where(is_in, *conditions).limit(MAX_TOTAL + 1)
            one = (some if of is None else some.correlate(of)).subquery()
            counts = sa.select(
                one.c.currency,
                sa.func.count().label("number"),
                sa.func.sum(sa.cast(one.c.amount, sa.Numeric)).label("sum"),
            )
            return counts.group_by(one.c.currency)

        return _of_keys(column, keys, part)

    def _cards(
        self,
        listing: Listing,
        column: sa.ColumnElement[Any],
        keys: list[Any],
        conditions: list[Any],
        query: ListQuery,
        cards: int,
        is_selective: bool,
    ) -> sa.Executable:
        sort = query.sort
        assert sort is not None  # noqa: S101 -- a board has an order
        key_of = listing.table.c.id
        found = _of_keys(
            column,
            keys,
            lambda of, is_in: sort.ids(key_of, [is_in, *conditions], None, cards, of, is_selective=is_selective),
        ).subquery("found")
        record = listing.rows.where(key_of == found.c.id).limit(1).lateral("record")
        rows = sa.select(*record.c, found.c.key.label("board_key")).select_from(found.join(record, sa.true()))
        return rows.order_by(*sort.order_of(found))

    @staticmethod
    def _column(key: Any, counts: list[Any], items: list[Any]) -> dict[str, Any]:
        number = sum(row.number for row in counts)
        sums = [
            BoardSumRead(currency=row.currency, amount=_in_places(row.sum, row.currency))
            for row in sorted(counts, key=lambda row: row.currency or "")
            if row.currency is not None
        ]
        total = TotalRead(count=min(number, MAX_TOTAL), is_exact=number <= MAX_TOTAL)
        return {"key": None if key is None else str(key), "total": total, "sums": sums, "items": items}


def _in_places(amount: Decimal, currency: str) -> Decimal:
    """Return an amount with the places of its currency, though the column has more."""
    places = amount.quantize(Decimal(1).scaleb(-DECIMAL_PLACES[currency]))
    return places if places == amount else amount


_Cards = Annotated[int, Field(ge=0, le=MAX_CARDS), described("Records of each column.", _CARDS)]


def _of_keys(column: sa.ColumnElement[Any], keys: list[Any], part: Any) -> Any:
    """Return the query of each key's part, with the `key`."""
    parts = []
    if given := [key for key in keys if key is not None]:
        values = sa.func.unnest(sa.literal(given, sa.ARRAY(column.type))).table_valued(sa.column("key", column.type))
        values = values.render_derived("keys")
        one = part(values, column == values.c.key).lateral("part")
        parts.append(sa.select(values.c.key, *one.c).select_from(values.join(one, sa.true())))
    if None in keys:
        one = part(None, column.is_(None)).subquery()
        parts.append(sa.select(sa.cast(sa.null(), column.type).label("key"), *one.c))
    return sa.union_all(*parts)
