"""One example of every event: a made-up customer, from the first lead to the revised survey.

The published documents show these. An event that is added to the catalogue gets its example here.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID
from zlib import crc32

import msgspec

from event_contracts.catalogue import EVENT_TYPES, Correction, State, correction_of, event_type_of
from event_contracts.codec import encode


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """An event with the attributes that only its producer can know."""

    data: State
    time: datetime
    sequence: int
    partition_key: UUID
    epoch: int = 1


def _uuid(node: int) -> str:
    """A fixed UUIDv7 of 1 March 2026, 08:00 UTC, with these last digits."""
    return str(UUID(int=(0x019CA8695000 << 80) | (0x7000 << 64) | (0x8000 << 48) | node))


_ACCOUNT_ID, _LEAD_ID, _DEAL_ID, _QUOTA_ID = _uuid(0xA1), _uuid(0xA2), _uuid(0xA3), _uuid(0xA4)
_REP_ID, _NEXT_REP_ID, _SALES_TEAM_ID = _uuid(0xB1), _uuid(0xB2), _uuid(0xB3)
_CUSTOMER_ID, _TICKET_ID, _INTERACTION_ID, _SURVEY_ID = _uuid(0xC1), _uuid(0xC2), _uuid(0xC3), _uuid(0xC4)
_AGENT_ID, _SERVICE_TEAM_ID = _uuid(0xD1), _uuid(0xD2)

_Values = dict[str, Any]
_CUSTOMER_CODES: Final[_Values] = {"region": "EMEA", "segment": "mid-market"}
_SALES_OWNER: Final[_Values] = {"owner_id": _REP_ID, "team_id": _SALES_TEAM_ID}

_ACCOUNT: Final[_Values] = {
    "id": _ACCOUNT_ID,
    "channel": "referral",
    "registered_at": "2026-03-06T10:00:00Z",
    **_CUSTOMER_CODES,
    **_SALES_OWNER,
}
_ACCOUNT_PASSED_ON: Final = _ACCOUNT | {"owner_id": _NEXT_REP_ID}
_ACCOUNT_NAME: Final = {"id": _ACCOUNT_ID, "kind": "account", "name": "Baltic Bakeries"}

_PRODUCT: Final = {"id": _uuid(0xA5), "kind": "product", "code": "scheduling", "name": "Staff scheduling"}
_LIST_VALUE: Final = {
    "id": _uuid(0xE7),
    "kind": "list_value",
    "list": "channels",
    "key": "fair",
    "name": "Fair",
    "merged_into": "trade_show",
}

_LEAD: Final[_Values] = {
    "id": _LEAD_ID,
    "status": "new",
    "channel": "referral",
    "product": "scheduling",
    "owner_id": None,
    "team_id": None,
    "created_at": "2026-03-02T09:00:00Z",
    **_CUSTOMER_CODES,
}
_LEAD_ASSIGNED: Final = _LEAD | _SALES_OWNER | {"status": "assigned", "assigned_at": "2026-03-02T09:05:00Z"}
_LEAD_CONTACTED: Final = _LEAD_ASSIGNED | {"status": "contacted", "contacted_at": "2026-03-02T09:40:00Z"}
_LEAD_QUALIFIED: Final = _LEAD_CONTACTED | {"status": "qualified", "qualified_at": "2026-03-04T14:00:00Z"}
_LEAD_DISQUALIFIED: Final = _LEAD_CONTACTED | {
    "status": "disqualified",
    "disqualified_at": "2026-03-04T14:00:00Z",
    "disqualified_reason": "no_budget",
}
_LEAD_CONVERTED: Final = _LEAD_QUALIFIED | {
    "status": "converted",
    "converted_at": "2026-03-06T10:00:00Z",
    "account_id": _ACCOUNT_ID,
    "deal_id": _DEAL_ID,
}

_PRICE: Final = {"amount": "433.00", "currency": "USD"}
_AMOUNT: Final = {"amount": "1299.00", "currency": "USD"}
_AMENDED_AMOUNT: Final = {"amount": "1732.00", "currency": "USD"}
_REPORTING_AMOUNT: Final = {"amount": "1195.08", "currency": "EUR"}
_LINE: Final[_Values] = {"product": "scheduling", "quantity": 3, "unit_price": _PRICE, "amount": _AMOUNT}
_DEAL: Final[_Values] = {
    "id": _DEAL_ID,
    "account_id": _ACCOUNT_ID,
    "lead_id": _LEAD_ID,
    "stage": "prospecting",
    "lines": [_LINE],
    "amount": _AMOUNT,
    "channel": "referral",
    "opened_at": "2026-03-06T10:00:00Z",
    "expected_close_on": "2026-03-31",
    "custom": {"site_region": "north", "staff": "84", "goals": ["cost", "comfort"]},
    **_CUSTOMER_CODES,
    **_SALES_OWNER,
}
_DEAL_PROPOSED: Final = _DEAL | {"stage": "proposal"}
_DEAL_WON: Final = _DEAL | {
    "stage": "won",
    "lines": [_LINE | {"reporting_amount": _REPORTING_AMOUNT}],
    "closed_at": "2026-03-20T16:30:00Z",
    "close_reason": "best_fit",
    "frozen_rate": {"rate": "0.92", "on": "2026-03-20"},
    "reporting_amount": _REPORTING_AMOUNT,
}
_DEAL_REOPENED: Final = _DEAL_PROPOSED | {"reopen_count": 1}
_DEAL_AMENDED: Final = _DEAL_REOPENED | {
    "lines": [_LINE | {"quantity": 4, "amount": _AMENDED_AMOUNT}],
    "amount": _AMENDED_AMOUNT,
}

_QUOTA: Final[_Values] = {
    "id": _QUOTA_ID,
    "rep_id": _REP_ID,
    "team_id": _SALES_TEAM_ID,
    "period_start": "2026-01-01",
    "period_end": "2026-03-31",
    "set_at": "2026-03-01T09:00:00Z",
    "target": {"amount": "250000.00", "currency": "EUR"},
}

_CUSTOMER: Final[_Values] = {
    "id": _CUSTOMER_ID,
    "region": "EMEA",
    "segment": None,
    "registered_at": "2026-03-03T13:00:00Z",
}
_CUSTOMER_NAME: Final = {"id": _CUSTOMER_ID, "kind": "customer", "name": "Harbour Clinic"}

_TICKET: Final[_Values] = {
    "id": _TICKET_ID,
    "customer_id": _ACCOUNT_ID,
    "kind": "problem",
    "channel": "phone",
    "priority": "high",
    "status": "open",
    "product": "scheduling",
    "agent_id": None,
    "team_id": None,
    "opened_at": "2026-03-24T08:00:00Z",
    **_CUSTOMER_CODES,
}
_SERVICE_OWNER: Final[_Values] = {"agent_id": _AGENT_ID, "team_id": _SERVICE_TEAM_ID}
_TICKET_ASSIGNED: Final = _TICKET | _SERVICE_OWNER | {"assigned_at": "2026-03-24T08:02:00Z"}
_TICKET_HANDLED: Final = _TICKET_ASSIGNED | {"interaction_count": 1, "inbound_count": 1}
_TICKET_ANSWERED: Final = _TICKET_HANDLED | {"first_responded_at": "2026-03-24T08:10:00Z"}
_RESOLVED: Final[_Values] = {"status": "resolved", "resolved_at": "2026-03-24T09:30:00Z", "resolution": "fixed"}
_TICKET_REOPENED: Final = _TICKET_ANSWERED | {"reopened_at": "2026-03-25T11:00:00Z", "reopen_count": 1}
_TICKET_CLOSED: Final = (
    _TICKET_REOPENED
    | _RESOLVED
    | {"status": "closed", "resolved_at": "2026-03-25T15:00:00Z", "closed_at": "2026-03-27T15:00:00Z"}
)
_INTERACTION: Final[_Values] = {
    "id": _INTERACTION_ID,
    "ticket_id": _TICKET_ID,
    "customer_id": _ACCOUNT_ID,
    "ticket_kind": "problem",
    "direction": "inbound",
    "visibility": "public",
    "channel": "phone",
    "priority": "high",
    "product": "scheduling",
    "talk_seconds": 410,
    "hold_seconds": 35,
    "wrap_up_seconds": 90,
    "occurred_at": "2026-03-24T08:10:00Z",
    **_CUSTOMER_CODES,
    **_SERVICE_OWNER,
}

_SURVEY: Final[_Values] = {
    "id": _SURVEY_ID,
    "kind": "csat",
    "ticket_id": _TICKET_ID,
    "customer_id": _ACCOUNT_ID,
    "ticket_kind": "problem",
    "channel": "phone",
    "priority": "high",
    "product": "scheduling",
    "sent_at": "2026-03-24T09:35:00Z",
    **_CUSTOMER_CODES,
    **_SERVICE_OWNER,
}
_SURVEY_ANSWERED: Final = _SURVEY | {"answered_at": "2026-03-24T12:00:00Z", "score": 3, "answer_source": "customer"}
_SURVEY_FOLLOWED_UP: Final = _SURVEY_ANSWERED | {
    "score": 1,
    "waits": [
        {
            "since": "2026-03-24T12:00:00Z",
            "until": "2026-03-24T12:40:00Z",
            "ended_by": "follow_up",
            "channel": "phone",
            "followed_up_by": {"person_id": _AGENT_ID, "team_id": _SERVICE_TEAM_ID},
        }
    ],
}

_DEAL_PROPOSAL_SENT: Final = _DEAL_PROPOSED | {
    "stage_entries": [
        {"stage": "prospecting", "entered_at": "2026-03-06T10:00:00Z"},
        {"stage": "proposal", "entered_at": "2026-03-12T11:00:00Z"},
    ],
    "estimated_reporting_amount": _REPORTING_AMOUNT,
    "proposal_sent_at": "2026-03-12T15:00:00Z",
    "proposal_count": 1,
    "promise": {"deliver_by": "2026-04-15", "price": _AMOUNT, "quality": "gold"},
}
_ACCOUNT_MERGED: Final = _ACCOUNT_PASSED_ON | {"merged_into": _uuid(0xA5)}
_ACTIVITY: Final[_Values] = {
    "id": _uuid(0xA6),
    "kind": "follow_up",
    "account_id": _ACCOUNT_ID,
    "lead_id": None,
    "deal_id": _DEAL_ID,
    "channel": "referral",
    "due_at": "2026-03-16T16:00:00Z",
    "completed_at": "2026-03-16T10:00:00Z",
    **_CUSTOMER_CODES,
    **_SALES_OWNER,
}
_REFERRAL: Final[_Values] = {
    "id": _uuid(0xA7),
    "account_id": _ACCOUNT_ID,
    "lead_id": None,
    "channel": "referral",
    "recorded_at": "2026-04-20T09:00:00Z",
    **_CUSTOMER_CODES,
    **_SALES_OWNER,
}

_TICKET_ESCALATED: Final = _TICKET_ANSWERED | {"escalated_at": "2026-03-24T08:45:00Z"}
_TICKET_BREACHED: Final = _TICKET_ESCALATED | {
    "first_response_due_at": "2026-03-24T09:00:00Z",
    "resolution_due_at": "2026-03-24T09:00:00Z",
    "sla_breached_at": "2026-03-24T09:00:00Z",
}
_TICKET_MERGED: Final = _TICKET_ASSIGNED | {
    "status": "closed",
    "merged_into": _uuid(0xC5),
    "merged_at": "2026-03-24T08:06:00Z",
    "closed_at": "2026-03-24T08:06:00Z",
}
_ONBOARDING: Final = _TICKET | {
    "kind": "installation",
    "onboarding_deal_id": _DEAL_ID,
    "onboarding_since": "2026-03-20T16:00:00Z",
}
_ONBOARDING_CANCELLED: Final = _ONBOARDING | {
    "status": "closed",
    "closed_at": "2026-03-25T09:00:00Z",
    "cancelled_at": "2026-03-25T09:00:00Z",
}
_CARED_FOR: Final[_Values] = {"customer_id": _ACCOUNT_ID, **_CUSTOMER_CODES, **_SERVICE_OWNER}
_TRAINING: Final[_Values] = {
    "id": _uuid(0xC6),
    "product": "scheduling",
    "attendees": 6,
    "delivered_at": "2026-04-09T12:00:00Z",
    **_CARED_FOR,
}
_CHECK_IN: Final[_Values] = {
    "id": _uuid(0xC7),
    "product": None,
    "due_on": "2026-05-15",
    "completed_at": "2026-05-12T09:00:00Z",
    **_CARED_FOR,
}
_MAINTENANCE: Final[_Values] = {
    "id": _uuid(0xC8),
    "plan_id": _uuid(0xC9),
    "product": "scheduling",
    "due_on": "2026-06-30",
    "performed_at": "2026-06-24T07:30:00Z",
    **_CARED_FOR,
}
_ONBOARDING_STEP: Final[_Values] = {
    "id": _uuid(0xCE),
    "deal_id": _DEAL_ID,
    "ticket_id": _TICKET_ID,
    "step": "delivery",
    "promised": True,
    "product": "scheduling",
    "due_on": "2026-04-15",
    "completed_at": "2026-04-10T09:00:00Z",
    **_CARED_FOR,
}
_PLANNED_WORK: Final[Mapping[str, _Values]] = {
    "sales.activity": {
        "values": _ACTIVITY,
        "done_at": "completed_at",
        "due": "due_at",
        "moved_to": "2026-03-18T16:00:00Z",
    },
    "service.training": {
        "values": _TRAINING | {"due_at": "2026-03-16T09:00:00Z"},
        "done_at": "delivered_at",
        "due": "due_at",
        "moved_to": "2026-03-18T09:00:00Z",
    },
    "service.check-in": {"values": _CHECK_IN, "done_at": "completed_at", "due": "due_on", "moved_to": "2026-05-20"},
    "service.maintenance": {
        "values": _MAINTENANCE,
        "done_at": "performed_at",
        "due": "due_on",
        "moved_to": "2026-07-15",
    },
    "service.onboarding-step": {
        "values": _ONBOARDING_STEP | {"step": "set-up", "promised": False},
        "done_at": "completed_at",
        "due": "due_on",
        "moved_to": "2026-04-20",
    },
}
_DELIVERY: Final[_Values] = {
    "id": _uuid(0xCA),
    "deal_id": _DEAL_ID,
    "delivered_at": "2026-04-10T09:00:00Z",
    "accepted_at": "2026-04-13T15:00:00Z",
    "price": _AMOUNT,
    "quality_as_agreed": True,
    "promise": {"deliver_by": "2026-04-15", "price": _AMOUNT, "quality": "gold"},
    **_CARED_FOR,
}
_REVIEW: Final[_Values] = {
    "id": _uuid(0xCB),
    "customer_id": _ACCOUNT_ID,
    "product": "scheduling",
    "channel": "marketplace",
    "score": 5,
    "reviewed_at": "2026-05-20T18:00:00Z",
    **_CUSTOMER_CODES,
}
_UPSELL: Final[_Values] = {
    "id": _uuid(0xCC),
    "ticket_id": _TICKET_ID,
    "product": "payroll",
    "suggested_at": "2026-03-24T09:30:00Z",
    **_CARED_FOR,
}

_UPSELL_CONTACTED: Final = _UPSELL | {
    "product": "scheduling",
    "outcome": "contacted",
    "outcome_at": "2026-03-24T15:00:00Z",
    "lead_id": _uuid(0xA6),
}

_RESTORED_AT: Final = datetime.fromisoformat("2026-07-02T03:00:00Z")
_LOST_EVENT: Final = _uuid(0xE7)
_CORRECTIONS: Final[tuple[Correction, ...]] = ("restored", "withdrawn")
_ERASED_AT: Final = "2026-07-01T09:00:00Z"
_ERASED: Final[_Values] = {"erased_at": _ERASED_AT}

_TARGET: Final[_Values] = {
    "id": _uuid(0xE1),
    "kpi": "csat",
    "variant": "top_two",
    "period_start": "2026-03-01",
    "period_end": "2026-03-31",
    "target": "0.9",
    "reached": "0.88",
    "judged_at": "2026-03-24T12:00:01Z",
}
_PERIOD: Final[_Values] = {
    "id": _uuid(0xE2),
    "period": "2026-03",
    "period_start": "2026-03-01",
    "period_end": "2026-03-31",
    "as_of": "2026-04-02T08:59:59.900000Z",
    "closed_at": "2026-04-02T09:00:00Z",
}
_RESTATEMENT: Final[_Values] = {
    "id": _uuid(0xE3),
    "period_id": _PERIOD["id"],
    **{name: _PERIOD[name] for name in ("period", "period_start", "period_end", "as_of")},
    "kpi": "win_rate",
    "variant": "count",
    "as_closed": {"value": "0.6", "numerator": "3", "denominator": "5"},
    "now": {"value": "0.4", "numerator": "2", "denominator": "5"},
    "restated_at": "2026-04-07T10:00:02Z",
}
_RISK: Final[_Values] = {
    "id": _ACCOUNT_ID,
    "reasons": ["sla-breached"],
    "revenue_at_risk": _REPORTING_AMOUNT,
    "at_risk_since": "2026-03-24T09:00:00Z",
    "judged_at": "2026-03-24T09:00:01Z",
}
_RECOVERED: Final = _RISK | {"reasons": [], "at_risk_since": None, "judged_at": "2026-03-25T15:00:01Z"}
_WAIT: Final[_Values] = {
    "id": "019d1f14-5740-7000-8000-0000000000e7",
    "reason": "message",
    "record_kind": "tickets",
    "record_id": _TICKET_ID,
    "customer_id": _ACCOUNT_ID,
    "owner_id": _AGENT_ID,
    "team_id": _SERVICE_TEAM_ID,
    "since": "2026-03-24T09:00:00Z",
    "limit_at": "2026-03-24T10:00:00Z",
    "step": 1,
    "action": "warn",
    "told_id": None,
    "judged_at": "2026-03-24T09:45:00Z",
}
_OVER_LIMIT: Final = _WAIT | {"step": 2, "action": "alert", "judged_at": "2026-03-24T10:00:00Z"}
_ESCALATED: Final = _WAIT | {
    "step": 3,
    "action": "tell_account_owner",
    "told_id": _REP_ID,
    "judged_at": "2026-03-24T10:30:00Z",
}
_WAIT_ENDED: Final = _ESCALATED | {"judged_at": "2026-03-24T10:41:00Z"}


def _example(name: str, time: str, sequence: int, partition_key: str, state: _Values, **change: Any) -> Example:
    return Example(
        data=msgspec.convert(state | ({"change": change} if change else {}), EVENT_TYPES[name].data),
        time=datetime.fromisoformat(time),
        sequence=sequence,
        partition_key=UUID(partition_key),
    )


@cache
def examples() -> Mapping[str, Example]:
    """An example of each event, by the event's `type`. Raises msgspec.ValidationError when one is out of date."""
    all_examples = [
        _example("sales.lead-created", "2026-03-02T09:00:00Z", 1, _LEAD_ID, _LEAD),
        _example("sales.lead-assigned", "2026-03-02T09:05:00Z", 2, _LEAD_ID, _LEAD_ASSIGNED, previous_owner_id=None),
        _example("sales.lead-contacted", "2026-03-02T09:40:00Z", 3, _LEAD_ID, _LEAD_CONTACTED),
        _example("sales.lead-qualified", "2026-03-04T14:00:00Z", 4, _LEAD_ID, _LEAD_QUALIFIED),
        _example("sales.lead-disqualified", "2026-03-04T14:00:00Z", 4, _LEAD_ID, _LEAD_DISQUALIFIED),
        _example(
            "sales.lead-amended",
            "2026-03-05T08:00:00Z",
            5,
            _LEAD_ID,
            _LEAD_QUALIFIED | {"channel": "trade_show"},
            fields=["channel"],
        ),
        _example("sales.lead-converted", "2026-03-06T10:00:00Z", 6, _LEAD_ID, _LEAD_CONVERTED, account_registered=True),
        _example("sales.account-registered", "2026-03-06T10:00:00Z", 1, _ACCOUNT_ID, _ACCOUNT),
        _example(
            "sales.account-updated", "2026-03-30T09:00:00Z", 2, _ACCOUNT_ID, _ACCOUNT_PASSED_ON, fields=["owner_id"]
        ),
        _example("sales.directory-entry-set", "2026-03-06T10:00:00Z", 1, _ACCOUNT_ID, _ACCOUNT_NAME),
        _example("sales.product-entry-set", "2026-02-02T09:00:00Z", 1, _PRODUCT["id"], _PRODUCT),
        _example("sales.list-value-set", "2026-02-02T09:00:00Z", 2, _LIST_VALUE["id"], _LIST_VALUE),
        _example("sales.deal-opened", "2026-03-06T10:00:00Z", 1, _ACCOUNT_ID, _DEAL),
        _example(
            "sales.deal-stage-changed",
            "2026-03-12T11:00:00Z",
            2,
            _ACCOUNT_ID,
            _DEAL_PROPOSED,
            previous_stage="prospecting",
        ),
        _example(
            "sales.deal-closed",
            "2026-03-20T16:30:00Z",
            3,
            _ACCOUNT_ID,
            _DEAL_WON,
            outcome="won",
            previous_stage="proposal",
        ),
        _example("sales.deal-reopened", "2026-03-21T09:00:00Z", 4, _ACCOUNT_ID, _DEAL_REOPENED, previous_outcome="won"),
        _example(
            "sales.deal-amended",
            "2026-03-21T09:15:00Z",
            5,
            _ACCOUNT_ID,
            _DEAL_AMENDED,
            previous_amount=_AMOUNT,
            fields=["lines"],
        ),
        _example("sales.quota-set", "2026-03-01T09:00:00Z", 1, _QUOTA_ID, _QUOTA, previous_target=None),
        _example("service.customer-registered", "2026-03-03T13:00:00Z", 1, _CUSTOMER_ID, _CUSTOMER),
        _example("service.directory-entry-set", "2026-03-03T13:00:00Z", 1, _CUSTOMER_ID, _CUSTOMER_NAME),
        _example("service.ticket-opened", "2026-03-24T08:00:00Z", 1, _ACCOUNT_ID, _TICKET),
        _example(
            "service.ticket-assigned", "2026-03-24T08:02:00Z", 2, _ACCOUNT_ID, _TICKET_ASSIGNED, previous_agent_id=None
        ),
        _example("service.interaction-logged", "2026-03-24T08:10:00Z", 3, _ACCOUNT_ID, _TICKET_HANDLED, **_INTERACTION),
        _example(
            "service.interaction-withdrawn", "2026-07-02T03:00:00Z", 10, _ACCOUNT_ID, _TICKET_CLOSED, **_INTERACTION
        ),
        _example("service.ticket-first-responded", "2026-03-24T08:10:00Z", 4, _ACCOUNT_ID, _TICKET_ANSWERED),
        _example("service.ticket-resolved", "2026-03-24T09:30:00Z", 5, _ACCOUNT_ID, _TICKET_ANSWERED | _RESOLVED),
        _example(
            "service.ticket-reopened",
            "2026-03-25T11:00:00Z",
            6,
            _ACCOUNT_ID,
            _TICKET_REOPENED,
            previous_resolved_at="2026-03-24T09:30:00Z",
        ),
        _example(
            "service.ticket-amended",
            "2026-03-26T08:00:00Z",
            7,
            _ACCOUNT_ID,
            _TICKET_REOPENED | {"priority": "urgent"},
            fields=["priority"],
        ),
        _example(
            "service.interaction-amended",
            "2026-03-26T08:00:00Z",
            8,
            _ACCOUNT_ID,
            _TICKET_REOPENED | {"priority": "urgent"},
            interaction=_INTERACTION | {"priority": "urgent"},
            previous=_INTERACTION,
        ),
        _example("service.ticket-closed", "2026-03-27T15:00:00Z", 8, _ACCOUNT_ID, _TICKET_CLOSED),
        _example("service.survey-sent", "2026-03-24T09:35:00Z", 1, _ACCOUNT_ID, _SURVEY),
        _example("service.survey-answered", "2026-03-24T12:00:00Z", 2, _ACCOUNT_ID, _SURVEY_ANSWERED),
        _example(
            "service.survey-revised",
            "2026-03-26T10:00:00Z",
            3,
            _ACCOUNT_ID,
            _SURVEY_ANSWERED | {"score": 5},
            previous_score=3,
        ),
        _example(
            "service.survey-followed-up",
            "2026-03-24T12:40:00Z",
            3,
            _ACCOUNT_ID,
            _SURVEY_FOLLOWED_UP,
        ),
        _example(
            "service.survey-amended",
            "2026-03-26T08:00:00Z",
            4,
            _ACCOUNT_ID,
            _SURVEY_ANSWERED | {"score": 5, "priority": "urgent"},
            fields=["priority"],
        ),
        _example("sales.account-merged", "2026-06-01T09:00:00Z", 3, _ACCOUNT_ID, _ACCOUNT_MERGED),
        _example("sales.account-unmerged", "2026-06-02T09:00:00Z", 4, _ACCOUNT_ID, _ACCOUNT_PASSED_ON),
        _example("sales.account-erased", _ERASED_AT, 5, _ACCOUNT_ID, _ACCOUNT_PASSED_ON | _ERASED),
        _example("sales.lead-erased", _ERASED_AT, 7, _LEAD_ID, _LEAD_CONVERTED | _ERASED),
        _example("sales.deal-erased", _ERASED_AT, 6, _ACCOUNT_ID, _DEAL_AMENDED | _ERASED),
        _example(
            "service.customer-updated",
            "2026-03-04T08:00:00Z",
            2,
            _CUSTOMER_ID,
            _CUSTOMER | {"segment": "smb"},
            fields=["segment"],
        ),
        _example(
            "service.customer-linked",
            "2026-03-05T08:00:00Z",
            3,
            _CUSTOMER_ID,
            _CUSTOMER | {"segment": "smb", "merged_into": _ACCOUNT_ID},
        ),
        _example("service.customer-unlinked", "2026-03-06T08:00:00Z", 4, _CUSTOMER_ID, _CUSTOMER | {"segment": "smb"}),
        _example("service.customer-erased", _ERASED_AT, 5, _CUSTOMER_ID, _CUSTOMER | _ERASED),
        _example("service.ticket-erased", _ERASED_AT, 9, _ACCOUNT_ID, _TICKET_CLOSED | _ERASED),
        _example("service.survey-erased", _ERASED_AT, 5, _ACCOUNT_ID, _SURVEY_ANSWERED | {"score": 5} | _ERASED),
        _example("sales.proposal-sent", "2026-03-12T15:00:00Z", 3, _ACCOUNT_ID, _DEAL_PROPOSAL_SENT),
        _example("sales.activity-completed", "2026-03-16T10:00:00Z", 1, _ACCOUNT_ID, _ACTIVITY),
        _example(
            "sales.activity-amended",
            "2026-03-17T08:00:00Z",
            2,
            _ACCOUNT_ID,
            _ACTIVITY | {"kind": "visit"},
            fields=["kind"],
        ),
        _example("sales.referral-recorded", "2026-04-20T09:00:00Z", 1, _ACCOUNT_ID, _REFERRAL),
        _example(
            "sales.referral-amended",
            "2026-04-21T08:00:00Z",
            2,
            _ACCOUNT_ID,
            _REFERRAL | {"channel": "trade_show"},
            fields=["channel"],
        ),
        _example("service.ticket-escalated", "2026-03-24T08:45:00Z", 5, _ACCOUNT_ID, _TICKET_ESCALATED),
        _example("service.ticket-merged", "2026-03-24T08:06:00Z", 3, _ACCOUNT_ID, _TICKET_MERGED),
        _example(
            "service.ticket-absorbed",
            "2026-03-24T08:06:00Z",
            3,
            _ACCOUNT_ID,
            _TICKET_ASSIGNED | {"id": _uuid(0xCD), "merged_contact_count": 1},
            ticket_id=_TICKET_ID,
        ),
        _example("service.ticket-cancelled", "2026-03-25T09:00:00Z", 2, _ACCOUNT_ID, _ONBOARDING_CANCELLED),
        _example("service.ticket-reinstated", "2026-03-26T09:00:00Z", 3, _ACCOUNT_ID, _ONBOARDING),
        _example(
            "service.sla-breached",
            "2026-03-24T09:00:00Z",
            6,
            _ACCOUNT_ID,
            _TICKET_BREACHED,
            target="resolution",
            due_at="2026-03-24T09:00:00Z",
        ),
        _example("service.training-delivered", "2026-04-09T12:00:00Z", 1, _ACCOUNT_ID, _TRAINING),
        _example(
            "service.training-amended",
            "2026-04-10T08:00:00Z",
            2,
            _ACCOUNT_ID,
            _TRAINING | {"attendees": 7},
            fields=["attendees"],
        ),
        _example("service.check-in-completed", "2026-05-12T09:00:00Z", 1, _ACCOUNT_ID, _CHECK_IN),
        _example(
            "service.check-in-amended",
            "2026-05-13T08:00:00Z",
            2,
            _ACCOUNT_ID,
            _CHECK_IN | {"due_on": "2026-05-20"},
            fields=["due_on"],
        ),
        _example("service.maintenance-performed", "2026-06-24T07:30:00Z", 1, _ACCOUNT_ID, _MAINTENANCE),
        _example(
            "service.maintenance-amended",
            "2026-06-25T08:00:00Z",
            2,
            _ACCOUNT_ID,
            _MAINTENANCE | {"product": "payroll"},
            fields=["product"],
        ),
        _example("service.onboarding-step-completed", "2026-04-10T09:00:00Z", 2, _ACCOUNT_ID, _ONBOARDING_STEP),
        _example(
            "service.onboarding-step-amended",
            "2026-04-14T08:00:00Z",
            3,
            _ACCOUNT_ID,
            _ONBOARDING_STEP | {"completed_at": "2026-04-11T09:00:00Z"},
            fields=["completed_at"],
        ),
        _example("service.delivery-accepted", "2026-04-13T15:00:00Z", 1, _ACCOUNT_ID, _DELIVERY),
        _example(
            "service.delivery-amended",
            "2026-04-14T08:00:00Z",
            2,
            _ACCOUNT_ID,
            _DELIVERY | {"quality_as_agreed": False},
            fields=["quality_as_agreed"],
        ),
        _example("service.review-recorded", "2026-05-20T18:00:00Z", 1, _ACCOUNT_ID, _REVIEW),
        _example(
            "service.review-amended", "2026-05-21T08:00:00Z", 2, _ACCOUNT_ID, _REVIEW | {"score": 4}, fields=["score"]
        ),
        _example("service.upsell-suggested", "2026-03-24T09:30:00Z", 1, _ACCOUNT_ID, _UPSELL),
        _example(
            "service.upsell-amended",
            "2026-03-25T08:00:00Z",
            2,
            _ACCOUNT_ID,
            _UPSELL | {"product": "scheduling"},
            fields=["product"],
        ),
        _example("service.upsell-outcome-changed", "2026-03-24T15:00:00Z", 3, _ACCOUNT_ID, _UPSELL_CONTACTED),
        _example("metrics.kpi-target-missed", "2026-03-24T12:00:01Z", 1, _TARGET["id"], _TARGET),
        _example(
            "metrics.kpi-target-recovered", "2026-03-26T10:00:01Z", 2, _TARGET["id"], _TARGET | {"reached": "0.91"}
        ),
        _example("metrics.period-closed", "2026-04-02T09:00:00Z", 1, _PERIOD["id"], _PERIOD),
        _example("metrics.kpi-restated", "2026-04-07T10:00:02Z", 1, _PERIOD["id"], _RESTATEMENT),
        _example("metrics.customer-at-risk", "2026-03-24T09:00:01Z", 1, _ACCOUNT_ID, _RISK),
        _example("metrics.customer-recovered", "2026-03-25T15:00:01Z", 2, _ACCOUNT_ID, _RECOVERED),
        _example("metrics.wait-due", "2026-03-24T09:45:00Z", 1, _ACCOUNT_ID, _WAIT),
        _example("metrics.wait-over-limit", "2026-03-24T10:00:00Z", 2, _ACCOUNT_ID, _OVER_LIMIT),
        _example("metrics.wait-escalated", "2026-03-24T10:30:00Z", 3, _ACCOUNT_ID, _ESCALATED),
        _example("metrics.wait-ended", "2026-03-24T10:41:00Z", 4, _ACCOUNT_ID, _WAIT_ENDED),
    ]
    for noun, subject in _PLANNED_WORK.items():
        all_examples += _planned(noun, **subject)
    all_examples += _corrections_of(all_examples)
    return MappingProxyType({event_type_of(example.data).name: example for example in all_examples})


