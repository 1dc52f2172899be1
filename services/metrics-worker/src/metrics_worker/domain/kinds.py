"""The kinds of subject that the ledger measures: the state, dimensions, measures and rule of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from event_contracts.sales import Account, Activity, Deal, Lead, Quota, Referral
from event_contracts.service import (
    CheckIn,
    Customer,
    Delivery,
    Interaction,
    Maintenance,
    OnboardingStep,
    Review,
    Survey,
    Ticket,
    Training,
    UpsellSuggestion,
)
from metrics_worker.domain import (
    account,
    activity,
    care,
    customer_facts,
    deal,
    delivery,
    interaction,
    lead,
    onboarding_step,
    quota,
    relationship,
    survey,
    ticket,
    waiting,
)
from metrics_worker.domain.customer_facts import Fact
from metrics_worker.domain.customer_timeline import TimelineEntry
from metrics_worker.domain.measure import Measure
from metrics_worker.domain.posting import Posting, Reporting
from metrics_worker.domain.waiting import OpenWait

RULES_VERSION = 15
"""Raise it when any `postings_for` changes what it returns: a ledger written by other rules has to be rebuilt."""


def _no_postings(_state: Any, _reporting: Reporting) -> list[Posting]:
    return []


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of subject. Its name prefixes the tables."""

    name: str
    subject_kind: str
    """As events name it: the `deals` of `deals/<uuid>`."""
    state: type[msgspec.Struct]
    dimensions: tuple[str, ...] = ()
    columns: tuple[Measure, ...] = ()
    """Its measures. Empty where only the latest states are kept."""
    postings_for: Callable[[Any, Reporting], list[Posting]] = _no_postings
    split_by: str | None = None
    """The dimension that a subject may have several values of; its postings carry `split`."""
    is_sequenced: bool = True
    """False when the subject's own sequence has gaps by nature: an interaction borrows its ticket's."""
    customer_field: str | None = None
    """The field of its state that holds the customer's id; None where no customer is named or none is measured."""
    fact_of: Callable[[Any, Reporting], Fact | None] | None = None
    """What its state contributes to the customer's timeline; None where nothing does."""
    open_waits: Callable[[Any, Reporting], Sequence[OpenWait]] | None = None
    """Returns the waits of its customer that are not over, by its state; None for kinds without waits."""
    is_derived: bool = False
    """True when no event carries its state: it follows from the facts of other kinds."""

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """Return the names of its measures."""
        return tuple(measure.column for measure in self.columns)

    @cached_property
    def durations(self) -> tuple[str, ...]:
        """Return the measures that have a histogram, in the order of a posting's `buckets`."""
        return tuple(measure.column for measure in self.columns if measure.counted_by is not None)

    @cached_property
    def counters(self) -> tuple[int, ...]:
        """Return, for each duration, the position of the measure that counts it."""
        return tuple(measure.counted_by.position for measure in self.columns if measure.counted_by is not None)

    @cached_property
    def semi_additive(self) -> tuple[str, ...]:
        """Return the semi-additive measures."""
        return tuple(measure.column for measure in self.columns if measure.semi_additive)

    @property
    def has_postings(self) -> bool:
        """Return whether the kind has postings and sums; otherwise only its latest states are kept."""
        return bool(self.columns)

    def measure_named(self, name: str) -> Measure:
        """Return one of its measures. Raise ValueError when none has that name."""
        return self.columns[self.measures.index(name)]


