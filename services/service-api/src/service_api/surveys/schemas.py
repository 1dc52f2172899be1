"""Surveys over HTTP."""

from typing import Annotated

from pydantic import Field

from event_contracts.service import RatingWaitEnd
from service_api.fields import (
    AgentId,
    AgentIdRead,
    AnswerScore,
    AnswerScoreRead,
    Comment,
    CommentRead,
    ContactChannel,
    CustomerIdRead,
    EffortRead,
    EntryReason,
    EntryReasonRead,
    KindOfSurvey,
    KindOfTicket,
    ProductOfRead,
    RecommendationRead,
    RegionRead,
    RevisedAt,
    SegmentRead,
    SourceOfAnswer,
    TeamIdRead,
    TicketId,
    TicketIdRead,
    Urgency,
)
from service_api.tickets.schemas import CreditRead
from service_kit.fields import (
    ErasedAt,
    ExternalReference,
    ExternalReferenceRead,
    Moment,
    OccurredAt,
    ReadModel,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    described,
    examples,
    plain_digits,
)

Recommendation = Annotated[RecommendationRead, Field(strict=True, ge=0, le=10)]
Effort = Annotated[EffortRead, Field(strict=True, ge=1, le=7)]
_ANSWER_PATH = described(
    "The address by which the customer answers, without an account.",
    "/v1/survey-answers/AZgMjnozfWCPPFsfOwyaEQ.mF0c3Vb7yqQ",
)

_RATED = described("When the customer gave the rating.", "2026-04-02T08:00:00Z")
_RATING_ENDED = described(
    "When an agent spoke with them, or they revised it to a good one; null while it waits.", "2026-04-02T08:25:00Z"
)
_RATING_END = described("What ended it; null while it waits.", "follow_up", schema="RatingWaitEnd")

SurveyScore = Annotated[AnswerScoreRead, Field(ge=1, le=5), plain_digits]
"""A score as a query's parameter, where every value is a text."""


class SurveyCreate(StrictModel):
    """Which survey to send about which ticket."""

    model_config = examples(
        {
            "ticket_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13",
            "kind": "csat",
            "external_ref": "csat-4711",
            "occurred_at": "2025-03-31T21:00:00Z",
        }
    )

    ticket_id: TicketId
    kind: KindOfSurvey
    external_ref: ExternalReference | None = None
    occurred_at: OccurredAt | None = None


class SurveyAnswerCreate(StrictModel):
    """What the customer answers: 1 is the worst, 5 the best. Where asked, also recommendation and effort."""

    model_config = examples({"score": 5, "recommendation": 9, "effort": 6, "comment": "Quick and friendly."})

    score: AnswerScore
    recommendation: Recommendation | None = None
    effort: Effort | None = None
    comment: Comment | None = None


class SurveyAnswerRequest(SurveyAnswerCreate):
    """An answer that staff or an import enters for the customer."""

    model_config = examples(
        {
            "score": 4,
            "recommendation": 8,
            "effort": 5,
            "comment": "Quick and friendly.",
            "reason": "paper-form",
            "occurred_at": "2025-03-31T21:00:00Z",
        }
    )

    reason: EntryReason
    occurred_at: Annotated[Moment, described("When the customer answered.", "2025-03-31T21:00:00Z")]


class SurveyFollowUpRequest(StrictModel):
    """How an agent spoke with the customer about a bad rating, and who."""

    model_config = examples(
        {
            "channel": "phone",
            "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
            "occurred_at": "2026-04-02T08:25:00Z",
        }
    )

    channel: ContactChannel
    agent_id: AgentId | None = Field(
        default=None, description="Who spoke with them; when left out the caller, or else the agent who was rated."
    )
    occurred_at: OccurredAt | None = None


class RatingWaitRead(ReadModel):
    """A time in which a bad rating waited for an agent to speak with the customer about it."""

    since: Annotated[Moment, _RATED]
    until: Annotated[Moment, _RATING_ENDED] | None
    ended_by: Annotated[RatingWaitEnd, _RATING_END] | None
    channel: ContactChannel | None
    followed_up_by: CreditRead | None
    """Who spoke with them."""


class SurveyRead(ReadModel):
    """A survey; `answer_path` is the link for its customer.

    It is null to all roles but that of the process that sends it, and once it has expired.
    """

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    kind: KindOfSurvey
    ticket_id: TicketIdRead
    customer_id: CustomerIdRead
    agent_id: AgentIdRead | None
    """The agent whose ticket it was."""
    team_id: TeamIdRead | None
    """The team whose ticket it was."""
    ticket_kind: KindOfTicket
    """What the customer wanted."""
    channel: ContactChannel
    priority: Urgency
    region: RegionRead | None
    """The customer's region when it was sent, by its code."""
    segment: SegmentRead | None
    """The customer's segment when it was sent, by its code."""
    product: ProductOfRead | None
    external_ref: ExternalReferenceRead | None
    sent_at: Moment
    """When the customer got it."""
    answered_at: Moment | None
    """When the first answer came; null without one."""
    revised_at: RevisedAt | None
    score: AnswerScoreRead | None
    recommendation: RecommendationRead | None
    effort: EffortRead | None
    comment: CommentRead | None
    answer_source: SourceOfAnswer | None
    entry_reason: EntryReasonRead | None
    entered_by: Annotated[str, described("The subject of the token that it was entered by.", "rasa@example.com")] | None
    waits: list[RatingWaitRead] | None
    """Each time in which a bad rating waited to be followed up, in order; null for surveys of before this."""
    waiting_since: Annotated[Moment, described("Since when a bad rating waits.", "2026-04-02T08:00:00Z")] | None
    erased_at: ErasedAt | None
    answer_path: Annotated[str, _ANSWER_PATH] | None


class SurveyAnswerRead(ReadModel):
    """A survey as its customer sees it."""

    id: RecordId
    version: Version
    kind: KindOfSurvey
    answered_at: Moment | None
    """When the first answer came; null without one."""
    score: AnswerScoreRead | None
    recommendation: RecommendationRead | None
    effort: EffortRead | None
    comment: CommentRead | None
