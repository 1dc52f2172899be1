"""Plans leads and the deals that became of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tandem_cli.imports.accounts import Accounts, columns_of_cells
from tandem_cli.imports.catalogue import Catalogue
from tandem_cli.imports.mapping import DealFields, LeadMapping
from tandem_cli.imports.plan import Plan, Record, moment
from tandem_cli.imports.tables import Row, RowError, Table
from tandem_cli.imports.values import Reader, error
from tandem_cli.requests import Ref, Step, given

LEAD = Ref("self", "lead")
DEAL = Ref("self", "deal")


def plan_leads(mapping: LeadMapping, leads: Table, deals: Table) -> Plan:
    """One record a lead: created, and where a deal names it, converted and closed at the times of the file."""
    return _Planner(mapping, leads, deals).plan()


@dataclass(frozen=True, kw_only=True)
class _DealTimes:
    converted_at: datetime
    opened_at: datetime
    closed_at: datetime | None
    """None of a deal that is open."""


class _Planner:
    def __init__(self, mapping: LeadMapping, leads: Table, deals: Table) -> None:
        self.mapping = mapping
        self.lead_rows, self.deal_rows = leads.rows, deals.rows
        self.leads = Reader(mapping.sources.leads, leads.rows)
        self.deals = Reader(mapping.sources.deals, deals.rows)
        self.catalogue = Catalogue(mapping.team, mapping.exchange_rates)
        self.accounts = Accounts()
        self.errors: list[RowError] = [*leads.errors, *deals.errors]

    def plan(self) -> Plan:
        won = self._deals_by_lead()
        records: dict[str, Record] = {}
        for row in self.lead_rows:
            try:
                reference = self.leads.needed(row, self.mapping.lead.reference)
                deal_row = won.pop(reference, None)
                if reference in records:
                    raise error(row, self.mapping.lead.reference, f"{reference} came before: a lead has one row")
                records[reference] = self._record(reference, row, deal_row)
            except RowError as reason:
                self.errors.append(reason)
        self.errors += [
            error(row, self.mapping.deal.reference, f"there is no lead {reference} in these files")
            for reference, row in won.items()
            if self.mapping.deal is not None
        ]
        self.leads.check_codes()
        self.deals.check_codes()
        needed = {**self.catalogue.needed, **self.accounts.needed()}
        return Plan(self.mapping.name, needed, list(records.values()), self.errors)

    def _deals_by_lead(self) -> dict[str, Row]:
        found: dict[str, Row] = {}
        if self.mapping.deal is None:
            return found
        for row in self.deal_rows:
            try:
                reference = self.deals.needed(row, self.mapping.deal.reference)
                if reference in found:
                    raise error(row, self.mapping.deal.reference, f"lead {reference} has a deal already")
                found[reference] = row
            except RowError as reason:
                self.errors.append(reason)
        return found

    def _record(self, reference: str, row: Row, deal_row: Row | None) -> Record:
        fields = self.mapping.lead
        created_at = self.leads.known_time(row, fields.created_at)
        times: _DealTimes | None = None
        if deal_row is not None and self.mapping.deal is not None:
            times = self._deal_times(reference, deal_row, self.mapping.deal, created_at)
            created_at = min(created_at, times.opened_at)
        cells = {name: getattr(fields, name) for name in ("company", "channel", "region", "segment", "product")}
        body = given(
            **{name: self.leads.code(row, cell) for name, cell in cells.items() if name != "company"},
            company=self.leads.text(row, fields.company),
            owner_id=self.catalogue.rep(self.leads.text(row, fields.owner)),
            external_ref=f"{self.mapping.name}:{reference}",
            occurred_at=moment(created_at),
        )
        if "product" in body:
            self.catalogue.product(body["product"])
        columns = columns_of_cells(**cells, owner_id=fields.owner, external_ref=fields.reference)
        columns["occurred_at"] = fields.created_at.column
        steps = [Step("create", "sales", ("leads",), body, columns)]
        if deal_row is not None and times is not None and self.mapping.deal is not None:
            steps += self._deal(reference, deal_row, self.mapping.deal, times, body)
        return Record("leads", reference, row, steps)

    def _deal_times(self, reference: str, row: Row, fields: DealFields, created_at: datetime) -> _DealTimes:
        is_open = self.deals.needed(row, fields.outcome) == "open"
        opened_at = None if fields.opened_at is None else self.deals.time(row, fields.opened_at)
        closed_at = self.deals.time(row, fields.closed_at)
        if closed_at is None and not is_open:
            closed_at = self.deals.known_time(row, fields.closed_at)
        first = opened_at or closed_at or created_at
        if first < created_at and fields.closed_before_created == "reject":
            column = fields.opened_at.column if opened_at and fields.opened_at else fields.closed_at.column
            raise RowError(row.file, row.line, column, "is before the lead was created", reference)
        if opened_at and closed_at and not is_open and closed_at < opened_at:
            raise RowError(row.file, row.line, fields.closed_at.column, "is before the deal was opened", reference)
        return _DealTimes(
            converted_at=first, opened_at=opened_at or min(first, created_at), closed_at=None if is_open else closed_at
        )

    def _deal(
        self, reference: str, row: Row, fields: DealFields, times: _DealTimes, lead: Mapping[str, Any]
    ) -> list[Step]:
        currency = self.deals.needed(row, fields.currency)
        lines = []
        for line in fields.lines:
            product = self.deals.code(row, line.product)
            if product is None:
                raise error(row, line.product, "is unknown, and a deal's line needs a product: give a default")
            self.catalogue.product(product)
            quantity = self.deals.quantity(row, line.quantity)
            unit_price = self.deals.amount(row, line.unit_price, currency)
            lines.append({"product": product, "quantity": quantity, "unit_price": unit_price})
        attribution = given(
            owner_id=self.catalogue.rep(self.deals.text(row, fields.owner)),
            region=self.deals.code(row, fields.region),
            segment=self.deals.code(row, fields.segment),
            channel=self.deals.code(row, fields.channel),
        )
        opened_at = None if times.opened_at == times.converted_at else moment(times.opened_at)
        deal = given(
            currency=currency,
            lines=lines,
            external_ref=f"{self.mapping.name}:{reference}",
            opened_at=opened_at,
            **attribution,
        )
        inherited = {name: lead[name] for name in ("owner_id", "region", "segment", "channel") if name in lead}
        owner = self.catalogue.rep(self.deals.text(row, fields.account.owner))
        account = self.accounts.add(
            row,
            self.deals,
            fields.account,
            times.opened_at,
            **{**inherited, **attribution, **given(owner_id=owner)},
        )
        columns = columns_of_cells(
            account_id=fields.account.name,
            region=fields.region,
            segment=fields.segment,
            channel=fields.channel,
            owner_id=fields.owner,
            product=fields.lines[0].product,
            quantity=fields.lines[0].quantity,
            unit_price=fields.lines[0].unit_price,
            currency=fields.currency,
        )
        columns["occurred_at"] = columns["opened_at"] = (fields.opened_at or fields.closed_at).column
        body: dict[str, Any] = {"account_id": account, "deal": deal, "occurred_at": moment(times.converted_at)}
        steps = [Step("convert", "sales", ("leads", LEAD, "convert"), body, columns)]
        if times.closed_at is not None:
            outcome = self.deals.needed(row, fields.outcome)
            reason = self.deals.code(row, fields.reason)
            body = given(outcome=outcome, reason=reason, occurred_at=moment(times.closed_at))
            columns = {**columns, "occurred_at": fields.closed_at.column}
            steps.append(Step("close", "sales", ("deals", DEAL, "close"), body, columns))
        return steps