KINDS: tuple[Kind, ...] = (
    # Every transaction writes the kinds in this order, so that two consumers never wait for each other in a circle.
    Kind(
        "account",
        "accounts",
        Account,
        activity.SellingDimensions._fields,
        account.AccountMeasures.columns,
        account.postings_for,
        customer_field="id",
        fact_of=customer_facts.of_account,
    ),
    Kind("customer", "customers", Customer, customer_field="id", fact_of=customer_facts.of_customer),
    Kind(
        "lead",
        "leads",
        Lead,
        lead.LeadDimensions._fields,
        lead.LeadMeasures.columns,
        lead.postings_for,
        customer_field="account_id",
        open_waits=waiting.of_lead,
    ),
    Kind(
        "deal",
        "deals",
        Deal,
        deal.DealDimensions._fields,
        deal.DealMeasures.columns,
        deal.postings_for,
        split_by="product",
        customer_field="account_id",
        fact_of=customer_facts.of_deal,
    ),
    Kind("quota", "quotas", Quota, quota.QuotaDimensions._fields, quota.QuotaMeasures.columns, quota.postings_for),
    Kind(
        "ticket",
        "tickets",
        Ticket,
        ticket.ServiceDimensions._fields,
        ticket.TicketMeasures.columns,
        ticket.postings_for,
        customer_field="customer_id",
        fact_of=customer_facts.of_ticket,
        open_waits=waiting.of_ticket,
    ),
    Kind(
        "interaction",
        "interactions",
        Interaction,
        ticket.ServiceDimensions._fields,
        interaction.InteractionMeasures.columns,
        interaction.postings_for,
        is_sequenced=False,
        customer_field="customer_id",
    ),
    Kind(
        "survey",
        "surveys",
        Survey,
        survey.SurveyDimensions._fields,
        survey.SurveyMeasures.columns,
        survey.postings_for,
        customer_field="customer_id",
        fact_of=customer_facts.of_survey,
        open_waits=waiting.of_survey,
    ),
    Kind(
        "activity",
        "activities",
        Activity,
        activity.SellingDimensions._fields,
        activity.ActivityMeasures.columns,
        activity.postings_for_activity,
        customer_field="account_id",
        open_waits=waiting.of_activity,
    ),
    Kind(
        "referral",
        "referrals",
        Referral,
        activity.SellingDimensions._fields,
        activity.ReferralMeasures.columns,
        activity.postings_for_referral,
        customer_field="account_id",
    ),
    Kind(
        "training",
        "trainings",
        Training,
        care.CareDimensions._fields,
        care.TrainingMeasures.columns,
        care.postings_for_training,
        customer_field="customer_id",
    ),
    Kind(
        "checkin",
        "checkins",
        CheckIn,
        care.CareDimensions._fields,
        care.CheckInMeasures.columns,
        care.postings_for_check_in,
        customer_field="customer_id",
    ),
    Kind(
        "maintenance",
        "maintenance",
        Maintenance,
        care.CareDimensions._fields,
        care.MaintenanceMeasures.columns,
        care.postings_for_maintenance,
        customer_field="customer_id",
    ),
    Kind(
        "delivery",
        "deliveries",
        Delivery,
        delivery.DeliveryDimensions._fields,
        delivery.DeliveryMeasures.columns,
        delivery.postings_for,
        customer_field="customer_id",
    ),
    Kind(
        "review",
        "reviews",
        Review,
        care.ReviewDimensions._fields,
        care.ReviewMeasures.columns,
        care.postings_for_review,
        customer_field="customer_id",
    ),
    Kind(
        "upsell",
        "upsells",
        UpsellSuggestion,
        care.CareDimensions._fields,
        care.UpsellMeasures.columns,
        care.postings_for_upsell,
        customer_field="customer_id",
    ),
    Kind(
        "onboardingstep",
        "onboardingsteps",
        OnboardingStep,
        onboarding_step.OnboardingStepDimensions._fields,
        onboarding_step.OnboardingStepMeasures.columns,
        onboarding_step.postings_for,
        customer_field="customer_id",
        fact_of=customer_facts.of_onboarding_step,
        open_waits=waiting.of_onboarding_step,
    ),
    Kind(
        "relationship",
        "relationships",
        TimelineEntry,
        relationship.RelationshipDimensions._fields,
        relationship.RelationshipMeasures.columns,
        relationship.postings_for,
        split_by="product",
        is_derived=True,
    ),
)

EVENT_KINDS: tuple[Kind, ...] = tuple(kind for kind in KINDS if not kind.is_derived)
"""Those whose states events carry."""
KIND_BY_SUBJECT_KIND: dict[str, Kind] = {kind.subject_kind: kind for kind in EVENT_KINDS}
KIND_BY_NAME: dict[str, Kind] = {kind.name: kind for kind in KINDS}
DIMENSIONS: tuple[str, ...] = tuple(dict.fromkeys(name for kind in KINDS for name in kind.dimensions))
"""Every dimension there is, in the order in which documents list them."""
IDENTITY_DIMENSIONS = frozenset({"owner", "team", "customer"})
"""Dimensions whose values are UUIDs; all others hold codes."""
