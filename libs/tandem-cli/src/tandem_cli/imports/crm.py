"""Plans a whole CRM: accounts, products, salespeople with their teams, and deals that refer to them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any, get_args

from event_contracts.sales import OpenStage
from tandem_cli.imports.accounts import Accounts, columns_of_cells
from tandem_cli.imports.catalogue import Catalogue
from tandem_cli.imports.mapping import Cell, CrmDealFields, CrmLineFields, CrmMapping
from tandem_cli.imports.plan import Needed, Plan, Record, moment
from tandem_cli.imports.tables import Row, RowError, Table
from tandem_cli.imports.values import Reader, error
from tandem_cli.requests import Ref, Step, given

DEAL = Ref("self", "deal")
FIRST_STAGE = get_args(OpenStage)[0]


def plan_crm(mapping: CrmMapping, tables: Mapping[str, Table]) -> Plan:
    """One record a deal: opened, moved to its stage or closed at the times of the file. What they refer to comes first.

    A row that refers to one that no file has is an error.
    """
    return _Planner(mapping, tables).plan()


@dataclass(frozen=True)
class _Rep:
    """A row of salespeople."""

    row: Row
    name: str
    region: str | None
    teams: tuple[str, ...]
    """The names of their teams from the top down."""
    manager: str | None


class _Planner:
    def __init__(self, mapping: CrmMapping, tables: Mapping[str, Table]) -> None:
        self.mapping = mapping
        self.rows = {name: table.rows for name, table in tables.items()}
        self.readers = {name: Reader(mapping.source(name), table.rows) for name, table in tables.items()}
        self.errors = [reason for table in tables.values() for reason in table.errors]
        self.catalogue = Catalogue(mapping.team, mapping.exchange_rates)
        self.accounts = Accounts()
        self.prices: dict[str, str | None] = {}
        """By product. A price is checked where a deal takes it, for its currency is known there."""
        self.reps: dict[str, _Rep] = {}
        self.people: dict[Ref, Needed] = {}

    def plan(self) -> Plan:
        for row in self.rows.get("products", ()):
            self._try(self._product, row)
        for row in self.rows.get("reps", ()):
            self._try(self._rep, row)
        self._make_people()
        for row in self.rows.get("accounts", ()):
            self._try(self._account, row)
        records: dict[str, Record] = {}
        for row in self.rows["deals"]:
            self._try(self._deal, row, records)
        for reader in self.readers.values():
            reader.check_codes()
        needed = {**self.catalogue.needed, **self.people, **self.accounts.needed()}
        return Plan(self.mapping.name, needed, list(records.values()), self.errors)

    def _try(self, plan: Callable[..., None], row: Row, *more: Any) -> None:
        try:
            plan(row, *more)
        except RowError as reason:
            self.errors.append(reason)

    def _product(self, row: Row) -> None:
        fields, reader = self.mapping.product, self.readers["products"]
        assert fields is not None  # noqa: S101 - it has rows
        code = reader.code(row, fields.reference)
        if code is None:
            raise error(row, fields.reference, "is unknown, and cannot be")
        _check_first(row, fields.reference, code, self.prices)
        self.prices[code] = reader.text(row, fields.price)
        ref = Ref("sales/products", code)
        name = reader.text(row, fields.name or fields.reference) or code
        columns = columns_of_cells(code=fields.reference, name=fields.name)
        body = {"code": code, "name": name[:200]}
        self.catalogue.needed[ref] = Needed(ref, body, by_code=True, row=row, columns=columns)

    def _rep(self, row: Row) -> None:
        fields, reader = self.mapping.rep, self.readers["reps"]
        assert fields is not None  # noqa: S101 - it has rows
        reference = reader.needed(row, fields.reference)
        _check_first(row, fields.reference, reference, self.reps)
        self.reps[reference] = _Rep(
            row,
            name=(reader.text(row, fields.name) or reference)[:200],
            region=reader.code(row, fields.region),
            teams=tuple(team for cell in fields.teams if (team := reader.text(row, cell)) is not None),
            manager=reader.text(row, fields.manager),
        )

    def _make_people(self) -> None:
        """Make the salespeople, and their managers who have no row, in the lowest team above all of their people."""
        if self.mapping.rep is None:
            return
        led: dict[str, list[tuple[str, ...]]] = {}
        for rep in self.reps.values():
            if rep.manager is not None and rep.manager not in self.reps:
                led.setdefault(rep.manager, []).append(rep.teams)
        columns = columns_of_cells(
            name=self.mapping.rep.name or self.mapping.rep.reference, region=self.mapping.rep.region
        )
        for reference, rep in self.reps.items():
            ref = Ref("sales/reps", reference)
            body = given(name=rep.name, region=rep.region, team_id=self._team(rep.teams))
            self.people[ref] = Needed(ref, body, row=rep.row, columns=columns)
        for manager, teams in led.items():
            ref = Ref("sales/reps", manager)
            self.people[ref] = Needed(ref, given(name=manager[:200], team_id=self._team(_common(teams))))

    def _team(self, path: tuple[str, ...]) -> Ref | None:
        if not path:
            return None
        ref = Ref("sales/teams", " / ".join(path))
        if ref not in self.people:
            body = given(name=path[-1][:200], parent_id=self._team(path[:-1]))
            self.people[ref] = Needed(ref, body)
        return ref

    def _account(self, row: Row) -> None:
        fields, reader = self.mapping.account, self.readers["accounts"]
        assert fields is not None  # noqa: S101 - it has rows
        ref = self.accounts.ref_of(row, reader, fields)
        _check_first(row, getattr(fields, fields.keys[0]), ref, self.accounts.refs)
        registered_at = None if fields.registered_at is None else reader.time(row, fields.registered_at)
        self.accounts.add(row, reader, fields, registered_at, owner_id=self._owner(row, reader, fields.owner))

    def _deal(self, row: Row, records: dict[str, Record]) -> None:
        fields, reader = self.mapping.deal, self.readers["deals"]
        reference = reader.needed(row, fields.reference)
        _check_first(row, fields.reference, reference, records)
        opened_at = reader.known_time(row, fields.opened_at)
        owner = self._owner(row, reader, fields.owner)
        currency = reader.needed(row, fields.currency)
        attribution = given(
            owner_id=owner,
            region=reader.code(row, fields.region),
            segment=reader.code(row, fields.segment),
            channel=reader.code(row, fields.channel),
        )
        body = given(
            title=(reader.text(row, fields.title) or "")[:200] or None,
            currency=currency,
            lines=[self._line(row, reader, line, currency) for line in fields.lines],
            expected_close_on=reader.day(row, fields.expected_close_on),
            external_ref=f"{self.mapping.name}:{reference}",
            occurred_at=moment(opened_at),
            **attribution,
        )
        columns = columns_of_cells(
            account_id=fields.account.name or fields.account.reference or fields.account.domain,
            owner_id=fields.owner,
            product=fields.lines[0].product,
            quantity=fields.lines[0].quantity,
            unit_price=fields.lines[0].unit_price,
            currency=fields.currency,
            **{name: getattr(fields, name) for name in ("title", "region", "segment", "channel")},
        )
        columns["occurred_at"] = fields.opened_at.column
        later = self._later(row, reader, fields, opened_at)
        # The account last: a row that is not imported is no sale to it.
        body["account_id"] = self._account_of(row, reader, opened_at, attribution)
        steps = [Step("create", "sales", ("deals",), body, columns), *later]
        records[reference] = Record("deals", reference, row, steps)

    def _account_of(self, row: Row, reader: Reader, opened_at: datetime, attribution: Mapping[str, Any]) -> Ref:
        fields = self.mapping.deal.account
        if self.mapping.account is None:
            return self.accounts.add(row, reader, fields, opened_at, **attribution)
        ref = self.accounts.ref_of(row, reader, fields)
        if ref not in self.accounts.refs:
            known = [one.key for one in self.accounts.refs]
            raise _absent(row, getattr(fields, fields.keys[0]), "account", ref.key, known)
        self.accounts.sold(ref, opened_at)
        return ref

    def _line(self, row: Row, reader: Reader, line: CrmLineFields, currency: str) -> dict[str, Any]:
        product = reader.code(row, line.product)
        if product is None:
            raise error(row, line.product, "is unknown, and a deal's line needs a product: give a default")
        if self.mapping.product is None:
            self.catalogue.product(product)
        elif product not in self.prices:
            raise _absent(row, line.product, "product", product, self.prices)
        quantity = reader.quantity(row, line.quantity)
        if line.unit_price is not None and reader.text(row, line.unit_price) is not None:
            unit_price = reader.amount(row, line.unit_price, currency)
        elif (price := self.prices.get(product)) is not None:
            unit_price = reader.checked_amount(row, line.unit_price or line.product, price, currency)
        else:
            raise error(row, line.unit_price or line.product, f"the price is unknown, and {product} has none")
        return {"product": product, "quantity": quantity, "unit_price": unit_price}

    def _later(self, row: Row, reader: Reader, fields: CrmDealFields, opened_at: datetime) -> Sequence[Step]:
        """What happened to a deal after it was opened."""
        stage = reader.needed(row, fields.stage)
        if stage == FIRST_STAGE:
            return ()
        time = fields.closed_at if stage in ("won", "lost") else fields.stage_at
        at = None if time is None else reader.time(row, time)
        if stage in ("won", "lost"):
            if time is None or at is None:
                raise RowError(row.file, row.line, time.column if time else "", f"a {stage} deal needs closed_at")
            action, body = "close", given(outcome=stage, reason=reader.code(row, fields.reason))
        else:
            at = at or opened_at
            action, body = "stage", {"stage": stage}
        column = (time or fields.opened_at).column
        if at < opened_at:
            raise RowError(row.file, row.line, column, "is before the deal was opened")
        body["occurred_at"] = moment(at)
        columns = {**columns_of_cells(stage=fields.stage, reason=fields.reason), "occurred_at": column}
        if fields.currency.column is not None:
            columns["currency"] = fields.currency.column
        return [Step(action, "sales", ("deals", DEAL, action), body, columns)]

    def _owner(self, row: Row, reader: Reader, cell: Cell | None) -> Ref | None:
        reference = reader.text(row, cell)
        if reference is None or self.mapping.rep is None:
            return self.catalogue.rep(reference)
        ref = Ref("sales/reps", reference)
        if ref not in self.people:
            raise _absent(row, cell, "salesperson", reference, self.reps)
        return ref


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The beginning that all paths have."""
    common = paths[0]
    for path in paths:
        while path[: len(common)] != common:
            common = common[:-1]
    return common


def _check_first(row: Row, cell: Cell | None, key: Any, known: Collection[Any]) -> None:
    if key in known:
        raise error(row, cell, f"{key.key if isinstance(key, Ref) else key} came before: it has one row")


def _absent(row: Row, cell: Cell | None, noun: str, key: str, known: Collection[str]) -> RowError:
    near = get_close_matches(key, known, n=1)
    meant = f"; there is {near[0]}, which `values` can name" if near else ""
    return error(row, cell, f"there is no {noun} {key} in these files{meant}")
