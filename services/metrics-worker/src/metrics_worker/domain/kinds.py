"""The kinds of subject that books are kept of: which state, dimensions, measures and rule each has."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, get_type_hints

import msgspec

from event_contracts.sales import Account, Activity, Deal, Lead, Quota, Referral
from event_contracts.service import (
    CheckIn,
    Customer,
    Delivery,
    Interaction,
    Maintenance,
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
    quota,
    relationship,
    survey,
    ticket,
)
from metrics_worker.domain.customer_facts import Fact
from metrics_worker.domain.posting import Measure, Posting, Reporting

RULES_VERSION = 5
"""Raise it when any `postings_for` changes what it returns: books kept by other rules have to be rebuilt."""


def _nothing(_state: Any, _reporting: Reporting) -> list[Posting]:
    return []


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of subject. Its name prefixes the tables: `deal_subject`, `deal_posting`, `deal_balance`."""

    name: str
    subject_kind: str
    """As events name it: the `deals` of `deals/<uuid>`."""
    state: type[msgspec.Struct]
    dimensions: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    measure_docs: tuple[Measure, ...] = ()
    postings_for: Callable[[Any, Reporting], list[Posting]] = _nothing
    split_by: str | None = None
    """The dimension that a subject may have several values of; its postings carry `split`."""
    sequenced: bool = True
    """False when the subject's own sequence has gaps by nature: an interaction borrows its ticket's."""
    customer_field: str | None = None
    """The field of its state that holds the customer's id; None where it is about none, or not told apart by it."""
    fact_of: Callable[[Any, Reporting], Fact | None] | None = None
    """What of its state matters to the customer's story; None where nothing does."""
    derived: bool = False
    """True when no event tells its state: it follows from the facts of other kinds."""

    durations: tuple[str, ...] = field(init=False)
    """The measures that have a histogram, in the order of a posting's `buckets`."""
    counting: tuple[int, ...] = field(init=False)
    """For each of them, where among the measures the one stands that counts them."""

    def __post_init__(self) -> None:
        timed = [
            (name, self.measures.index(measure.counted_by))
            for name, measure in zip(self.measures, self.measure_docs, strict=True)
            if measure.counted_by is not None
        ]
        object.__setattr__(self, "durations", tuple(name for name, _ in timed))
        object.__setattr__(self, "counting", tuple(index for _, index in timed))

    def measure_named(self, name: str) -> Measure:
        """What is said of one of its measures. Raises ValueError when there is none of that name."""
        return self.measure_docs[self.measures.index(name)]

    @property
    def levels(self) -> tuple[str, ...]:
        """The measures that stand rather than happen."""
        return tuple(name for name, measure in zip(self.measures, self.measure_docs, strict=True) if measure.level)

    @property
    def kept(self) -> bool:
        """True when the kind has postings and balances; otherwise only its latest states are kept."""
        return bool(self.measures)


def _kind(
    name: str,
    subject_kind: str,
    state: type[msgspec.Struct],
    dimensions: Any,
    measures: Any,
    postings_for: Callable[[Any, Reporting], list[Posting]],
    *,
    split_by: str | None = None,
    sequenced: bool = True,
    customer: str | None = None,
    fact_of: Callable[[Any, Reporting], Fact | None] | None = None,
    derived: bool = False,
) -> Kind:
    hints = get_type_hints(measures, include_extras=True)
    return Kind(
        name=name,
        subject_kind=subject_kind,
        state=state,
        dimensions=dimensions._fields,
        measures=measures._fields,
        measure_docs=tuple(hints[field].__metadata__[0] for field in measures._fields),
        postings_for=postings_for,
        split_by=split_by,
        sequenced=sequenced,
        customer_field=customer,
        fact_of=fact_of,
        derived=derived,
    )


