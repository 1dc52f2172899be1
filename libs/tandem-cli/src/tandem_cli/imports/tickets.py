"""Plans tickets: the rows of one ticket, each a change, become the steps of its history."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tandem_cli.imports.mapping import TicketMapping
from tandem_cli.imports.plan import Needed, Plan, Record, moment
from tandem_cli.imports.tables import Row, RowError, Table
from tandem_cli.imports.values import Reader
from tandem_cli.requests import Ref, Step, given

TICKET = Ref("self", "ticket")


@dataclass(frozen=True)
class Happening:
    """One thing that happened to a ticket after its opening."""

    at: datetime
    action: str
    team: str | None = None
    agent: str | None = None


@dataclass
class _Customer:
    """What the tickets contain about the customer who opened them."""

    registered_at: datetime
    region: str | None
    segment: str | None


def plan_tickets(mapping: TicketMapping, changes: Table) -> Plan:
    """One record a ticket: opened, assigned, resolved, reopened and closed at the times of its rows."""
    return _Planner(mapping, changes).plan()


class _Planner:
    def __init__(self, mapping: TicketMapping, changes: Table) -> None:
        self.mapping = mapping
        self.changes = changes
        self.reader = Reader(mapping.sources.changes, changes.rows)
        self.people: dict[Ref, Needed] = {}
        self.customers: dict[str, _Customer] = {}

    def plan(self) -> Plan:
        errors = list(self.changes.errors)
        groups: dict[str, list[Row]] = {}
        for row in self.changes.rows:
            try:
                reference = self.reader.needed(row, self.mapping.ticket.reference)
                groups.setdefault(reference, []).append(row)
            except RowError as reason:
                errors.append(reason)
        spoilt = {reason.reference for reason in errors if reason.reference}
        records = []
        for reference, rows in groups.items():
            try:
                if reference not in spoilt:
                    records.append(self._record(reference, rows))
            except RowError as reason:
                reason.reference = reference
                errors.append(reason)
        self.reader.check_codes()
        return Plan(self.mapping.name, {**self.people, **self._customers()}, records, errors)

    def _record(self, reference: str, rows: Sequence[Row]) -> Record:
        fields, history = self.mapping.ticket, self.mapping.history
        rows = sorted(rows, key=lambda row: (self.reader.count(row, history.order), self._changed_at(row)))
        first = rows[0]
        opened_at = self.reader.known_time(first, fields.opened_at)
        customer = self.reader.needed(first, fields.customer)
        team, agent = self.reader.text(first, fields.team), self.reader.text(first, fields.agent)
        happenings = _history([*self._assignments(rows, opened_at), *self._turns(rows, opened_at)], team, agent)
        body = given(
            customer_id=self._customer(customer, rows, opened_at),
            kind=self._first(rows, fields.kind, self.reader.needed),
            channel=self._first(rows, fields.channel, self.reader.needed),
            priority=self._first(rows, fields.priority, self.reader.needed),
            product=self._first(rows, fields.product, self.reader.code),
            team_id=self._person("service/teams", team),
            agent_id=self._person("service/agents", agent),
            external_ref=f"{self.mapping.name}:{reference}",
            occurred_at=moment(opened_at),
        )
        columns = {
            name: cell.column
            for name, cell in {"product": fields.product, "external_ref": fields.reference}.items()
            if cell is not None and cell.column is not None
        }
        columns["occurred_at"] = fields.opened_at.column
        create = Step("create", "service", ("tickets",), body, columns)
        steps = [self._step(number, happening) for number, happening in enumerate(happenings, 1)]
        return Record("tickets", reference, first, [create, *steps])

    def _turns(self, rows: Sequence[Row], opened_at: datetime) -> list[Happening]:
        """Resolved, reopened, resolved again, closed: by the reopen count and the state."""
        history = self.mapping.history
        turns: list[Happening] = []
        count = 0
        resolved: datetime | None = None
        reopened = opened_at
        for row in rows:
            at = max(self._changed_at(row), reopened)
            risen = self.reader.count(row, history.reopen_count) - count
            if risen < 0:
                raise RowError(row.file, row.line, history.reopen_count, "is lower than in the change before")
            for _ in range(risen):
                # A ticket without a resolved row must have been resolved, or it could not have been reopened.
                turns.append(Happening(min(resolved or at, at), "resolve"))
                turns.append(Happening(at, "reopen"))
                resolved, reopened = None, at
            count += risen
            if row.cells[history.state].strip() in history.resolved_states and resolved is None:
                resolved = at
        last = rows[-1]
        final = self.reader.time(last, history.resolved_at)
        if final is not None and final < opened_at:
            raise RowError(last.file, last.line, history.resolved_at.column, "is before the ticket was opened")
        if final is None or final < reopened:  # a resolution that was taken back
            final = resolved
        if final is None:
            return turns
        if (agent := self.reader.text(last, history.resolved_by)) is not None:
            turns.append(Happening(final, "assign", agent=agent))
        turns.append(Happening(final, "resolve"))
        closed = self.reader.time(last, history.closed_at)
        if closed is not None:
            if closed < final:
                raise RowError(last.file, last.line, history.closed_at.column, "is before the ticket was resolved")
            turns.append(Happening(closed, "close"))
        return turns

    def _assignments(self, rows: Sequence[Row], opened_at: datetime) -> list[Happening]:
        """Where a row has another team or agent than the rows before it."""
        fields = self.mapping.ticket
        found = []
        at = opened_at
        known_team, known_agent = self.reader.text(rows[0], fields.team), self.reader.text(rows[0], fields.agent)
        for row in rows[1:]:
            # Some logs number their changes in another order than their times; the numbers count.
            at = max(at, self._changed_at(row))
            team, agent = self.reader.text(row, fields.team), self.reader.text(row, fields.agent)
            # An unknown cell changes nothing.
            if (team or known_team, agent or known_agent) != (known_team, known_agent):
                found.append(Happening(at, "assign", team, agent))
            known_team, known_agent = team or known_team, agent or known_agent
        return found

    def _step(self, number: int, happening: Happening) -> Step:
        body: dict[str, Any] = {"occurred_at": moment(happening.at)}
        columns = {"occurred_at": self.mapping.history.changed_at.column}
        if happening.action == "assign":
            body |= given(
                team_id=self._person("service/teams", happening.team),
                agent_id=self._person("service/agents", happening.agent),
            )
        return Step(f"{number}-{happening.action}", "service", ("tickets", TICKET, happening.action), body, columns)

    def _changed_at(self, row: Row) -> datetime:
        return self.reader.known_time(row, self.mapping.history.changed_at)

    def _first(self, rows: Sequence[Row], cell: Any, read: Callable[[Row, Any], str | None]) -> str | None:
        """The value of the first row that has one; the last row's error where none has and one is required."""
        if cell is None:
            return None
        for row in rows:
            if self.reader.text(row, cell) is not None:
                return read(row, cell)
        return read(rows[-1], cell)

    def _customer(self, name: str, rows: Sequence[Row], opened_at: datetime) -> Ref:
        fields = self.mapping.ticket
        region = self._first(rows, fields.region, self.reader.code)
        segment = self._first(rows, fields.segment, self.reader.code)
        known = self.customers.setdefault(name, _Customer(opened_at, region, segment))
        known.registered_at = min(known.registered_at, opened_at)
        known.region = known.region or region
        known.segment = known.segment or segment
        return Ref("service/customers", name)

    def _customers(self) -> dict[Ref, Needed]:
        made = {}
        for name, customer in self.customers.items():
            ref = Ref("service/customers", name)
            body = given(
                name=name[:200],
                region=customer.region,
                segment=customer.segment,
                occurred_at=moment(customer.registered_at),
            )
            made[ref] = Needed(ref, body)
        return made

    def _person(self, noun: str, name: str | None) -> Ref | None:
        if name is None:
            return None
        ref = Ref(noun, name)
        self.people.setdefault(ref, Needed(ref, {"name": name[:200]}))
        return ref


def _history(happenings: Sequence[Happening], team: str | None, agent: str | None) -> list[Happening]:
    """The happenings in order of time, with assignments that change something only, each naming team and agent."""
    found = []
    # Stable: of two at the same minute, the assignment comes first, and turns keep their order.
    for happening in sorted(happenings, key=lambda one: one.at):
        if happening.action == "close":
            found.append(happening)
            break  # a closed ticket is not assigned
        if happening.action != "assign":
            found.append(happening)
            continue
        # Another team takes it from the agent of the last one.
        passed_on = happening.team is not None and happening.team != team
        now_agent = happening.agent if passed_on else happening.agent or agent
        if passed_on or now_agent != agent:
            team, agent = happening.team or team, now_agent
            found.append(Happening(happening.at, "assign", team, agent))
    return found
