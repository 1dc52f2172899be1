"""The form of alerts over HTTP."""

from collections import Counter
from typing import Annotated, Final, Literal
from uuid import UUID, uuid5

from pydantic import ConfigDict, Field

from metrics_worker.queries.coverage import CarriedRead
from metrics_worker.queries.fields import (
    BetterDirection,
    Dimension,
    Explain,
    FirstDayRead,
    MoneyCurrency,
    NamesRead,
    Unit,
    Value,
    VariantName,
)
from service_kit.fields import DecimalText, Moment, ReadModel, RecordId, described

Severity = Literal["critical", "warning", "info"]
SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "warning", "info")
AlertKind = Literal[
    "sequence-conflict",
    "unattended",
    "kept-waiting",
    "overdue",
    "target-missed",
    "kpi-turning",
    "thin-coverage",
    "books-being-read",
]

AlertRule = Literal[
    "sequence-conflict",
    "unattended",
    "rating-waits",
    "promise-waits",
    "call-back-waits",
    "overdue-work",
    "target-missed",
    "beyond-usual-spread",
    "three-weeks-in-a-row",
    "missing-dimension",
    "unasked-values",
    "books-being-read",
    "history-being-loaded",
]

FIRST: Final = 20
"""Alerts that are sent with their number."""
_NAMES: Final = UUID("6f0c1f2e-5f0e-5d0b-9a58-2f6b3d6f4a11")
_DIGITS: Final = 56

_SUBJECT = described(
    "What it is about: `customers/<uuid>`, `targets/<uuid>`, `kpis/<name>`, `dimensions/<name>`, `books`, "
    "`activities`, `checkins`, `maintenance`, `trainings` or `onboardingsteps` that are overdue, or the subject of "
    "an event.",
    "customers/01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
)
_TICKETS = described(
    "Of a customer that is left alone, the longest waiting first; else empty.",
    ["01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12"],
)


_MISSED = described("The target that is missed, in the unit.", "0.6", rarely=True)
_WHOSE = described("The value of the dimension, by its key.", "EMEA", rarely=True)
_WEEKS_READ = described("The last weeks, oldest first, where a KPI turns; else empty.")
_UNASKED_COUNT = described("How many values of the dimension are left out of surveys; null elsewhere.", 7, rarely=True)


_OVERDUE_COUNT = described("How much planned work of the kind is overdue; null elsewhere.", 3, rarely=True)


class WeekRead(ReadModel):
    """One week of a KPI."""

    start: FirstDayRead
    value: Value | None


class AlertFactsRead(ReadModel):
    """What an alert says, as values, of which a client makes sentences in its own language.

    Which of them are there follows from the `rule`; the others are null or empty.
    """

    rule: Annotated[AlertRule, described("Which rule found it.", "target-missed", schema="AlertRule")]
    variant: VariantName | None = None
    unit: Unit | None = None
    currency: MoneyCurrency | None = None
    direction: BetterDirection | None = None
    target: Annotated[DecimalText, described("The target that is missed, in the unit.", "0.6", rarely=True)] | None = (
        None
    )
    dimension: Dimension | None = None
    dimension_value: (
        Annotated[str, described("The value of the dimension, by its key.", "EMEA", rarely=True)] | None
    ) = None
    weeks: Annotated[list[WeekRead], _WEEKS_READ] = Field(default_factory=list)
    shares: list[CarriedRead] = Field(default_factory=list)
    """How many of each kind of subject carry the dimension, where too few do."""
    values: Annotated[
        list[str], described("The first values of the dimension that are left out of surveys.", ["APAC"])
    ] = Field(default_factory=list)
    values_count: Annotated[int, _UNASKED_COUNT] | None = None
    overdue_count: Annotated[int, _OVERDUE_COUNT] | None = None


class AlertRead(ReadModel):
    """What needs attention, since when, and what to do. The id stays the same while the alert lasts."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0d7a3b51-6f0c-5a53-9d66-0c8f0d6f2b11",
                    "kind": "unattended",
                    "severity": "critical",
                    "subject": "customers/01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
                    "says": "This customer has waited for an answer for longer than the limit.",
                    "since": "2026-03-31T21:00:00Z",
                    "do": "Reply to the ticket, or assign it to a colleague who does.",
                    "tickets": ["01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12"],
                    "names": {"customer": "Baltic Bakeries"},
                    "facts": {"rule": "unattended"},
                    "kpi": "unattended_now",
                    "explain": "/v1/kpis/unattended_now/explain?customer=01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
                }
            ]
        }
    )

    id: RecordId
    """Stays the same while the alert lasts."""
    kind: Annotated[AlertKind, described("What is wrong.", "unattended", schema="AlertKind")]
    severity: Annotated[Severity, described("How grave it is.", "critical", schema="Severity")]
    subject: Annotated[str, _SUBJECT]
    says: Annotated[str, described("What is wrong, in words.", "This customer has waited for longer than the limit.")]
    since: Moment
    """When it began."""
    do: Annotated[str, described("What to do about it.", "Reply to the ticket, or assign it to a colleague.")]
    tickets: Annotated[list[UUID], _TICKETS]
    names: NamesRead = Field(default_factory=dict)
    facts: AlertFactsRead
    """What `says` says, as values."""
    kpi: Annotated[str, described("The KPI that it is about; null for none.", "unattended_now")] | None
    explain: Explain


def alert(
    kind: AlertKind,
    severity: Severity,
    subject: str,
    says: str,
    facts: AlertFactsRead,
    *,
    since: Moment,
    do: str,
    explain: str,
    kpi: str | None = None,
    tickets: list[UUID] | None = None,
    aspect: str = "",
) -> AlertRead:
    """Return an alert with the id that its kind and subject always have; `aspect` distinguishes two of one subject."""
    return AlertRead(
        id=uuid5(_NAMES, f"{kind} {subject} {aspect}"),
        kind=kind,
        severity=severity,
        subject=subject,
        says=says,
        facts=facts,
        since=since,
        do=do,
        tickets=tickets or [],
        kpi=kpi,
        explain=explain,
    )


class AlertsRead(ReadModel):
    """How many alerts there are of each severity, and the first of them as GET /v1/alerts orders them."""

    critical: Annotated[int, described("Alerts that cannot wait.", 1)]
    warning: Annotated[int, described("Alerts that need care soon.", 2)]
    info: Annotated[int, described("Alerts that are good to know.", 0)]
    items: list[AlertRead]
    """The first 20, the gravest first."""


def summary(found: list[AlertRead]) -> AlertsRead:
    """Return all alerts in short."""
    counts = Counter(each.severity for each in found)
    first = sorted(found, key=position_of)[:FIRST]
    return AlertsRead(critical=counts["critical"], warning=counts["warning"], info=counts["info"], items=first)


def position_of(found: AlertRead) -> UUID:
    """Return its position in the list, as a number that a cursor can hold: the gravest first, then the oldest."""
    rank = SEVERITIES.index(found.severity)
    since = int(found.since.timestamp() * 1_000_000)
    return UUID(int=(rank << 120) | (since << _DIGITS) | (found.id.int & ((1 << _DIGITS) - 1)))
