"""What a timeline shows of an event in one line: a few typed fields of its state and of its step.

Events have neither names nor texts of people, so that nothing of this is to be erased.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from event_contracts import sales, service
from event_contracts.catalogue import EVENT_TYPES, SALES_TOPIC, SERVICE_TOPIC, EventType, State
from event_contracts.planned_work import WorkMoving

RECORDS: Final[Mapping[str, Mapping[str, str]]] = {
    SALES_TOPIC: {each: each for each in ("accounts", "leads", "deals", "activities", "referrals")},
    SERVICE_TOPIC: {
        **{each: each for each in ("customers", "tickets", "surveys", "trainings", "maintenance", "deliveries")},
        "reviews": "reviews",
        "checkins": "check-ins",
        "onboardingsteps": "onboarding-steps",
        "upsells": "upsell-suggestions",
    },
}
"""By topic, the kinds of subjects that belong to a customer, and where each is in its API."""
SOURCES: Final[Mapping[str, str]] = {SALES_TOPIC: "sales", SERVICE_TOPIC: "service"}
"""The function that publishes on a topic."""
# It takes back what was lost, as the other corrections do, which are known by their types.
_TAKEN_BACK: Final = "service.interaction-withdrawn"


def kinds_of(topic: str, records: frozenset[str] | None = None) -> list[str]:
    """Return the events on a topic that are entries of timelines; with `records`, those about them only."""
    known = RECORDS[topic].keys() if records is None else records
    return sorted(each.name for each in EVENT_TYPES.values() if each.topic == topic and _is_entry(each, known))


def _is_entry(entry: EventType, records: Any) -> bool:
    return entry.subject_kind in records and entry.correction is None and entry.name != _TAKEN_BACK


_OF_STATE: Final[tuple[tuple[type[State], Mapping[str, str]], ...]] = (
    (sales.Account, {"channel": "channel", "person_id": "owner_id", "other_id": "merged_into"}),
    (service.Customer, {"other_id": "merged_into"}),
    (
        sales.Lead,
        {"status": "status", "channel": "channel", "reason": "disqualified_reason"}
        | {"person_id": "owner_id", "other_id": "deal_id"},
    ),
    (sales.Deal, {"status": "stage", "reason": "close_reason", "amount": "amount", "person_id": "owner_id"}),
    (
        sales.Activity,
        {"type": "kind", "status": "status", "purpose": "purpose", "due_at": "due_at"}
        | {"reason": "cancel_reason", "person_id": "owner_id"},
    ),
    (sales.Referral, {"person_id": "owner_id", "other_id": "lead_id"}),
    (
        service.Ticket,
        {"type": "kind", "status": "status", "priority": "priority", "channel": "channel"}
        | {"reason": "resolution", "person_id": "agent_id", "other_id": "merged_into"},
    ),
    (
        service.Survey,
        {"type": "kind", "score": "score", "recommendation": "recommendation", "effort": "effort"}
        | {"answer_source": "answer_source", "person_id": "agent_id", "other_id": "ticket_id"},
    ),
    (
        service.Training,
        {"status": "status", "purpose": "purpose", "due_at": "due_at", "reason": "cancel_reason"}
        | {"person_id": "agent_id"},
    ),
    (
        service.CheckIn,
        {"status": "status", "purpose": "purpose", "due_on": "due_on", "reason": "cancel_reason"}
        | {"person_id": "agent_id"},
    ),
    (
        service.Maintenance,
        {"status": "status", "purpose": "purpose", "due_on": "due_on", "reason": "cancel_reason"}
        | {"person_id": "agent_id"},
    ),
    (
        service.OnboardingStep,
        {"type": "step", "status": "status", "purpose": "purpose", "due_on": "due_on", "reason": "cancel_reason"}
        | {"person_id": "agent_id", "other_id": "deal_id"},
    ),
    (
        service.Delivery,
        {"amount": "price", "as_agreed": "quality_as_agreed", "person_id": "agent_id", "other_id": "deal_id"},
    ),
    (service.Review, {"score": "score", "channel": "channel"}),
    (
        service.UpsellSuggestion,
        {"status": "outcome", "reason": "outcome_reason", "person_id": "agent_id", "other_id": "lead_id"},
    ),
)
"""By the state that an event carries, the attributes that its facts are."""


def facts_of(data: State) -> dict[str, Any]:
    """Return the facts of an event as JSON has them, without those that it does not have: see `TimelineFactsRead`."""
    found: dict[str, Any] = {}
    for state, attributes in _OF_STATE:
        if isinstance(data, state):
            found = {name: getattr(data, attribute) for name, attribute in attributes.items()}
    product = getattr(data, "product", None)
    lines: list[sales.DealLine] = getattr(data, "lines", [])
    products = list(dict.fromkeys(line.product for line in lines)) if product is None else [product]
    found |= {"products": products or None}
    found |= {name: value for name, value in _of_step(data) if value is not None}
    facts: dict[str, Any] = msgspec.to_builtins({name: value for name, value in found.items() if value is not None})
    return facts


def _of_step(data: State) -> Iterator[tuple[str, Any]]:
    """Yield what is true of this step only, over what the state says."""
    change: Any = getattr(data, "change", None)
    yield "fields", getattr(change, "fields", None) or None
    match data:
        case sales.LeadAssigned():
            yield "previous_person_id", change.previous_owner_id
        case sales.LeadContacted(contacted_by=by) | sales.LeadQualified(qualified_by=by):
            yield "person_id", None if by is None else by.person_id
        case sales.DealStageChanged() | sales.DealClosed():
            yield "previous_status", change.previous_stage
        case sales.DealReopened():
            yield "previous_status", change.previous_outcome
        case sales.DealAmended():
            yield "previous_amount", None if change.previous_amount == data.amount else change.previous_amount
        case service.TicketAssigned():
            yield "previous_person_id", change.previous_agent_id
        case service.InteractionLogged() | service.InteractionAmended():
            contact: service.Interaction = getattr(change, "interaction", change)
            yield from (("channel", contact.channel), ("direction", contact.direction))
            yield from (("visibility", contact.visibility), ("person_id", contact.agent_id))
        case service.TicketFirstResponded(first_responded_by=by) | service.TicketResolved(resolved_by=by):
            yield "person_id", None if by is None else by.person_id
        case service.TicketReopened():
            yield "reason", change.cause
        case service.TicketAbsorbed():
            yield "other_id", change.ticket_id
        case service.SlaBreached():
            yield from (("target", change.target), ("due_at", change.due_at))
        case service.SurveyFollowedUp(waits=[*_, wait]):
            by = wait.followed_up_by
            yield from (("channel", wait.channel), ("person_id", None if by is None else by.person_id))
        case service.SurveyRevised():
            yield "previous_score", change.previous_score
    if isinstance(change, WorkMoving):
        yield from (("previous_due_at", change.previous.due_at), ("previous_due_on", change.previous.due_on))
