"""Reviews: scores that customers give in public; the words stay where they were written."""

from datetime import datetime
from typing import Annotated, ClassVar

import sqlalchemy as sa
from fastapi import Response
from pydantic import Field

from event_contracts.catalogue import SERVICE_TOPIC
from event_contracts.service import ReviewAmended, ReviewRecorded
from service_api.attribution import ForCustomer, OfCustomerUpdate, amend, attribution_of
from service_api.customers.model import Customer
from service_api.customers.schemas import CustomerRead
from service_api.customers.use_cases import require_customer
from service_api.fields import (
    CustomerId,
    CustomerIdRead,
    ProductOf,
    ProductOfRead,
    RegionRead,
    ReviewChannel,
    ReviewChannelRead,
    ReviewScore,
    ReviewScoreRead,
    SegmentRead,
)
from service_api.planning_rules.use_cases import Origin, follow_rating
from service_api.surveys.schemas import SurveyScore
from service_api.tickets.corrections import move_planned
from service_kit.aggregates import publish
from service_kit.entities import column
from service_kit.fields import (
    Code,
    Identifier,
    Moment,
    OccurredAt,
    ReadModel,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    examples,
)
from service_kit.history.own_events import OwnEvents
from service_kit.identifiers import new_id
from service_kit.lists.includes import included
from service_kit.occurrence import happened_at
from service_kit.resources import Resource
from service_kit.routing import By, Work
from service_kit.tables import filtered
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import Expected


class Review(ForCustomer, table="review"):
    """A public review that was found. It changes only where it was recorded wrongly."""

    __table_args__: ClassVar = (
        sa.CheckConstraint("score BETWEEN 1 AND 5", name="score"),
        *filtered("review", ("customer_id", "channel", "product", "score", "reviewed_at", "updated_at")),
    )

    product: str | None = None
    channel: Annotated[str | None, column(comment="where it was given")] = None
    score: Annotated[int, column(sa.SmallInteger)]
    reviewed_at: datetime


class ReviewCreate(StrictModel):
    """A public review: 1 is the worst, 5 the best."""

    model_config = examples(
        {
            "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "product": "heat-pump-9",
            "channel": "marketplace",
            "score": 5,
            "occurred_at": "2026-05-20T18:00:00Z",
        }
    )

    customer_id: CustomerId
    product: ProductOf | None = None
    channel: ReviewChannel | None = Field(
        default=None, description="Where it was given: a marketplace, a directory, a forum."
    )
    score: ReviewScore
    occurred_at: OccurredAt | None = None


class ReviewUpdate(OfCustomerUpdate):
    """What was recorded wrongly of a review."""

    model_config = examples(
        {
            "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
            "region": "baltics",
            "segment": "manufacturing",
            "product": "heat-pump-9",
            "channel": "marketplace",
            "score": 4,
            "occurred_at": "2026-04-01T08:00:00Z",
        }
    )

    product: ProductOf | None = None
    channel: ReviewChannel | None = Field(
        default=None, description="Where it was given: a marketplace, a directory, a forum."
    )
    score: ReviewScore = 1


class ReviewRead(ReadModel):
    """A public review."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    customer_id: CustomerIdRead
    region: RegionRead | None
    """The customer's region at that time, by its code."""
    segment: SegmentRead | None
    """The customer's segment at that time, by its code."""
    product: ProductOfRead | None
    channel: ReviewChannelRead | None
    score: ReviewScoreRead
    reviewed_at: Moment
    """When the customer gave it."""


reviews = Resource(
    "/reviews/{review_id}",
    Review.table,
    ReviewRead,
    filters={
        "customer_id": Identifier,
        "channel": Code,
        "product": Code,
        "score": SurveyScore,
        "reviewed_at": Moment,
    },
    sorts=(
        "score",
        "reviewed_at",
    ),
    includes={
        "customer": included("customer_id", Customer.table, CustomerRead),
    },
    own_events=OwnEvents(SERVICE_TOPIC, "reviews", key=("keyed_by", "customer_id")),
)
reviews.read_routes(list_as="list_reviews", get_as="get_review")


@reviews.routes.post("", status_code=201, summary="Record a public review")
async def record_review(body: ReviewCreate, work: Work, response: Response, by: By) -> ReviewRead:
    """Record the score that a customer gave in public."""
    at = happened_at(body.occurred_at, by)
    customer = await require_customer(work, body.customer_id)
    state = {"id": new_id(), **attribution_of(customer), "product": body.product, "channel": body.channel}
    state |= {"score": body.score, "reviewed_at": at}
    review = Review(version=1, **state)
    work.add(review)
    publish(work, review, ReviewRecorded(**state), at)
    await _follow(work, review, was_rated=False)
    return reviews.show_created(response, review)


@reviews.routes.patch("/{review_id}", summary="Correct a review")
async def update_review(
    review_id: Identifier,
    body: ReviewUpdate,
    work: Work,
    response: Response,
    by: By,
    expected: Expected,
) -> ReviewRead:
    """Correct what was recorded wrongly: it counts as if it had been recorded so, on the same day."""
    review = await amend(work, Review, review_id, body, by, expected, event=ReviewAmended, since="reviewed_at")
    if body.customer_id is not None:
        await move_planned(work, [review.id], review, happened_at(body.occurred_at, by, after=review.reviewed_at))
    if "score" in body.model_fields_set:
        await _follow(work, review, was_rated=True)
    return reviews.show(response, review)


async def _follow(work: UnitOfWork, review: Review, *, was_rated: bool) -> None:
    origin = Origin(review.id, review.customer_id, review.product)
    await follow_rating(work, origin, review.score, review.reviewed_at, was_rated=was_rated)
