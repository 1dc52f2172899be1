"""Facts for a ledger: states of every kind with sensible defaults, as events, subject states and Kafka records."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4, uuid5
from zoneinfo import ZoneInfo

from event_contracts import codec
from event_contracts.catalogue import State
from event_contracts.fields import Money
from event_contracts.sales import (
    AccountRegistered,
    ActivityCompleted,
    ActivityPlanned,
    DealLine,
    DealOpened,
    LeadQualified,
    Promise,
    QuotaSet,
    QuotaSetting,
    ReferralRecorded,
)
from event_contracts.service import (
    CheckInCompleted,
    CustomerRegistered,
    DeliveryAccepted,
    Interaction,
    InteractionLogged,
    MaintenancePerformed,
    OnboardingStepPlanned,
    ReviewRecorded,
    SurveyAnswered,
    TicketResolved,
    TrainingDelivered,
    UpsellSuggested,
)
from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger.aggregate import SubjectState, decode

VILNIUS = Reporting(zone=ZoneInfo("Europe/Vilnius"), currency="EUR")
REP, OTHER_REP, AGENT, TEAM, CUSTOMER = (UUID(int=number) for number in range(1, 6))
MORNING = datetime(2026, 3, 10, 8, tzinfo=UTC)
DAY = date(2026, 3, 10)


def moment(text: str) -> datetime:
    """An instant from `2026-03-10T08:00`, in UTC unless the text has an offset."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def eur(amount: str | int) -> Money:
    return Money(amount=Decimal(amount), currency="EUR")


def account(**fields: Any) -> AccountRegistered:
    defaults: dict[str, Any] = {
        "id": uuid4(), "region": "EMEA", "segment": None, "channel": None, "owner_id": None, "team_id": None,
        "registered_at": MORNING,
    }  # fmt: skip
    return AccountRegistered(**(defaults | fields))


def own_customer(**fields: Any) -> CustomerRegistered:
    """A customer whom service met first."""
    defaults: dict[str, Any] = {"id": uuid4(), "region": "EMEA", "segment": None, "registered_at": MORNING}
    return CustomerRegistered(**(defaults | fields))


def lead(**fields: Any) -> LeadQualified:
    defaults: dict[str, Any] = {
        "id": uuid4(), "status": "new", "channel": "web", "region": "EMEA", "segment": "smb", "product": None,
        "owner_id": REP, "team_id": TEAM, "created_at": MORNING,
    }  # fmt: skip
    return LeadQualified(**(defaults | fields))


def line(product: str, quantity: int, amount: str) -> DealLine:
    return DealLine(
        product=product, quantity=quantity, unit_price=eur(amount), amount=eur(amount), reporting_amount=eur(amount)
    )


def deal(*lines: DealLine, **fields: Any) -> DealOpened:
    """A deal, open unless `stage` is won or lost; a closed one is worth the sum of its lines."""
    amount = eur(sum((one.amount.amount for one in lines), Decimal(0)))  # type: ignore[arg-type]
    closed = fields.get("stage") in ("won", "lost")
    defaults: dict[str, Any] = {
        "id": uuid4(), "account_id": CUSTOMER, "lead_id": None, "stage": "negotiation", "lines": list(lines),
        "amount": amount, "owner_id": REP, "team_id": TEAM, "region": "EMEA", "segment": "smb", "channel": "web",
        "opened_at": MORNING, "closed_at": MORNING if closed else None, "reporting_amount": amount if closed else None,
    }  # fmt: skip
    return DealOpened(**(defaults | fields))


def quota(start: date, end: date, target: Money, **fields: Any) -> QuotaSet:
    defaults: dict[str, Any] = {
        "id": uuid4(), "rep_id": REP, "team_id": TEAM, "period_start": start, "period_end": end, "target": target,
        "set_at": MORNING, "change": QuotaSetting(previous_target=None),
    }  # fmt: skip
    return QuotaSet(**(defaults | fields))


_SERVED: dict[str, Any] = {
    "customer_id": CUSTOMER, "channel": "phone", "priority": "normal", "region": "EMEA", "segment": "smb",
    "product": "scheduling", "agent_id": AGENT, "team_id": TEAM,
}  # fmt: skip


def _ticket_fields(fields: dict[str, Any]) -> dict[str, Any]:
    defaults = {"id": uuid4(), "kind": "problem", "status": "open", "opened_at": MORNING, **_SERVED}
    return defaults | fields


def ticket(**fields: Any) -> TicketResolved:
    return TicketResolved(**_ticket_fields(fields))


def interaction(**fields: Any) -> Interaction:
    defaults: dict[str, Any] = {
        "id": uuid4(), "ticket_id": uuid4(), "direction": "inbound", "visibility": "public", "ticket_kind": "problem",
        "talk_seconds": 60, "hold_seconds": 10, "wrap_up_seconds": 5, "occurred_at": MORNING, **_SERVED,
    }  # fmt: skip
    return Interaction(**(defaults | fields))


