"""A deal and its rules, from opened to won or lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, get_args
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from event_contracts.fields import Money
from event_contracts.sales import Deal as ContractDeal
from event_contracts.sales import (
    DealAmended,
    DealAmendment,
    DealClosed,
    DealClosing,
    DealErased,
    DealOpened,
    DealReopened,
    DealReopening,
    DealStageChange,
    DealStageChanged,
    FrozenRate,
    OpenStage,
    Outcome,
    Promise,
    ProposalSent,
    Stage,
    StageEntry,
)
from event_contracts.sales import DealLine as ContractLine
from sales_api.amounts import AMOUNT, LIMIT, RATE, check_limit, converted, has_places_of, money, times, trimmed
from sales_api.attribution import Attribution
from sales_api.tables import Base
from service_kit.custom_fields.model import Customized, customized
from service_kit.entities import OfCustomer, Recorded, column, names_of, state_of
from service_kit.identifiers import new_id
from service_kit.occurrence import check_follows
from service_kit.problems import Conflict, Unprocessable
from service_kit.references import erased_ref
from service_kit.tables import filtered, one_of, searched, sorted_by_name, unassigned


class DealAlreadyClosed(Conflict):
    """It was won or lost."""

    slug, title = "deal-already-closed", "The deal is closed"


class DealAlreadyErased(Conflict):
    """Its customer was erased: nothing more may be written about them."""

    slug, title = "deal-already-erased", "The deal's customer was erased"


class DealNotClosed(Conflict):
    """It is still open."""

    slug, title = "deal-not-closed", "The deal is open"


class DealStageUnchanged(Conflict):
    """It is in that stage."""

    slug, title = "deal-stage-unchanged", "The deal is in that stage already"


class PriceTooFine(Unprocessable):
    """A price has more decimal places than its currency."""

    slug, title = "price-too-fine", "The price has too many decimal places"


class PromiseOfLostDeal(Unprocessable):
    """Only a won deal has a promise."""

    slug, title = "promise-of-lost-deal", "A lost deal promises nothing"


@dataclass(frozen=True, kw_only=True, slots=True)
class DayRate:
    """The worth of one unit of a deal's currency in the reporting currency: the rate that values an open deal."""

    rate: Decimal
    reporting_currency: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreed:
    """What a deal is won with; without a price, it is the deal's amount."""

    deliver_by: date
    price: Decimal | None = None
    quality: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """A line of a deal to be: a quantity of a product, at a price in the deal's currency."""

    product: str
    quantity: int
    unit_price: Decimal


class DealLine(Base, table="deal_line", audited=False):
    """One product of a deal."""

    deal_id: Annotated[UUID, column(references="deal.id", primary_key=True)]
    position: Annotated[int, column(sa.SmallInteger, primary_key=True)]
    product: Annotated[str, column(references="product.code")]
    quantity: int
    unit_price: Annotated[Decimal, column(AMOUNT)]
    amount: Annotated[Decimal, column(AMOUNT, comment="quantity times unit price")]
    reporting_amount: Annotated[Decimal | None, column(AMOUNT, comment="null while the deal is open")] = None

    __table_args__: ClassVar = (sa.CheckConstraint("quantity > 0", name="quantity"),)

    def matches(self, terms: Terms) -> bool:
        """Return whether the line has exactly these terms."""
        return (self.product, self.quantity, self.unit_price) == (terms.product, terms.quantity, terms.unit_price)


