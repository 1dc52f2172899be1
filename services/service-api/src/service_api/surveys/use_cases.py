"""What can be done with surveys: one function a use case, each within its route's transaction."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from event_contracts.service import Survey as ContractSurvey
from event_contracts.service import SurveyAnswered, SurveyRevised, SurveyRevision, SurveySent
from service_api.surveys.model import Survey
from service_api.surveys.schemas import CustomerAnswer, SurveyAnswer, SurveyToSend
from service_api.tickets.model import Ticket
from service_kit import outbox
from service_kit.auth import Principal
from service_kit.occurrence import happened_at
from service_kit.problems import Conflict, NotFound
from service_kit.references import UnknownReference, require_free
from service_kit.versions import ExpectedVersion


class SurveyAlreadyOpen(Conflict):
    """A ticket has one unanswered survey of a kind at most; `existing_id` is its id."""

    slug, title = "survey-already-open", "The customer was asked already"


async def send_survey(session: AsyncSession, body: SurveyToSend, by: Principal) -> Survey:
    """Puts a question to a ticket's customer. Raises `SurveyAlreadyOpen` (409) and `UnknownReference` (422)."""
    await require_free(session, body.external_ref, among=Survey.external_ref, ids=Survey.id)
    ticket = await session.get(Ticket, body.ticket_id)
    if ticket is None:
        raise UnknownReference.at("#/ticket_id", "names no ticket")
    unanswered = sa.select(Survey.id).where(
        Survey.ticket_id == ticket.id, Survey.kind == body.kind, Survey.answered_at.is_(None)
    )
    if (existing_id := (await session.execute(unanswered)).scalar_one_or_none()) is not None:
        raise SurveyAlreadyOpen("Wait for the answer; existing_id names the survey.", existing_id=str(existing_id))
    at = happened_at(body.occurred_at, by, after=ticket.opened_at)
    survey = Survey.send(kind=body.kind, ticket=ticket, at=at, external_ref=body.external_ref)
    session.add(survey)
    await _publish(session, survey, SurveySent(**survey.state_fields()), at)
    return survey


async def answer_survey(
    session: AsyncSession, survey_id: UUID, body: SurveyAnswer, by: Principal, expected: ExpectedVersion
) -> Survey:
    """Enters an answer for the customer; a second one revises the first."""
    survey = await _lock(session, survey_id, expected)
    at = happened_at(body.occurred_at, by, after=survey.changed_at)
    await _answer(session, survey, body, at)
    return survey


async def give_answer(
    session: AsyncSession, survey_id: UUID, body: CustomerAnswer, by: Principal, expected: ExpectedVersion
) -> Survey:
    """Takes the answer that a customer gives by the signed link, now."""
    survey = await _lock(session, survey_id, expected)
    await _answer(session, survey, body, happened_at(None, by, after=survey.changed_at))
    return survey


async def _answer(session: AsyncSession, survey: Survey, body: CustomerAnswer, at: datetime) -> None:
    previous_score = survey.answer(
        score=body.score, comment=body.comment, at=at, recommendation=body.recommendation, effort=body.effort
    )
    event: ContractSurvey
    if previous_score is None:
        event = SurveyAnswered(**survey.state_fields())
    else:
        event = SurveyRevised(**survey.state_fields(), change=SurveyRevision(previous_score=previous_score))
    await _publish(session, survey, event, at)


async def _lock(session: AsyncSession, survey_id: UUID, expected: ExpectedVersion) -> Survey:
    """The survey, its row locked until the transaction ends. Raises `NotFound` and `PreconditionFailed` (412)."""
    survey = await session.get(Survey, survey_id, with_for_update=True)
    if survey is None:
        raise NotFound(f"There is no survey {survey_id}.")
    expected.check(survey.version)
    return survey


async def _publish(session: AsyncSession, survey: Survey, event: ContractSurvey, at: datetime) -> None:
    await outbox.write(session, event, sequence=survey.version, time=at, partition_key=survey.customer_id)