def logged(contact: Interaction, **fields: Any) -> InteractionLogged:
    """The event of a contact, whose subject is its ticket."""
    return InteractionLogged(change=contact, **_ticket_fields({"id": contact.ticket_id} | fields))


def survey(**fields: Any) -> SurveyAnswered:
    defaults: dict[str, Any] = {
        "id": uuid4(), "kind": "csat", "ticket_id": uuid4(), "ticket_kind": "problem", "sent_at": MORNING, **_SERVED,
    }  # fmt: skip
    return SurveyAnswered(**(defaults | fields))


_SOLD: dict[str, Any] = {
    "account_id": CUSTOMER, "lead_id": None, "owner_id": REP, "team_id": TEAM, "region": "EMEA", "segment": "smb",
    "channel": "web",
}  # fmt: skip
_CARED_FOR: dict[str, Any] = {
    name: _SERVED[name] for name in ("customer_id", "agent_id", "team_id", "region", "segment", "product")
}


def activity(**fields: Any) -> ActivityCompleted:
    defaults = {"id": uuid4(), "kind": "call", "deal_id": None, "due_at": None, "completed_at": MORNING, **_SOLD}
    return ActivityCompleted(**(defaults | fields))


def planned_activity(**fields: Any) -> ActivityPlanned:
    defaults = {"id": uuid4(), "kind": "call", "deal_id": None, "due_at": None, "completed_at": None, **_SOLD}
    return ActivityPlanned(**(defaults | fields))


def referral(**fields: Any) -> ReferralRecorded:
    return ReferralRecorded(**({"id": uuid4(), "recorded_at": MORNING, **_SOLD} | fields))


def training(**fields: Any) -> TrainingDelivered:
    return TrainingDelivered(**({"id": uuid4(), "attendees": 1, "delivered_at": MORNING, **_CARED_FOR} | fields))


def check_in(**fields: Any) -> CheckInCompleted:
    return CheckInCompleted(**({"id": uuid4(), "due_on": None, "completed_at": MORNING, **_CARED_FOR} | fields))


def maintenance(**fields: Any) -> MaintenancePerformed:
    defaults = {"id": uuid4(), "plan_id": None, "due_on": DAY, "performed_at": MORNING, **_CARED_FOR}
    return MaintenancePerformed(**(defaults | fields))


def step(**fields: Any) -> OnboardingStepPlanned:
    """A planned step: the promised delivery unless given."""
    defaults = {
        "id": uuid4(),
        "deal_id": uuid4(),
        "ticket_id": uuid4(),
        "status": "planned",
        "planned_at": MORNING,
        "step": "delivery",
        "promised": True,
        "due_on": DAY,
        "completed_at": None,
        **_CARED_FOR,
    }
    return OnboardingStepPlanned(**(defaults | fields))


def upsell(**fields: Any) -> UpsellSuggested:
    return UpsellSuggested(**({"id": uuid4(), "ticket_id": None, "suggested_at": MORNING, **_CARED_FOR} | fields))


def delivery(**fields: Any) -> DeliveryAccepted:
    """A delivery, by default on the promised day, at the promised price and quality."""
    defaults: dict[str, Any] = {
        "id": uuid4(), "deal_id": uuid4(), "delivered_at": MORNING, "accepted_at": MORNING, "price": eur(100),
        "quality_as_agreed": True, "promise": Promise(deliver_by=DAY, price=eur(100)),
        **{name: value for name, value in _CARED_FOR.items() if name != "product"},
    }  # fmt: skip
    return DeliveryAccepted(**(defaults | fields))


def review(**fields: Any) -> ReviewRecorded:
    defaults: dict[str, Any] = {
        "id": uuid4(), "customer_id": CUSTOMER, "region": "EMEA", "segment": "smb", "product": None,
        "channel": "marketplace", "score": 5, "reviewed_at": MORNING,
    }  # fmt: skip
    return ReviewRecorded(**(defaults | fields))


def record(
    state: State,
    sequence: int = 1,
    *,
    event_id: UUID | None = None,
    recorded_time: datetime = MORNING,
    epoch: int = 1,
) -> bytes:
    """A state as the Kafka record of its event."""
    return codec.encode(
        state,
        # A repeat is the same event.
        event_id=event_id or uuid5(state.id, f"{sequence} {epoch}" if epoch > 1 else str(sequence)),
        time=MORNING,
        recorded_time=recorded_time,
        sequence=sequence,
        partition_key=state.id,
        epoch=epoch,
    )


def decoded(state: State, sequence: int = 1, reporting: Reporting = VILNIUS) -> list[SubjectState]:
    """Return the subject states of a state, encoded as a record and decoded again."""
    return decode(record(state, sequence), reporting)


def all_decoded(states: Iterable[State | tuple[State, int]], reporting: Reporting = VILNIUS) -> list[SubjectState]:
    """Return those of several states, each with its sequence or as the first of its subject."""
    pairs = (state if isinstance(state, tuple) else (state, 1) for state in states)
    return [entry for state, sequence in pairs for entry in decoded(state, sequence, reporting)]
