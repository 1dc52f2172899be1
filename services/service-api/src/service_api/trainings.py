"""Trainings: what service taught customers' people."""

from datetime import datetime

from fastapi import Request, Response
from pydantic import ConfigDict
from sqlalchemy.orm import Mapped

from event_contracts.service import TrainingDelivered
from service_api.access import Reader, Worker
from service_api.care import ByAgent, DoneIn, DoneView, attributed, listed, shown, tell
from service_api.tables import Base
from service_kit.fields import Count, Identifier, Moment
from service_kit.occurrence import happened_at
from service_kit.paging import Paged, PageView
from service_kit.routing import Session, router
from service_kit.tables import filtered


class Training(ByAgent, Base):
    """A training that a customer was given. Never changed."""

    __tablename__ = "training"
    __table_args__ = filtered("training", ("customer_id", "agent_id", "team_id"))

    product: Mapped[str | None]
    attendees: Mapped[int]
    delivered_at: Mapped[datetime]


class TrainingIn(DoneIn):
    """A training that was given."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
                    "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
                    "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
                    "product": "heat-pump-9",
                    "occurred_at": "2026-03-31T21:00:00Z",
                    "attendees": 6,
                }
            ]
        }
    )

    attendees: Count


class TrainingView(DoneView):
    """A training."""

    product: str | None
    attendees: int
    delivered_at: Moment


trainings = router("/trainings", "trainings")


@trainings.post("", status_code=201, summary="Enter a training")
async def deliver_training(body: TrainingIn, session: Session, response: Response, by: Worker) -> TrainingView:
    """Enters that a customer's people were trained."""
    at = happened_at(body.occurred_at, by)
    state = await attributed(session, body) | {
        "product": body.product,
        "attendees": body.attendees,
        "delivered_at": at,
    }
    training = Training(version=1, **state)
    await tell(session, training, TrainingDelivered(**state), at, response, "trainings")
    return TrainingView.model_validate(training)


@trainings.get("", summary="List trainings")
async def list_trainings(
    session: Session,
    page: Paged,
    _: Reader,
    customer_id: Identifier | None = None,
    agent_id: Identifier | None = None,
    team_id: Identifier | None = None,
) -> PageView[TrainingView]:
    """Newest first."""
    filters = {"customer_id": customer_id, "agent_id": agent_id, "team_id": team_id}
    return await listed(session, page, Training, filters, TrainingView.model_validate)


@trainings.get("/{training_id}", summary="Read a training", response_model=TrainingView)
async def get_training(
    training_id: Identifier, session: Session, request: Request, response: Response, _: Reader
) -> TrainingView | Response:
    """One training."""
    return await shown(session, request, response, Training, training_id, TrainingView, noun="training")
