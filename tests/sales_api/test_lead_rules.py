"""The lead's rules without I/O: its status only moves forward, and the end is the end."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from event_contracts import codec
from event_contracts.sales import Lead as LeadState
from sales_api.attribution import Attribution
from sales_api.leads.model import (
    Lead,
    LeadAlreadyAssigned,
    LeadAlreadyContacted,
    LeadAlreadyConverted,
    LeadAlreadyDisqualified,
    LeadAlreadyQualified,
    LeadHasAccount,
    LeadNotAssigned,
)
from service_kit.occurrence import OccurredTooEarly
from service_kit.problems import Conflict

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
REPS = [uuid4() for _ in range(3)]
RANK = {"new": 0, "assigned": 1, "contacted": 2, "qualified": 3, "disqualified": 4, "converted": 4}
ENDED: dict[str, type[Conflict]] = {
    "disqualified": LeadAlreadyDisqualified,
    "converted": LeadAlreadyConverted,
}


class LeadLife(RuleBasedStateMachine):
    """Does anything to a lead at any time."""

    @initialize(owner=st.one_of(st.none(), st.sampled_from(REPS)), account=st.one_of(st.none(), st.uuids()))
    def created(self, owner: UUID | None, account: UUID | None) -> None:
        self.clock = BEGAN
        self.lead, event = Lead.create(
            name="Joana",
            company=None,
            email=None,
            phone=None,
            product=None,
            account_id=account,
            attribution=Attribution(owner_id=owner),
            external_ref=None,
            at=BEGAN,
        )
        self.partition_key = self.lead.partition_key
        assert self.partition_key == account or (account is None and self.partition_key == self.lead.id)
        self.events: list[LeadState] = [event]
        self.expected = "new" if owner is None else "assigned"

    def later(self) -> datetime:
        self.clock += timedelta(minutes=1)
        return self.clock

    def is_over(self) -> type[Conflict] | None:
        return ENDED.get(self.lead.status)

    @rule(owner=st.sampled_from(REPS))
    def assign(self, owner: UUID) -> None:
        before = self.lead.owner_id
        refusal = self.is_over() or (LeadAlreadyAssigned if owner == before else None)
        if refusal:
            with pytest.raises(refusal):
                self.lead.assign(owner, None, at=self.later())
            return
        event = self.lead.assign(owner, None, at=self.later())
        assert event.change.previous_owner_id == before
        assert (event.owner_id, event.assigned_at) == (owner, self.clock)
        self.events.append(event)
        self.expected = "assigned" if self.expected == "new" else self.expected

    @rule()
    def contact(self) -> None:
        refusal = self.is_over()
        if refusal is None and self.lead.owner_id is None:
            refusal = LeadNotAssigned
        if refusal is None and self.lead.contacted_at is not None:
            refusal = LeadAlreadyContacted
        if refusal:
            with pytest.raises(refusal):
                self.lead.contact(at=self.later())
            return
        self.events.append(self.lead.contact(at=self.later()))
        assert self.events[-1].contacted_at == self.clock
        self.expected = "contacted" if self.expected != "qualified" else "qualified"

    @rule()
    def qualify(self) -> None:
        refusal = self.is_over() or (LeadAlreadyQualified if self.expected == "qualified" else None)
        if refusal:
            with pytest.raises(refusal):
                self.lead.qualify(at=self.later())
            return
        self.events.append(self.lead.qualify(at=self.later()))
        assert self.events[-1].qualified_at == self.clock
        self.expected = "qualified"

    @rule()
    def disqualify(self) -> None:
        if refusal := self.is_over():
            with pytest.raises(refusal):
                self.lead.disqualify("no_budget", at=self.later())
            return
        self.events.append(self.lead.disqualify("no_budget", at=self.later()))
        assert (self.events[-1].disqualified_at, self.events[-1].disqualified_reason) == (self.clock, "no_budget")
        self.expected = "disqualified"

    @rule(deal=st.one_of(st.none(), st.uuids()))
    def convert(self, deal: UUID | None) -> None:
        account = self.lead.account_id or uuid4()
        registers = self.lead.account_id is None
        if refusal := self.is_over():
            with pytest.raises(refusal):
                self.lead.check_convertible(None, makes_account=False)
            with pytest.raises(refusal):
                self.lead.convert(account_id=account, account_registered=registers, deal_id=deal, at=self.later())
            return
        event = self.lead.convert(account_id=account, account_registered=registers, deal_id=deal, at=self.later())
        assert (event.account_id, event.deal_id, event.converted_at) == (account, deal, self.clock)
        self.events.append(event)
        self.expected = "converted"

    @rule()
    def cannot_go_back_in_time(self) -> None:
        refusal = self.is_over() or OccurredTooEarly
        with pytest.raises(refusal):
            self.lead.disqualify("no_budget", at=self.lead.changed_at - timedelta(microseconds=1))

    @invariant()
    def a_refused_action_leaves_no_trace(self) -> None:
        assert self.lead.version == len(self.events)
        assert self.lead.status == self.expected

    @invariant()
    def the_status_never_goes_back(self) -> None:
        ranks = [RANK[event.status] for event in self.events]
        assert ranks == sorted(ranks)

    @invariant()
    def the_partition_key_never_changes(self) -> None:
        assert self.lead.partition_key == self.partition_key

    @invariant()
    def the_last_event_is_the_row_and_one_of_the_contract(self) -> None:
        event = self.events[-1]
        assert {name: getattr(event, name) for name in self.lead.state_fields()} == self.lead.state_fields()
        sent = codec.encode(
            event,
            event_id=uuid4(),
            time=self.clock,
            recorded_time=self.clock,
            sequence=self.lead.version,
            partition_key=self.lead.partition_key,
        )
        assert codec.decode(sent).data == event
        assert b"Joana" not in sent


LeadLife.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestLeadLife = LeadLife.TestCase


def test_a_lead_of_a_known_customer_cannot_become_another_one() -> None:
    account = uuid4()
    lead, _ = Lead.create(
        name=None,
        company=None,
        email=None,
        phone=None,
        product=None,
        account_id=account,
        attribution=Attribution(),
        external_ref=None,
        at=BEGAN,
    )
    lead.check_convertible(None, makes_account=False)
    lead.check_convertible(account, makes_account=False)
    with pytest.raises(LeadHasAccount):
        lead.check_convertible(uuid4(), makes_account=False)
    with pytest.raises(LeadHasAccount):
        lead.check_convertible(None, makes_account=True)
