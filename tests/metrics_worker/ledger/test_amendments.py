"""Corrections restate every number in its own day, whatever else happens and however late the log delivers it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from event_contracts import codec
from event_contracts.catalogue import State
from event_contracts.corrections import withdrawn_changes
from event_contracts.sales import FrozenRate
from event_contracts.service import Interaction as Contact
from event_contracts.service import InteractionAmended, InteractionAmendment, Priority, TicketAmended, TicketKind
from event_contracts.service import Ticket as TicketState
from metrics_worker.domain.deal import postings_for as postings_for_deal
from metrics_worker.domain.lead import postings_for as postings_for_lead
from metrics_worker.domain.ticket import postings_for as postings_for_ticket
from metrics_worker.ledger.aggregate import decode, subject_states
from sales_api.attribution import Attribution
from sales_api.deals.model import Deal, Terms
from sales_api.leads.model import Lead
from service_api.surveys.model import Survey
from service_api.tickets.model import GRANTING, HANDED_ON, MOMENTS, Interaction, Ticket
from service_api.tickets.sla import SlaTerms
from service_kit.problems import Problem
from tests.metrics_worker.conftest import Metrics, empty, ingest
from tests.metrics_worker.facts import (
    AGENT,
    CUSTOMER,
    OTHER_REP,
    REP,
    TEAM,
    VILNIUS,
    all_decoded,
    interaction,
    logged,
    moment,
    record,
)
from tests.metrics_worker.ledger.test_writer import require_exact

EVE: Final = datetime(2026, 3, 28, 20, tzinfo=UTC)
"""Before the night in which Vilnius sets its clocks forward."""
TICKET: Final = UUID(int=77)
OTHER_CUSTOMER: Final = UUID(int=78)
TERMS: Final = {
    ("problem", "urgent"): SlaTerms(policy_id=UUID(int=1), first_response_seconds=600, resolution_seconds=7_200),
    ("complaint", "urgent"): SlaTerms(policy_id=UUID(int=2), first_response_seconds=1_800, resolution_seconds=90_000),
    ("complaint", "low"): SlaTerms(policy_id=UUID(int=3), resolution_seconds=3_600),
}
"""The others are under no policy."""

Fact = tuple[State, int]
Step = tuple[str, int]
"""What is tried, and the minutes that passed before it."""

steps: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.sampled_from(["resolve", "reopen", "close", "reply", "ask", "survey", "amend", "retime"]),
        st.integers(0, 400),
    ),
    max_size=10,
)
attributes = st.fixed_dictionaries(
    {
        "customer_id": st.sampled_from([CUSTOMER, OTHER_CUSTOMER]),
        "kind": st.sampled_from(["problem", "complaint", "presales_question"]),
        "priority": st.sampled_from(["urgent", "low"]),
        "channel": st.sampled_from(["phone", "email"]),
        "region": st.sampled_from([None, "north", "south"]),
        "segment": st.none(),
        "product": st.sampled_from([None, "desk", "chair"]),
    }
)


class TicketLife:
    """A ticket with what belongs to it, driven as the use cases do; `facts` are its events in their order."""

    def __init__(self, opened_as: dict[str, Any], opened_at: datetime = EVE) -> None:
        terms = self.terms(opened_as["kind"], opened_as["priority"])
        self.ticket, event = Ticket.open(
            agent_id=AGENT, team_id=TEAM, at=opened_at, terms=terms, **{"customer_id": CUSTOMER, **opened_as}
        )
        self.ticket.id = TICKET
        # As it is entered when it is opened, the SLA clock does not wait.
        self.ticket.created_at = EVE
        self.clock = EVE
        self.contacts: list[Interaction] = []
        self.surveys: list[Survey] = []
        self.facts: list[Fact] = [(msgspec.structs.replace(event, id=TICKET), 1)]

    @staticmethod
    def terms(kind: TicketKind, priority: Priority) -> SlaTerms | None:
        return TERMS.get((kind, priority))

    def own_terms(self) -> SlaTerms | None:
        return next((each for each in TERMS.values() if each.policy_id == self.ticket.sla_policy_id), None)

    def publish(self, event: State, version: int) -> None:
        self.facts.append((event, version))

    def do(self, what: str, minutes: int, changes: dict[str, Any]) -> None:
        self.clock += timedelta(minutes=minutes)
        self.check()
        try:
            getattr(self, what)(**({"changes": changes} if what == "amend" else {}))
        except Problem:
            # Refused: the next step is tried.
            return
        self.check()

    def check(self) -> None:
        """Publish what is late, as the SLA clock does."""
        for target in self.ticket.overdue(self.clock):
            self.publish(self.ticket.breach(target), self.ticket.version)

    def resolve(self) -> None:
        event = self.ticket.resolve(resolution="done", at=self.clock, terms=self.own_terms())
        self.publish(event, self.ticket.version)

    def reopen(self) -> None:
        self.publish(self.ticket.reopen(at=self.clock, terms=self.own_terms()), self.ticket.version)

    def close(self) -> None:
        self.publish(self.ticket.close(at=self.clock), self.ticket.version)

    def reply(self) -> None:
        self._log("outbound", AGENT)

    def ask(self) -> None:
        self._log("inbound", None)

    def _log(self, direction: Literal["inbound", "outbound"], agent_id: UUID | None) -> None:
        number = UUID(int=1_000 + len(self.contacts))
        spoken = interaction(
            id=number, ticket_id=TICKET, direction=direction, channel="email", agent_id=agent_id, occurred_at=self.clock
        )
        row = Interaction.of(spoken, ticket_version=0, note=None, external_ref=None)
        spoken = row.contact(self.ticket)
        self.publish(self.ticket.log_interaction(spoken), self.ticket.version)
        if self.ticket.is_first_responded_by(spoken):
            self.publish(self.ticket.respond(self.clock, self.own_terms()), self.ticket.version)
        self.contacts.append(row)

    def survey(self) -> None:
        sent, event = Survey.send(kind="csat", ticket=self.ticket, at=self.clock, external_ref=None)
        sent.id = UUID(int=2_000 + len(self.surveys))
        self.publish(msgspec.structs.replace(event, id=sent.id), 1)
        self.publish(sent.answer(score=5 - len(self.surveys) % 4, comment=None, at=self.clock), sent.version)
        self.surveys.append(sent)

    def amend(self, changes: dict[str, Any]) -> None:
        differing = {name: value for name, value in changes.items() if getattr(self.ticket, name) != value}
        if not differing:
            return
        before = [each.contact(self.ticket) for each in self.contacts]
        terms = None
        if differing.keys() & GRANTING:
            terms = self.terms(differing.get("kind", self.ticket.kind), differing.get("priority", self.ticket.priority))
        elif differing.keys() & MOMENTS:
            terms = self.own_terms()
        self.publish(self.ticket.amend(differing, at=self.clock, terms=terms, known=before), self.ticket.version)
        if differing.keys() & HANDED_ON:
            for row, previous in zip(self.contacts, before, strict=True):
                self.publish(self.ticket.amend_interaction(row.contact(self.ticket), previous), self.ticket.version)
        for each in self.surveys:
            if (event := each.follow(self.ticket)) is not None:
                self.publish(event, each.version)

    def retime(self) -> None:
        """Correct the times of the first contact and of the resolution."""
        if self.contacts:
            row = self.contacts[0]
            before = row.contact(self.ticket)
            previous, row.occurred_at = row.occurred_at, min(row.occurred_at + timedelta(minutes=7), self.clock)
            now = [each.contact(self.ticket) for each in self.contacts]
            try:
                event = self.ticket.correct_contact(now, before, now[0], self.own_terms())
            except Problem:
                row.occurred_at = previous
                raise
            self.publish(event, self.ticket.version)
        if self.ticket.resolved_at is not None:
            self.amend({"resolved_at": max(self.ticket.resolved_at - timedelta(minutes=3), EVE)})


def lived(opened_as: dict[str, Any], what: Sequence[Step], corrections: Sequence[dict[str, Any]]) -> TicketLife:
    """Return a ticket after these steps, corrected by the given ones in turn, the last of which comes at the end."""
    life, left = TicketLife(opened_as), list(corrections)
    for each, minutes in what:
        life.do(each, minutes, left.pop(0) if each == "amend" and len(left) > 1 else {})
    life.do("amend", 0, left[-1] if left else {})
    return life


@given(opened_as=attributes, right=attributes, between=st.lists(attributes, max_size=3), what=steps)
@settings(max_examples=300, deadline=None)
def test_a_corrected_ticket_counts_as_if_it_had_been_opened_so(
    opened_as: dict[str, Any], right: dict[str, Any], between: list[dict[str, Any]], what: list[Step]
) -> None:
    corrected = lived(opened_as, what, [*between, right])
    expected = lived(right, what, [])
    assert _postings(corrected.ticket) == _postings(expected.ticket)
    now = [each.contact(corrected.ticket) for each in corrected.contacts]
    assert now == [each.contact(expected.ticket) for each in expected.contacts]
    newest = {state.id: state for state, _ in corrected.facts if not isinstance(state, TicketState)}
    assert newest == {each.id: newest[each.id] for each in corrected.surveys}
    for one, other in zip(corrected.surveys, expected.surveys, strict=True):
        assert {name: getattr(one, name) for name in right if name != "kind"} == {
            name: getattr(other, name) for name in right if name != "kind"
        }
        assert one.ticket_kind == other.ticket_kind == right["kind"]


@given(opened_as=attributes, wrong_by=st.integers(0, 500), what=steps)
@settings(max_examples=300, deadline=None)
def test_a_ticket_whose_opening_is_corrected_counts_as_if_it_had_been_opened_then(
    opened_as: dict[str, Any], wrong_by: int, what: list[Step]
) -> None:
    # Of one moment, asking comes before answering, whatever the order was: no two steps are at the same.
    what = [(each, minutes + 1) for each, minutes in what]
    expected = lived(opened_as, what, [])
    corrected = TicketLife(opened_as, EVE - timedelta(minutes=wrong_by))
    for each, minutes in what:
        corrected.do(each, minutes, {})
    corrected.do("amend", 0, {"opened_at": EVE})
    assert corrected.ticket.opened_at == EVE
    assert _postings(corrected.ticket) == _postings(expected.ticket)
    assert corrected.ticket.waits == expected.ticket.waits


def _postings(ticket: Ticket) -> Any:
    return postings_for_ticket(TicketAmended(**ticket.state_fields(), change=msgspec.UNSET), VILNIUS)  # type: ignore[arg-type]


class SaleLife:
    """A lead and the deal of its customer, driven as the use cases do."""

    def __init__(self, opened_as: dict[str, Any]) -> None:
        attribution = Attribution(owner_id=REP, team_id=TEAM, **opened_as)
        self.lead, created = Lead.create(
            name=None,
            company="Casa",
            email=None,
            phone=None,
            product=None,
            account_id=None,
            attribution=attribution,
            external_ref=None,
            at=EVE,
        )
        self.deal, opened = Deal.open(
            account_id=CUSTOMER,
            lead_id=None,
            title=None,
            currency="EUR",
            lines=[Terms(product="desk", quantity=1, unit_price=moneys[0])],
            attribution=attribution,
            expected_close_on=None,
            external_ref=None,
            at=EVE,
        )
        self.lead.id, self.deal.id = UUID(int=81), UUID(int=82)
        self.clock = EVE
        self.facts: list[Fact] = [
            (msgspec.structs.replace(created, id=self.lead.id), 1),
            (msgspec.structs.replace(opened, id=self.deal.id), 1),
        ]

    def do(self, what: str, minutes: int, changes: dict[str, Any]) -> None:
        self.clock += timedelta(minutes=minutes)
        at = self.clock
        actions: dict[str, Callable[[], State]] = {
            "contact": lambda: self.lead.contact(at=at),
            "qualify": lambda: self.lead.qualify(at=at),
            "convert": lambda: self.lead.convert(
                account_id=CUSTOMER, account_registered=False, deal_id=self.deal.id, at=at
            ),
            "win": lambda: self._close("won"),
            "lose": lambda: self._close("lost"),
            "reopen": lambda: self.deal.reopen(at=at),
            "stage": lambda: self.deal.change_stage("proposal", at=at),
            "reprice": lambda: self.deal.amend({}, [Terms(product="chair", quantity=2, unit_price=moneys[1])], at=at),
            "amend lead": lambda: self.lead.amend(changes, at=at),
            "amend deal": lambda: self.deal.amend(changes, None, at=at),
        }
        try:
            event = actions[what]()
        except Problem:
            return
        self.facts.append((event, self.lead.version if event.id == self.lead.id else self.deal.version))

    def _close(self, outcome: Literal["won", "lost"]) -> State:
        rate = FrozenRate(rate=moneys[2], on=self.clock.date())
        return self.deal.close(outcome, reason=None, rate=rate, reporting_currency="EUR", at=self.clock)


moneys: Final = [Decimal("10.00"), Decimal("25.50"), Decimal(1)]
sale_steps: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.sampled_from(
            "contact qualify convert win lose reopen stage reprice".split() + ["amend lead", "amend deal"] * 2
        ),
        st.integers(0, 2_000),
    ),
    max_size=10,
)
places = st.fixed_dictionaries(
    {"region": st.sampled_from([None, "north"]), "segment": st.none(), "channel": st.sampled_from(["web", "fair"])}
)


@given(opened_as=places, right=places, what=sale_steps)
@settings(max_examples=200, deadline=None)
def test_a_corrected_sale_counts_as_if_it_had_been_opened_so(
    opened_as: dict[str, Any], right: dict[str, Any], what: list[Step]
) -> None:
    lives = []
    for begun_as in (opened_as, right):
        life = SaleLife(begun_as)
        for each, minutes in [*what, ("amend lead", 0), ("amend deal", 0)]:
            life.do(each, minutes, right)
        lives.append(life)
    rules: dict[str, Callable[[Any, Any], Any]] = {"lead": postings_for_lead, "deal": postings_for_deal}
    for name, rule in rules.items():
        one, other = [
            next(state for state, _ in reversed(life.facts) if state.id == getattr(life, name).id) for life in lives
        ]
        assert rule(one, VILNIUS) == rule(other, VILNIUS), name


@st.composite
def corrected_histories(draw: st.DrawFn) -> list[Fact]:
    """Return the events of a ticket and a sale that were corrected again and again."""
    corrections = draw(st.lists(attributes, min_size=1, max_size=4))
    facts = lived(draw(attributes), draw(steps), corrections).facts
    sale = SaleLife(draw(places))
    for each, minutes in draw(sale_steps):
        of_whom = {
            "owner_id": draw(st.sampled_from([REP, OTHER_REP])),
            "account_id": draw(st.sampled_from([CUSTOMER, OTHER_CUSTOMER])),
        }
        sale.do(each, minutes, draw(places) | of_whom)
    return facts + sale.facts


@given(data=st.data(), history=corrected_histories())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_order_of_corrections_ends_with_the_ledger_of_a_recomputation(
    shared_engine: AsyncEngine, data: st.DataObject, history: list[Fact]
) -> None:
    repeats = data.draw(st.lists(st.sampled_from(history), max_size=5))
    shuffled = data.draw(st.permutations([*history, *repeats]))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(shuffled)), max_size=4)))
    batches = [shuffled[start:end] for start, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
    await empty(shared_engine)
    await ingest(shared_engine, *(all_decoded(batch) for batch in batches if batch))
    await require_exact(shared_engine, all_decoded(history))


async def test_a_correction_restates_each_number_in_its_own_day_and_is_explained(metrics: Metrics) -> None:
    life = TicketLife(
        {"kind": "problem", "priority": "low", "channel": "phone", "region": "north", "segment": None, "product": None}
    )
    life.do("reply", 3 * 24 * 60, {})
    life.do("resolve", 24 * 60, {})
    life.do("survey", 24 * 60, {})
    before = len(life.facts)
    await metrics.ingest(*life.facts)
    until_may = {"from": "2026-03-01", "to": "2026-04-30"}
    of_april = until_may | {"interval": "day"}

    assert (await metrics.ask("pre_sales_questions", **of_april))["value"] == "0"
    wrong = {"csat": "2026-04-02", "average_handle_time": "2026-03-31", "tickets_resolved": "2026-04-01"}
    for kpi in wrong:
        assert (await metrics.ask(kpi, kind="problem", **of_april))["value"] not in (None, "0")
    life.do("amend", 30 * 24 * 60, {"kind": "presales_question", "product": "desk"})
    corrected = life.facts[before:]
    for fact in corrected:
        await metrics.ingest(fact)
    answer = await metrics.ask("pre_sales_questions", **of_april)
    assert [each["start"] for each in answer["series"] if each["value"] == "1"] == ["2026-03-28"]
    for kpi, day in wrong.items():
        assert (await metrics.ask(kpi, kind="problem", **of_april))["value"] in (None, "0")
        right = await metrics.ask(kpi, kind="presales_question", product="desk", **of_april)
        assert [each["start"] for each in right["series"] if each["value"] not in (None, "0")] == [day]
    behind = (await metrics.ask("pre_sales_questions/explain", **until_may))["items"]
    (amended,) = (state for state in all_decoded(corrected) if state.kind.name == "ticket" and state.sequence == 5)
    assert str(amended.event_id) in {item["event_id"] for item in behind}
    assert {item["day"] for item in behind if item["event_id"] == str(amended.event_id)} == {"2026-03-28"}
    await require_exact(metrics.engine, all_decoded(life.facts))


async def test_a_ticket_of_the_wrong_customer_counts_for_the_right_one_in_its_own_day_and_is_explained(
    metrics: Metrics,
) -> None:
    life = TicketLife(
        {"kind": "problem", "priority": "low", "channel": "phone", "region": "north", "segment": None, "product": None}
    )
    life.do("ask", 24 * 60, {})
    life.do("reply", 24 * 60, {})
    life.do("resolve", 24 * 60, {})
    life.do("survey", 24 * 60, {})
    await metrics.ingest(*life.facts)
    before = len(life.facts)
    period = {"from": "2026-03-01", "to": "2026-04-30", "interval": "day"}
    days = {"csat": "2026-04-01", "average_handle_time": "2026-03-30", "tickets_resolved": "2026-03-31"}

    async def days_of(customer: UUID) -> dict[str, list[str]]:
        answers = {kpi: await metrics.ask(kpi, customer=str(customer), **period) for kpi in days}
        return {
            kpi: [each["start"] for each in answer["series"] if each["value"] not in (None, "0")]
            for kpi, answer in answers.items()
        }

    of_wrong = await days_of(CUSTOMER)
    assert of_wrong == {kpi: [day] for kpi, day in days.items()}
    life.do("amend", 30 * 24 * 60, {"customer_id": OTHER_CUSTOMER})
    # The survey's partition may be read before the ticket's.
    for fact in reversed(life.facts[before:]):
        await metrics.ingest(fact)
    assert await days_of(CUSTOMER) == {kpi: [] for kpi in days}
    assert await days_of(OTHER_CUSTOMER) == of_wrong
    corrections = {str(each.event_id) for each in all_decoded(life.facts[before:]) if each.kind.name == "ticket"}
    for customer in (CUSTOMER, OTHER_CUSTOMER):
        asked = {name: value for name, value in period.items() if name != "interval"} | {"customer": str(customer)}
        behind = (await metrics.ask("tickets_resolved/explain", **asked))["items"]
        assert corrections & {item["event_id"] for item in behind}, customer
    await require_exact(metrics.engine, all_decoded(life.facts))


def _contact(number: int, kind: TicketKind) -> Contact:
    return interaction(id=UUID(int=number), ticket_id=TICKET, ticket_kind=kind, occurred_at=moment("2026-03-10T09:00"))


async def test_a_restore_that_lost_a_correction_takes_it_back(engine: AsyncEngine) -> None:
    first, second = _contact(1, "problem"), _contact(2, "problem")
    right, new = _contact(1, "complaint"), _contact(2, "complaint")
    known = [(logged(first, kind="problem"), 1)]
    state = {name: getattr(logged(second, kind="complaint"), name) for name in TicketState.__struct_fields__}

    def amended(now: Contact, previous: Contact) -> InteractionAmended:
        return InteractionAmended(**state, change=InteractionAmendment(interaction=now, previous=previous))

    wrong_again = _contact(1, "installation")
    lost = [
        (logged(second, kind="complaint"), 2),
        (amended(right, first), 3),
        (amended(wrong_again, right), 4),
        (amended(new, second), 5),
    ]
    await ingest(engine, all_decoded([*known, *lost]))
    events = [codec.decode(record(*each)) for each in lost]
    back = [
        each
        for value in withdrawn_changes(events[-1], events, at=moment("2026-03-11T08:00"))
        for each in decode(value, VILNIUS)
    ]
    await ingest(engine, back)
    await require_exact(engine, [*all_decoded([*known, *lost]), *back])
    contacts = {each.subject_id: each for each in back if each.kind.name == "interaction"}
    assert contacts[second.id].is_withdrawn
    assert contacts[first.id].state == first


def test_an_amended_interaction_is_a_subject_of_its_own() -> None:
    before, now = _contact(1, "problem"), _contact(1, "complaint")
    state = {name: getattr(logged(before), name) for name in TicketState.__struct_fields__}
    event = codec.decode(
        record(InteractionAmended(**state, change=InteractionAmendment(interaction=now, previous=before)), 7)
    )
    ticket, contact = subject_states(event, VILNIUS)
    assert (ticket.subject_id, contact.subject_id) == (before.ticket_id, now.id)
    assert (contact.sequence, contact.state, contact.postings[0].dimensions[-1]) == (7, now, "complaint")
