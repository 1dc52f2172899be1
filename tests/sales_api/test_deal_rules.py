"""The deal's rules without I/O: whatever is done to a deal, in whatever order, it and its events hold together."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import get_args
from uuid import uuid4

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from event_contracts import codec
from event_contracts.fields import DECIMAL_PLACES, Money
from event_contracts.sales import Deal as DealState
from event_contracts.sales import (
    DealAmended,
    DealClosed,
    DealReopened,
    DealStageChanged,
    FrozenRate,
    OpenStage,
    Outcome,
    Promise,
)
from sales_api.amounts import AmountTooLarge
from sales_api.attribution import Attribution
from sales_api.deals.model import (
    Agreed,
    DayRate,
    Deal,
    DealAlreadyClosed,
    DealNotClosed,
    DealStageUnchanged,
    PriceTooFine,
    PromiseOfLostDeal,
    Terms,
)
from service_kit.occurrence import OccurredTooEarly

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)

stages: st.SearchStrategy[OpenStage] = st.sampled_from(get_args(OpenStage))
outcomes: st.SearchStrategy[Outcome] = st.sampled_from(get_args(Outcome))
rates = st.decimals("0.0000000001", "100", places=10)
codes = st.one_of(st.none(), st.sampled_from(["north", "south"]))


def terms_in(currency: str) -> st.SearchStrategy[list[Terms]]:
    price = st.decimals(0, 10_000, places=DECIMAL_PLACES[currency])
    return st.lists(
        st.builds(Terms, product=st.sampled_from("abc"), quantity=st.integers(1, 1000), unit_price=price),
        min_size=1,
        max_size=5,
    )


def a_deal(currency: str = "EUR", *lines: tuple[int, str]) -> Deal:
    deal, _ = Deal.open(
        account_id=uuid4(),
        lead_id=None,
        title=None,
        currency=currency,
        lines=[Terms(product="a", quantity=n, unit_price=Decimal(price)) for n, price in lines or [(1, "10")]],
        attribution=Attribution(),
        expected_close_on=None,
        external_ref=None,
        at=BEGAN,
    )
    return deal


def win(deal: Deal, rate: str = "1", reporting_currency: str = "EUR") -> DealClosed:
    frozen = FrozenRate(rate=Decimal(rate), on=date(2026, 1, 1))
    return deal.close("won", reason=None, rate=frozen, reporting_currency=reporting_currency, at=deal.changed_at)


class DealLife(RuleBasedStateMachine):
    """Beside the deal it keeps a few plain facts, and compares."""

    @initialize(data=st.data(), currency=st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
    def opened(self, data: st.DataObject, currency: str) -> None:
        lines = data.draw(terms_in(currency))
        self.deal, event = Deal.open(
            account_id=uuid4(),
            lead_id=None,
            title="A deal",
            currency=currency,
            lines=lines,
            attribution=Attribution(region="north"),
            expected_close_on=None,
            external_ref=None,
            at=BEGAN,
        )
        self.clock = BEGAN
        self.stage: OpenStage = "prospecting"
        self.terms = lines
        self.closed_with: tuple[str, FrozenRate, datetime] | None = None
        self.reopened = 0
        self.events: list[DealState] = [event]

    def later(self, minutes: int = 1) -> datetime:
        self.clock += timedelta(minutes=minutes)
        return self.clock

    @rule(stage=stages)
    def changes_stage(self, stage: OpenStage) -> None:
        at = self.later()
        if self.closed_with is not None:
            with pytest.raises(DealAlreadyClosed):
                self.deal.change_stage(stage, at=at)
        elif stage == self.stage:
            with pytest.raises(DealStageUnchanged):
                self.deal.change_stage(stage, at=at)
        else:
            event = self.deal.change_stage(stage, at=at)
            assert isinstance(event, DealStageChanged)
            assert event.change.previous_stage == self.stage
            self.stage = stage
            self.events.append(event)

    @rule(outcome=outcomes, rate=rates)
    def closes(self, outcome: Outcome, rate: Decimal) -> None:
        at = self.later()
        frozen = FrozenRate(rate=rate, on=at.date())
        if self.closed_with is not None:
            with pytest.raises(DealAlreadyClosed):
                self.deal.close(outcome, reason="why", rate=frozen, reporting_currency="EUR", at=at)
        else:
            event = self.deal.close(outcome, reason="why", rate=frozen, reporting_currency="EUR", at=at)
            assert (event.change.outcome, event.change.previous_stage) == (outcome, self.stage)
            self.closed_with = (outcome, frozen, at)
            self.events.append(event)

    @rule()
    def reopens(self) -> None:
        at = self.later()
        if self.closed_with is None:
            with pytest.raises(DealNotClosed):
                self.deal.reopen(at=at)
        else:
            event = self.deal.reopen(at=at)
            assert isinstance(event, DealReopened)
            assert event.change.previous_outcome == self.closed_with[0]
            self.closed_with = None
            self.reopened += 1
            self.events.append(event)

    @rule(data=st.data())
    def amends_lines(self, data: st.DataObject) -> None:
        before = self.events[-1].amount
        self.terms = data.draw(terms_in(self.deal.currency))
        event = self.deal.amend({}, self.terms, at=self.later())
        assert isinstance(event, DealAmended)
        assert event.change.previous_amount == before
        self.events.append(event)

    @rule(region=codes)
    def amends_region(self, region: str | None) -> None:
        event = self.deal.amend({"region": region}, None, at=self.later())
        assert event.region == region
        self.events.append(event)

    @precondition(lambda self: self.closed_with is None)
    @rule()
    def cannot_amend_a_reason_that_is_not_there(self) -> None:
        with pytest.raises(DealNotClosed):
            self.deal.amend({"close_reason": "price"}, None, at=self.later())

    @rule()
    def cannot_go_back_in_time(self) -> None:
        with pytest.raises(OccurredTooEarly):
            self.deal.amend({"region": "west"}, None, at=self.deal.changed_at - timedelta(microseconds=1))

    @invariant()
    def the_version_counts_the_events(self) -> None:
        assert self.deal.version == len(self.events)

    @invariant()
    def the_last_event_is_the_row(self) -> None:
        event = self.events[-1]
        assert {name: getattr(event, name) for name in self.deal.state_fields()} == self.deal.state_fields()

    @invariant()
    def the_event_is_one_of_the_contract(self) -> None:
        sent = codec.encode(
            self.events[-1],
            event_id=uuid4(),
            time=self.clock,
            recorded_time=self.clock,
            sequence=self.deal.version,
            partition_key=self.deal.account_id,
        )
        assert codec.decode(sent).data == self.events[-1]

    @invariant()
    def the_stage_is_what_was_done(self) -> None:
        assert self.deal.stage == (self.closed_with[0] if self.closed_with else self.stage)
        assert self.deal.reopen_count == self.reopened
        assert self.deal.is_closed == (self.closed_with is not None)

    @invariant()
    def the_amount_is_the_sum_of_the_lines(self) -> None:
        assert self.deal.has_lines(self.terms)
        assert self.deal.amount == sum(terms.quantity * terms.unit_price for terms in self.terms)
        assert [line.position for line in self.deal.lines] == list(range(len(self.terms)))

    @invariant()
    def a_closed_deal_keeps_its_day_and_rate(self) -> None:
        state = self.events[-1]
        if self.closed_with is None:
            assert (state.closed_at, state.close_reason, state.frozen_rate, state.reporting_amount) == (None,) * 4
            assert {line.reporting_amount for line in state.lines} == {None}
        else:
            _, rate, at = self.closed_with
            assert state.closed_at == at
            assert state.frozen_rate == rate
            worth = [line.reporting_amount.minor_units() for line in state.lines if line.reporting_amount]
            assert len(worth) == len(state.lines)
            assert state.reporting_amount is not None
            assert state.reporting_amount.minor_units() == sum(worth)


DealLife.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestDealLife = DealLife.TestCase


@given(amount=st.decimals(0, 10**9, places=2), rate=rates)
def test_a_line_is_converted_to_the_nearest_unit(amount: Decimal, rate: Decimal) -> None:
    deal = a_deal("USD", (1, str(amount)))
    win(deal, str(rate), "JPY")
    assert deal.reporting_amount is not None
    assert deal.reporting_amount == deal.reporting_amount.to_integral_value()
    assert abs(deal.reporting_amount - amount * rate) <= Decimal("0.5")


@pytest.mark.parametrize(("amount", "worth"), [("0.05", "0.02"), ("0.15", "0.08"), ("0.25", "0.12")])
def test_a_half_goes_to_the_even_neighbour(amount: str, worth: str) -> None:
    deal = a_deal("USD", (1, amount))
    win(deal, "0.5")
    assert deal.reporting_amount == Decimal(worth)


def test_lines_are_rounded_one_by_one_and_the_deal_is_their_sum() -> None:
    deal = a_deal("USD", (1, "0.01"), (1, "0.01"), (1, "0.01"))
    win(deal, "0.6")
    assert [line.reporting_amount for line in deal.lines] == [Decimal("0.01")] * 3
    assert deal.reporting_amount == Decimal("0.03")


def test_a_price_finer_than_its_currency_is_refused() -> None:
    with pytest.raises(PriceTooFine):
        a_deal("JPY", (1, "10.5"))
    with pytest.raises(PriceTooFine):
        a_deal("EUR", (1, "10.555"))
    assert a_deal("EUR", (1, "10.5500")).amount == Decimal("10.55")


def test_the_largest_amount_is_exact() -> None:
    deal = a_deal("EUR", (1, "999999999999.99"))
    win(deal, "0.9999999999", "CLF")
    assert deal.reporting_amount == Decimal("999999999899.9900")


def test_amounts_beyond_twelve_digits_are_refused() -> None:
    with pytest.raises(AmountTooLarge):
        a_deal("EUR", (1_000_000, "1000000.00"))
    with pytest.raises(AmountTooLarge):
        a_deal("EUR", *[(1_000_000, "999999999999.99")] * 100)
    for rate in ("1.1", "999999999999.9999999999"):
        with pytest.raises(AmountTooLarge):
            win(a_deal("EUR", (1, "999999999999.99")), rate, "CLF")


def test_a_deal_stores_every_stage_with_its_start() -> None:
    deal = a_deal()
    deal.change_stage("proposal", at=BEGAN + timedelta(days=1))
    win(deal)
    event = deal.reopen(at=BEGAN + timedelta(days=3))
    assert [(entry.stage, (entry.entered_at - BEGAN).days) for entry in event.stage_entries] == [
        ("prospecting", 0),
        ("proposal", 1),
        ("won", 1),
        ("proposal", 3),
    ]


def test_an_open_deal_is_worth_what_it_is_at_the_rate_of_the_day() -> None:
    deal = a_deal("USD", (2, "10.01"))
    assert deal.state_fields()["estimated_reporting_amount"] is None
    today = DayRate(rate=Decimal("0.9"), reporting_currency="EUR")
    moved = deal.change_stage("proposal", at=BEGAN, day_rate=today)
    assert moved.estimated_reporting_amount == Money(amount=Decimal("18.02"), currency="EUR")
    more = deal.amend({}, [Terms(product="a", quantity=1, unit_price=Decimal(100))], at=BEGAN, day_rate=today)
    assert more.estimated_reporting_amount == Money(amount=Decimal("90.00"), currency="EUR")
    assert win(deal, "0.8").estimated_reporting_amount is None
    huge = DayRate(rate=Decimal(10) ** 11, reporting_currency="EUR")
    assert deal.reopen(at=deal.changed_at, day_rate=huge).estimated_reporting_amount is None


def test_the_first_proposal_is_stored_and_all_are_counted() -> None:
    deal = a_deal()
    deal.send_proposal(at=BEGAN + timedelta(days=1))
    event = deal.send_proposal(at=BEGAN + timedelta(days=2))
    assert (event.proposal_sent_at, event.proposal_count) == (BEGAN + timedelta(days=1), 2)
    win(deal)
    with pytest.raises(DealAlreadyClosed):
        deal.send_proposal(at=deal.changed_at)


def test_a_deal_is_won_with_a_promise_which_reopening_removes() -> None:
    frozen, by = FrozenRate(rate=Decimal(1), on=BEGAN.date()), date(2026, 2, 1)

    def close(deal: Deal, outcome: Outcome, agreed: Agreed) -> DealClosed:
        return deal.close(outcome, reason=None, rate=frozen, reporting_currency="EUR", at=BEGAN, agreed=agreed)

    deal = a_deal("EUR", (3, "10"))
    with pytest.raises(PromiseOfLostDeal):
        close(deal, "lost", Agreed(deliver_by=by))
    with pytest.raises(PriceTooFine):
        close(deal, "won", Agreed(deliver_by=by, price=Decimal("9.999")))
    assert (deal.version, deal.promise) == (1, None)
    won = close(deal, "won", Agreed(deliver_by=by, quality="gold"))
    assert won.promise == Promise(deliver_by=by, price=Money(amount=Decimal("30.00"), currency="EUR"), quality="gold")
    assert deal.reopen(at=BEGAN).promise is None
