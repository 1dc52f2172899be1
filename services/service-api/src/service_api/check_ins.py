"""Check-ins: conversations that service seeks on its own, before anything is wrong."""

from datetime import date, datetime

from fastapi import Request, Response
from pydantic import ConfigDict, Field
from sqlalchemy.orm import Mapped, mapped_column

from event_contracts.service import CheckInCompleted
from service_api.access import Reader, Worker
from service_api.care import ByAgent, DoneIn, DoneView, attributed, listed, shown, tell
from service_api.tables import Base
from service_kit.fields import Day, Identifier, Moment
from service_kit.occurrence import happened_at
from service_kit.paging import Paged, PageView
from service_kit.routing import Session, router
from service_kit.tables import filtered


class CheckIn(ByAgent, Base):
    """A check-in that took place. Never changed."""

    __tablename__ = "check_in"
    __table_args__ = filtered("check_in", ("customer_id", "agent_id", "team_id"))

    product: Mapped[str | None]
    due_on: Mapped[date | None] = mapped_column(comment="the last day that it was planned for; null when unplanned")
    completed_at: Mapped[datetime]


class CheckInIn(DoneIn):
    """A check-in that took place."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12",
                    "agent_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
                    "team_id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14",
                    "product": "heat-pump-9",
                    "occurred_at": "2026-03-31T21:00:00Z",
                    "due_on": "2026-04-15",
                }
            ]
        }
    )

    due_on: Day | None = Field(default=None, description="The last day that it was planned for, if it was.")


class CheckInView(DoneView):
    """A check-in."""

    product: str | None
    due_on: date | None
    completed_at: Moment


check_ins = router("/check-ins", "check-ins")


@check_ins.post("", status_code=201, summary="Enter a check-in")
async def complete_check_in(body: CheckInIn, session: Session, response: Response, by: Worker) -> CheckInView:
    """Enters that service asked a customer how they fare."""
    at = happened_at(body.occurred_at, by)
    state = await attributed(session, body) | {"product": body.product, "due_on": body.due_on, "completed_at": at}
    check_in = CheckIn(version=1, **state)
    await tell(session, check_in, CheckInCompleted(**state), at, response, "check-ins")
    return CheckInView.model_validate(check_in)


@check_ins.get("", summary="List check-ins")
async def list_check_ins(
    session: Session,
    page: Paged,
    _: Reader,
    customer_id: Identifier | None = None,
    agent_id: Identifier | None = None,
    team_id: Identifier | None = None,
) -> PageView[CheckInView]:
    """Newest first."""
    filters = {"customer_id": customer_id, "agent_id": agent_id, "team_id": team_id}
    return await listed(session, page, CheckIn, filters, CheckInView.model_validate)


@check_ins.get("/{check_in_id}", summary="Read a check-in", response_model=CheckInView)
async def get_check_in(
    check_in_id: Identifier, session: Session, request: Request, response: Response, _: Reader
) -> CheckInView | Response:
    """One check-in."""
    return await shown(session, request, response, CheckIn, check_in_id, CheckInView, noun="check-in")