def _planned(noun: str, *, values: _Values, done_at: str, due: str, moved_to: str) -> Iterator[Example]:
    """Yield the events of work that is planned, moved, corrected, missed, and cancelled in the end."""
    service, _, fact = noun.partition(".")
    planned = values | {done_at: None, "id": _uuid(0xE0 + crc32(noun.encode()) % 16)}
    planned |= {"status": "planned", "purpose": "renewal", "planned_at": "2026-03-10T09:00:00Z"}
    move = {"moved_at": "2026-03-12T09:00:00Z", due: planned[due], "reason": "customer-asked"}
    moved = planned | {due: moved_to, "moves": [move]}
    missed = moved | {"status": "missed", "missed_at": "2026-03-16T17:00:00Z"}
    cancelled = moved | {
        "status": "cancelled",
        "cancelled_at": "2026-03-17T09:00:00Z",
        "cancel_reason": "not-needed",
    }
    yield _example(f"{noun}-planned", "2026-03-10T09:00:00Z", 1, _ACCOUNT_ID, planned)
    yield _example(f"{noun}-moved", "2026-03-12T09:00:00Z", 2, _ACCOUNT_ID, moved, previous=move)
    yield _example(
        f"{service}.planned-{fact}-amended",
        "2026-03-12T10:00:00Z",
        3,
        _ACCOUNT_ID,
        moved | {"purpose": "upgrade"},
        fields=["purpose"],
    )
    yield _example(f"{noun}-missed", "2026-03-16T17:00:00Z", 4, _ACCOUNT_ID, missed)
    yield _example(f"{noun}-cancelled", "2026-03-17T09:00:00Z", 4, _ACCOUNT_ID, cancelled)


def _corrections_of(facts: list[Example]) -> Iterator[Example]:
    """Yield what corrects the last example of each kind of subject, and the interaction, after a restore."""
    # Work that is planned is corrected by other events than what was done.
    by_state = {(event_type_of(each.data).topic, type(each.data).__mro__[1]): each for each in facts}
    for last in by_state.values():
        values = msgspec.to_builtins(last.data) | {"change": {"lost_events": [_LOST_EVENT]}}
        for correction in _CORRECTIONS:
            if (entry := correction_of(event_type_of(last.data), correction)) is not None:
                yield Example(
                    data=msgspec.convert(values, entry.data),
                    time=_RESTORED_AT,
                    sequence=last.sequence + (correction == "withdrawn"),
                    partition_key=last.partition_key,
                    epoch=2 if correction == "restored" else 1,
                )


def encoded_example(name: str) -> bytes:
    """The Kafka record's value of an event's example, recorded 120 ms after it happened. Raises KeyError."""
    example = examples()[name]
    return encode(
        example.data,
        event_id=UUID(_uuid(crc32(name.encode()))),
        time=example.time,
        recorded_time=example.time + timedelta(milliseconds=120),
        sequence=example.sequence,
        partition_key=example.partition_key,
        epoch=example.epoch,
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )
