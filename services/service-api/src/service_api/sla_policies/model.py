"""An SLA policy, and the rule of what it can promise."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, get_args
from uuid import UUID

import sqlalchemy as sa

from event_contracts.service import Priority, TicketKind
from service_api.tables import Base
from service_api.tickets.sla import SlaTerms, SurveyCredit
from service_kit.business_time import BusinessHours
from service_kit.entities import Recorded, column
from service_kit.problems import Unprocessable
from service_kit.tables import filtered, one_of, searched, sorted_by_name


class SlaPolicy(Recorded, Base, table="sla_policy"):
    """What is promised of which tickets. A ticket keeps the policy that it was opened under, and what was due then."""

    __table_args__: ClassVar = (
        one_of("kind", get_args(TicketKind)),
        one_of("priority", get_args(Priority)),
        sa.CheckConstraint("first_response_seconds > 0", name="first_response_seconds"),
        sa.CheckConstraint("resolution_seconds > 0", name="resolution_seconds"),
        one_of("survey_credit", get_args(SurveyCredit)),
        sa.CheckConstraint("reopen_within_seconds >= 0", name="reopen_within_seconds"),
        sa.CheckConstraint("bad_score BETWEEN 0 AND 4", name="bad_score"),
        *filtered(
            "sla_policy",
            (
                "active",
                "updated_at",
            ),
        ),
        *sorted_by_name("sla_policy", "name"),
        searched("sla_policy", "name"),
        {"info": {"noun": "SLA policy"}},
    )

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    name: str
    kind: Annotated[TicketKind | None, column(comment="null for every kind")] = None
    priority: Annotated[Priority | None, column(comment="null for every priority")] = None
    first_response_seconds: int | None = None
    resolution_seconds: int | None = None
    reopen_within_seconds: Annotated[
        int | None, column(comment="of a resolution, in which a message reopens; null for the default")
    ] = None
    bad_score: Annotated[
        int | None,
        column(sa.SmallInteger, comment="the best score that waits for a follow-up; 0 for none, null for the default"),
    ] = None
    survey_credit: Annotated[SurveyCredit, column(comment="whom surveys about its tickets are about")] = "resolver"
    calendar_id: Annotated[
        UUID | None, column(references="business_calendar.id", comment="null for around the clock")
    ] = None
    active: bool

    def check_is_reachable(self, hours: BusinessHours | None, *, at: datetime) -> None:
        """Raise `Unprocessable` for a target that a ticket opened `at` this time would never reach in these hours."""
        for target in ("first_response_seconds", "resolution_seconds"):
            seconds = getattr(self, target)
            if seconds is not None and terms_under(self, hours).due(at, seconds) is None:
                raise Unprocessable.at(f"#/{target}", "is more business time than the calendar has in ten years")


def terms_under(policy: Any, hours: BusinessHours | None) -> SlaTerms:
    """Return what a policy, or a row with its columns, grants; `hours` are its calendar's, None is around the clock."""
    return SlaTerms(
        policy_id=policy.id,
        first_response_seconds=policy.first_response_seconds,
        resolution_seconds=policy.resolution_seconds,
        reopen_within_seconds=policy.reopen_within_seconds,
        bad_score=policy.bad_score,
        survey_credit=policy.survey_credit,
        hours=hours,
    )
