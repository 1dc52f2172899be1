"""Surveys over HTTP."""

from typing import Annotated

from pydantic import Field

from service_api.fields import (
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