KINDS: tuple[Kind, ...] = (
    # Every transaction writes the kinds in this order, so that two consumers never wait for each other in a circle.
    _kind(
        "account",
        "accounts",
        Account,
        activity.SellingDimensions,
        account.AccountMeasures,
        account.postings_for,
        customer="id",
        fact_of=customer_facts.of_account,
    ),
    Kind(
        name="customer",
        subject_kind="customers",
        state=Customer,
        customer_field="id",
        fact_of=customer_facts.of_customer,
    ),
    _kind("lead", "leads", Lead, lead.LeadDimensions, lead.LeadMeasures, lead.postings_for, customer="account_id"),
    _kind(
        "deal",
        "deals",
        Deal,
        deal.DealDimensions,
        deal.DealMeasures,
        deal.postings_for,
        split_by="product",
        customer="account_id",
        fact_of=customer_facts.of_deal,
    ),
    _kind("quota", "quotas", Quota, quota.QuotaDimensions, quota.QuotaMeasures, quota.postings_for),
    _kind(
        "ticket",
        "tickets",
        Ticket,
        ticket.ServiceDimensions,
        ticket.TicketMeasures,
        ticket.postings_for,
        customer="customer_id",
        fact_of=customer_facts.of_ticket,
    ),
    _kind(
        "interaction",
        "interactions",
        Interaction,
        ticket.ServiceDimensions,
        interaction.InteractionMeasures,
        interaction.postings_for,
        sequenced=False,
        customer="customer_id",
    ),
    _kind(
        "survey",
        "surveys",
        Survey,
        ticket.ServiceDimensions,
        survey.SurveyMeasures,
        survey.postings_for,
        customer="customer_id",
        fact_of=customer_facts.of_survey,
    ),
    _kind(
        "activity",
        "activities",
        Activity,
        activity.SellingDimensions,
        activity.ActivityMeasures,
        activity.postings_for_activity,
        customer="account_id",
    ),
    _kind(
        "referral",
        "referrals",
        Referral,
        activity.SellingDimensions,
        activity.ReferralMeasures,
        activity.postings_for_referral,
        customer="account_id",
    ),
    _kind(
        "training",
        "trainings",
        Training,
        care.CareDimensions,
        care.TrainingMeasures,
        care.postings_for_training,
        customer="customer_id",
    ),
    _kind(
        "checkin",
        "checkins",
        CheckIn,
        care.CareDimensions,
        care.CheckInMeasures,
        care.postings_for_check_in,
        customer="customer_id",
    ),
    _kind(
        "maintenance",
        "maintenance",
        Maintenance,
        care.CareDimensions,
        care.MaintenanceMeasures,
        care.postings_for_maintenance,
        customer="customer_id",
    ),
    _kind(
        "delivery",
        "deliveries",
        Delivery,
        delivery.DeliveryDimensions,
        delivery.DeliveryMeasures,
        delivery.postings_for,
        customer="customer_id",
    ),
    _kind(
        "review",
        "reviews",
        Review,
        care.ReviewDimensions,
        care.ReviewMeasures,
        care.postings_for_review,
        customer="customer_id",
    ),
    _kind(
        "upsell",
        "upsells",
        UpsellSuggestion,
        care.CareDimensions,
        care.UpsellMeasures,
        care.postings_for_upsell,
        customer="customer_id",
    ),
    _kind(
        "relationship",
        "relationships",
        relationship.Version,
        relationship.RelationshipDimensions,
        relationship.RelationshipMeasures,
        relationship.postings_for,
        split_by="product",
        derived=True,
    ),
)

TOLD_KINDS: tuple[Kind, ...] = tuple(kind for kind in KINDS if not kind.derived)
"""Those whose states events tell."""
KIND_OF_SUBJECT: dict[str, Kind] = {kind.subject_kind: kind for kind in TOLD_KINDS}
KIND_BY_NAME: dict[str, Kind] = {kind.name: kind for kind in KINDS}
DIMENSIONS: tuple[str, ...] = tuple(dict.fromkeys(name for kind in KINDS for name in kind.dimensions))
"""Every dimension there is, in the order in which documents list them."""
IDENTITY_DIMENSIONS = frozenset({"owner", "team", "customer"})
"""Dimensions whose values are UUIDs; all others hold codes."""