class Deal(Customized, OfCustomer, Recorded, Base, table="deal"):
    """A sale in the pipeline. Loaded with its lines, always."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    account_id: Annotated[UUID, column(references="account.id")]
    lead_id: Annotated[UUID | None, column(references="lead.id")] = None
    title: Annotated[str | None, column(personal=True)] = None
    stage: Stage
    closed_from: Annotated[OpenStage | None, column(comment="the stage that reopening leads back to")] = None
    currency: str
    amount: Annotated[Decimal, column(AMOUNT, comment="the sum of the lines")] = Decimal(0)
    owner_id: Annotated[UUID | None, column(references="rep.id")] = None
    team_id: Annotated[UUID | None, column(references="team.id")] = None
    region: str | None = None
    segment: str | None = None
    channel: str | None = None
    opened_at: datetime
    expected_close_on: date | None = None
    closed_at: datetime | None = None
    close_reason: str | None = None
    rate: Annotated[Decimal | None, column(RATE, comment="reporting currency for one unit, frozen on closing")] = None
    rate_on: date | None = None
    reporting_currency: str | None = None
    reporting_amount: Annotated[Decimal | None, column(AMOUNT)] = None
    reopen_count: int = 0
    stage_entries: Annotated[
        list[dict[str, str]],
        column(JSONB, comment="each stage that it was in, with its start"),
    ]
    estimated_reporting_amount: Annotated[
        Decimal | None, column(AMOUNT, comment="at the rate of the day of the latest change, while it is open")
    ] = None
    estimated_currency: Annotated[str | None, column(comment="the reporting currency then")] = None
    proposal_sent_at: Annotated[datetime | None, column(comment="when the first one went out")] = None
    proposal_count: int
    promised_by: date | None = None
    promised_price: Annotated[Decimal | None, column(AMOUNT)] = None
    promised_quality: str | None = None
    upsell_suggestion_id: UUID | None = None
    external_ref: Annotated[str | None, column(unique=True, personal=True)] = None
    erased_at: datetime | None = None
    changed_at: Annotated[datetime, column(comment="when the latest change happened in the business")]
    lines: list[DealLine] = field(default_factory=list)

    __table_args__: ClassVar = (
        *filtered("deal", ("account_id", "lead_id", "currency", "owner_id", "team_id")),
        *filtered("deal", ("stage",), covering=("amount", "currency")),
        unassigned("deal", "owner_id", "team_id"),
        *filtered("deal", ("region", "segment", "channel", "close_reason")),
        one_of("stage", get_args(Stage)),
        one_of("closed_from", get_args(OpenStage)),
        sa.CheckConstraint("(stage in ('won', 'lost')) = (closed_at is not null)", name="closed_at"),
        sa.CheckConstraint("(promised_by is null) = (promised_price is null)", name="promise"),
        *filtered("deal", ("amount", "opened_at", "expected_close_on", "closed_at", "updated_at")),
        *sorted_by_name("deal", "title"),
        searched("deal", "title", "external_ref"),
        customized("deals"),
    )

    @classmethod
    def open(
        cls,
        *,
        account_id: UUID,
        lead_id: UUID | None,
        title: str | None,
        currency: str,
        lines: Sequence[Terms],
        attribution: Attribution,
        expected_close_on: date | None,
        external_ref: str | None,
        at: datetime,
        upsell_suggestion_id: UUID | None = None,
        day_rate: DayRate | None = None,
        custom: Mapping[str, Any] | None = None,
    ) -> tuple["Deal", DealOpened]:
        """Return a new deal, in the first stage. Raise `PriceTooFine`, `AmountTooLarge`."""
        deal = cls(
            id=new_id(),
            version=1,
            account_id=account_id,
            lead_id=lead_id,
            title=title,
            stage="prospecting",
            currency=currency,
            opened_at=at,
            expected_close_on=expected_close_on,
            reopen_count=0,
            stage_entries=[_entry("prospecting", at)],
            proposal_count=0,
            upsell_suggestion_id=upsell_suggestion_id,
            external_ref=external_ref,
            changed_at=at,
            **attribution.columns(),
            **(custom or {}),
        )
        deal._replace_lines(lines)
        deal._estimate(day_rate)
        return deal, DealOpened(**deal.state_fields())

    @property
    def partition_key(self) -> UUID:
        """The id of the account, or of the one that it was recorded under."""
        return self.keyed_by or self.account_id

    @property
    def is_closed(self) -> bool:
        """Whether it was won or lost."""
        return self.closed_at is not None

    def check_open(self) -> None:
        """Raise `DealAlreadyClosed`."""
        self._open_stage()

    def change_stage(self, stage: OpenStage, *, at: datetime, day_rate: DayRate | None = None) -> DealStageChanged:
        """Move it along the pipeline, forwards or back. Raise `DealAlreadyClosed`, `DealStageUnchanged`."""
        previous = self._open_stage()
        if stage == previous:
            raise DealStageUnchanged(f"The deal is in {stage}. Name another stage.")
        self._step(at)
        self._enter(stage, at)
        self._estimate(day_rate)
        return DealStageChanged(**self.state_fields(), change=DealStageChange(previous_stage=previous))

    def send_proposal(self, *, at: datetime, day_rate: DayRate | None = None) -> ProposalSent:
        """Record a proposal to the customer. Raise `DealAlreadyClosed`."""
        self.check_open()
        self._step(at)
        self.proposal_count += 1
        if self.proposal_sent_at is None:
            self.proposal_sent_at = at
        self._estimate(day_rate)
        return ProposalSent(**self.state_fields())

    def close(
        self,
        outcome: Outcome,
        *,
        reason: str | None,
        rate: FrozenRate,
        reporting_currency: str,
        at: datetime,
        agreed: Agreed | None = None,
    ) -> DealClosed:
        """Win or lose it, and freeze its worth.

        Raise `DealAlreadyClosed`, `AmountTooLarge`, `PromiseOfLostDeal` and, for the promised price, `PriceTooFine`.
        """
        previous = self._open_stage()
        if agreed is not None:
            self._check_promise(outcome, agreed)
            self.promised_by, self.promised_quality = agreed.deliver_by, agreed.quality
            self.promised_price = self.amount if agreed.price is None else agreed.price
        self._step(at)
        self.closed_from = previous
        self._enter(outcome, at)
        self.closed_at = at
        self._estimate(None)
        self.close_reason = reason
        self.rate = rate.rate
        self.rate_on = rate.on
        self.reporting_currency = reporting_currency
        self._convert()
        return DealClosed(**self.state_fields(), change=DealClosing(outcome=outcome, previous_stage=previous))

    def reopen(self, *, at: datetime, day_rate: DayRate | None = None) -> DealReopened:
        """Reopen it in the stage that it was closed from. Raise `DealNotClosed`."""
        if self.closed_from is None or (self.stage != "won" and self.stage != "lost"):
            raise DealNotClosed("Only a won or lost deal can be reopened.")
        previous: Outcome = self.stage
        self._step(at)
        self._enter(self.closed_from, at)
        self.promised_by = self.promised_price = self.promised_quality = None
        self.closed_from = self.closed_at = self.close_reason = None
        self.rate = self.rate_on = self.reporting_currency = self.reporting_amount = None
        for line in self.lines:
            line.reporting_amount = None
        self.reopen_count += 1
        self._estimate(day_rate)
        return DealReopened(**self.state_fields(), change=DealReopening(previous_outcome=previous))

    def amend(
        self,
        changes: Mapping[str, Any],
        lines: Sequence[Terms] | None,
        *,
        at: datetime,
        day_rate: DayRate | None = None,
    ) -> DealAmended:
        """Correct columns by name and the lines, where given: it is as if it had been opened so.

        A closed deal keeps its day and its rate. Raise `DealNotClosed` for the reason of an open deal,
        `DealAlreadyErased` for what is personal of an erased one, `PriceTooFine` and `AmountTooLarge`.
        """
        if "close_reason" in changes and not self.is_closed:
            raise DealNotClosed("Leave the reason out: it is why a deal was closed.")
        if changes.keys() & {"title", "custom_personal"} and self.erased_at is not None:
            raise DealAlreadyErased("Leave the title and personal fields out; all else can still be recorded.")
        self._step(at)
        previous = money(self.amount, self.currency)
        if "account_id" in changes:
            self.keep_key()
        for name, value in changes.items():
            setattr(self, name, value)
        if lines is not None:
            self._replace_lines(lines)
        if not self.is_closed:
            self._estimate(day_rate)
        fields = names_of([*changes, *(["lines"] if lines is not None else [])])
        return DealAmended(**self.state_fields(), change=DealAmendment(previous_amount=previous, fields=fields))

    def erase(self, *, at: datetime) -> DealErased:
        """Erase what was written about it; all that is counted stays."""
        self._step(at)
        self.title = None
        self.custom_personal = {}
        self.external_ref = erased_ref(self.external_ref)
        self.erased_at = at
        return DealErased(**self.state_fields())

    def has_lines(self, lines: Sequence[Terms]) -> bool:
        """Return whether its lines are exactly these."""
        return len(self.lines) == len(lines) and all(
            line.matches(terms) for line, terms in zip(self.lines, lines, strict=True)
        )

    def state_fields(self) -> dict[str, Any]:
        """Return the state that all of its events carry."""
        return state_of(
            self,
            ContractDeal,
            lines=[self._contract_line(line) for line in self.lines],
            amount=money(self.amount, self.currency),
            reporting_amount=self._reporting_money(self.reporting_amount),
            estimated_reporting_amount=self._estimated_money(),
            stage_entries=self.entries,
        )

    @property
    def frozen_rate(self) -> FrozenRate | None:
        """The rate that it was closed at; None for an open deal."""
        if self.rate is None or self.rate_on is None:
            return None
        return FrozenRate(rate=trimmed(self.rate), on=self.rate_on)

    @property
    def entries(self) -> list[StageEntry]:
        """Every stage that it was in, in order of time."""
        return msgspec.convert(self.stage_entries, list[StageEntry])

    @property
    def promise(self) -> Promise | None:
        """What it was won with; None for an open deal, and where nothing was promised."""
        if self.promised_by is None or self.promised_price is None:
            return None
        price = money(self.promised_price, self.currency)
        return Promise(deliver_by=self.promised_by, price=price, quality=self.promised_quality)

    def _check_promise(self, outcome: Outcome, agreed: Agreed) -> None:
        if outcome != "won":
            raise PromiseOfLostDeal("Leave out the promise, or win the deal.")
        if agreed.price is not None and not has_places_of(agreed.price, self.currency):
            raise PriceTooFine(f"The promised price has more decimal places than {self.currency}.")

    def _enter(self, stage: Stage, at: datetime) -> None:
        self.stage = stage
        # A new list: a change within the old one would go unnoticed.
        self.stage_entries = [*self.stage_entries, _entry(stage, at)]

    def _estimate(self, day_rate: DayRate | None) -> None:
        self.estimated_reporting_amount = self.estimated_currency = None
        if day_rate is not None:
            amount = converted(self.amount, day_rate.rate, day_rate.reporting_currency)
            # An estimate refuses nothing; closing will refuse the amount.
            if amount < LIMIT:
                self.estimated_reporting_amount, self.estimated_currency = amount, day_rate.reporting_currency

    def _estimated_money(self) -> Money | None:
        if self.estimated_reporting_amount is None or self.estimated_currency is None:
            return None
        return money(self.estimated_reporting_amount, self.estimated_currency)

    def _open_stage(self) -> OpenStage:
        if self.stage == "won" or self.stage == "lost":
            raise DealAlreadyClosed(f"The deal was {self.stage}. Reopen it first, or amend it.")
        return self.stage

    def _step(self, at: datetime) -> None:
        check_follows(at, self.changed_at)
        self.version += 1
        self.changed_at = at

    def _replace_lines(self, lines: Sequence[Terms]) -> None:
        for position, terms in enumerate(lines):
            if not has_places_of(terms.unit_price, self.currency):
                raise PriceTooFine(
                    f"Line {position + 1}: {terms.unit_price} has more decimal places than {self.currency}."
                )
        self.lines = [
            DealLine(
                deal_id=self.id,
                position=position,
                product=terms.product,
                quantity=terms.quantity,
                unit_price=terms.unit_price,
                amount=times(terms.unit_price, terms.quantity),
            )
            for position, terms in enumerate(lines)
        ]
        self.amount = sum((line.amount for line in self.lines), Decimal(0))
        check_limit(self.amount, "The deal's amount")
        if self.is_closed:
            self._convert()

    def _convert(self) -> None:
        """Every line at the frozen rate; the deal is worth their sum, so that the parts add up to the whole."""
        rate, currency = self.rate, self.reporting_currency
        assert rate is not None  # noqa: S101 -- only called once closed
        assert currency is not None  # noqa: S101
        worth = [converted(line.amount, rate, currency) for line in self.lines]
        total = sum(worth, Decimal(0))
        check_limit(total, "The deal's amount in the reporting currency")
        for line, amount in zip(self.lines, worth, strict=True):
            line.reporting_amount = amount
        self.reporting_amount = total

    def _contract_line(self, line: DealLine) -> ContractLine:
        return ContractLine(
            product=line.product,
            quantity=line.quantity,
            unit_price=money(line.unit_price, self.currency),
            amount=money(line.amount, self.currency),
            reporting_amount=self._reporting_money(line.reporting_amount),
        )

    def _reporting_money(self, amount: Decimal | None) -> Money | None:
        if amount is None or self.reporting_currency is None:
            return None
        return money(amount, self.reporting_currency)


def _entry(stage: Stage, at: datetime) -> dict[str, str]:
    return {"stage": stage, "entered_at": at.isoformat()}
