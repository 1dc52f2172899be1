"""Surveys over HTTP."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from event_contracts.service import Priority, SurveyKind, TicketChannel, TicketKind
from service_kit.fields import ExternalReference, Identifier, Moment, ReadModel, Score, StrictModel, Text, examples

Recommendation = Annotated[
    int, Field(strict=True, ge=0, le=10, description="How likely they would recommend us: 10 is certainly.")
]
Effort = Annotated[int, Field(strict=True, ge=1, le=7, description="How easy it was: 7 is very easy.")]


SurveyScore = Annotated[int, Field(ge=1, le=5)]
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

    ticket_id: Identifier
    kind: SurveyKind
    external_ref: ExternalReference | None = None
    occurred_at: Moment | None = None


class SurveyAnswerCreate(StrictModel):
    """What the customer answers: 1 is the worst, 5 the best. Where asked, also recommendation and effort."""

    model_config = examples({"score": 5, "recommendation": 9, "effort": 6, "comment": "Quick and friendly."})

    score: Score
    recommendation: Recommendation | None = None
    effort: Effort | None = None
    comment: Text | None = None


class SurveyAnswerRequest(SurveyAnswerCreate):
    """An answer that staff or an import enters for the customer."""

    model_config = examples(
        {
            "score": 4,
            "recommendation": 8,
            "effort": 5,
            "comment": "Corrected on the phone.",
            "occurred_at": "2025-03-31T21:00:00Z",
        }
    )

    occurred_at: Moment | None = None


class SurveyRead(ReadModel):
    """A survey; `answer_path` is the link for its customer, null to a role that may not enter answers itself."""

    id: UUID
    version: int
    kind: SurveyKind
    ticket_id: UUID
    customer_id: UUID
    agent_id: UUID | None
    team_id: UUID | None
    ticket_kind: TicketKind
    channel: TicketChannel
    priority: Priority
    region: str | None
    segment: str | None
    product: str | None
    external_ref: str | None
    sent_at: Moment
    answered_at: Moment | None
    revised_at: Moment | None
    score: int | None
    recommendation: int | None
    effort: int | None
    comment: str | None
    erased_at: Moment | None
    answer_path: str | None


class SurveyAnswerRead(ReadModel):
    """A survey as its customer sees it."""

    id: UUID
    version: int
    kind: SurveyKind
    answered_at: Moment | None
    score: int | None
    recommendation: int | None
    effort: int | None
    comment: str | None
