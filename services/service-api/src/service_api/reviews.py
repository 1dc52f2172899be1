"""Reviews: what customers say of us in public, as a score; the words stay where they were said."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import ConfigDict, Field
from sqlalchemy.orm import Mapped, mapped_column

from event_contracts.service import ReviewRecorded
from service_api.access import Reader, Worker
from service_api.care import ForCustomer, attribution_of, listed, shown, tell
from service_api.customers.use_cases import require_customer
from service_api.tables import Base
from service_kit.fields import Code, Identifier, Moment, Score, StrictModel, View
from service_kit.identifiers import new_id
from service_kit.occurrence import happened_at
from service_kit.paging import Paged, PageView
from service_kit.routing import Session, router
from service_kit.tables import filtered


class Review(ForCustomer, Base):
    """A public review that was found. Never changed."""

    __tablename__ = "review"
    __table_args__ = (
        sa.CheckConstraint("score BETWEEN 1 AND 5", name="score"),
        *filtered("review", ("customer_id", "channel")),
    )

    product: Mapped[str | None]
    channel: Mapped[str | None] = mapped_column(comment="where it was said")
    score: Mapped[int] = mapped_column(sa.SmallInteger)
    reviewed_at: Mapped[datetime]


class ReviewIn(StrictModel):
    """A public review: 1 is the worst, 5 the best."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
                    "product": "heat-pump-9",
                    "channel": "marketplace",
                    "score": 5,
                    "occurred_at": "2026-05-20T18:00:00Z",
                }
            ]
        }
    )

    customer_id: Identifier
    product: Code | None = None
    channel: Code | None = Field(default=None, description="Where it was said: a marketplace, a directory, a forum.")
    score: Score
    occurred_at: Moment | None = None


class ReviewView(View):
    """A public review."""

    id: UUID
    version: int
    customer_id: UUID
    region: str | None
    segment: str | None
    product: str | None
    channel: str | None
    score: int
    reviewed_at: Moment


reviews = router("/reviews", "reviews")


@reviews.post("", status_code=201, summary="Enter a public review")
async def record_review(body: ReviewIn, session: Session, response: Response, by: Worker) -> ReviewView:
    """Enters the score that a customer gave us in public."""
    at = happened_at(body.occurred_at, by)
    state = (
        {"id": new_id()}
        | attribution_of(await require_customer(session, body.customer_id))
        | {
            "product": body.product,
            "channel": body.channel,
            "score": body.score,
            "reviewed_at": at,
        }
    )
    review = Review(version=1, **state)
    await tell(session, review, ReviewRecorded(**state), at, response, "reviews")
    return ReviewView.model_validate(review)


@reviews.get("", summary="List reviews")
async def list_reviews(
    session: Session,
    page: Paged,
    _: Reader,
    customer_id: Identifier | None = None,
    channel: Code | None = None,
) -> PageView[ReviewView]:
    """Newest first."""
    filters = {"customer_id": customer_id, "channel": channel}
    return await listed(session, page, Review, filters, ReviewView.model_validate)


@reviews.get("/{review_id}", summary="Read a review", response_model=ReviewView)
async def get_review(
    review_id: Identifier, session: Session, request: Request, response: Response, _: Reader
) -> ReviewView | Response:
    """One review."""
    return await shown(session, request, response, Review, review_id, ReviewView, noun="review")
