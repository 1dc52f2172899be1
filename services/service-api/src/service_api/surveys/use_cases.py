"""The use cases of surveys: one function each, within its route's transaction."""

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from event_contracts.fields import Credit
from event_contracts.service import Interaction
from service_api.attribution import doer_of
from service_api.planning_rules.use_cases import follow_survey
from service_api.sla_policies.queries import terms_of
from service_api.surveys.model import Survey, SurveyAlreadyOpen
from service_api.surveys.schemas import SurveyAnswerCreate, SurveyAnswerRequest, SurveyCreate, SurveyFollowUpRequest
from service_api.tickets.model import Ticket
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.compiled import CompiledStatement
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.references import require, require_new
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion

_columns = Survey.table.c
_UNANSWERED = CompiledStatement(
    sa.select(_columns.id).where(
        _columns.ticket_id == sa.bindparam("ticket_id"),
        _columns.kind == sa.bindparam("kind"),
        _columns.answered_at.is_(None),
    )
)


async def send_survey(work: UnitOfWork, body: SurveyCreate, by: Principal) -> Survey:
    """Send a survey about a ticket. Raise `SurveyAlreadyOpen` (409) and `UnknownReference` (422)."""
    await require_new(work, Survey, body.external_ref)
    ticket = await require(work, Ticket, body.ticket_id, "#/ticket_id")
    # What it takes over from the ticket must not be corrected meanwhile.
    await work.protect(Ticket, ticket.id)
    if (existing := await _UNANSWERED.one_or_none(work, ticket_id=ticket.id, kind=body.kind)) is not None:
        raise SurveyAlreadyOpen("Wait for the answer; existing_id names the survey.", existing_id=str(existing["id"]))
    at = happened_at(body.occurred_at, by, after=ticket.opened_at)
    terms = await terms_of(work, ticket.sla_policy_id)
    survey, event = Survey.send(
        kind=body.kind,
        ticket=ticket,
        at=at,
        external_ref=body.external_ref,
        credit="resolver" if terms is None else terms.survey_credit,
        bad_score=None if terms is None else terms.bad_score,
    )
    work.add(survey)
    publish(work, survey, event, at)
    return survey


async def enter_survey_answer(
    work: UnitOfWork, survey_id: UUID, body: SurveyAnswerRequest, by: Principal, expected: ExpectedVersion
) -> Survey:
    """Record an answer that staff or an import enters for the customer. Raise `CustomerAlreadyAnswered` (409)."""
    survey = await lock(work, Survey, survey_id, expected)
    at = happened_at(body.occurred_at, by)
    was_rated = survey.score is not None
    event = survey.enter(
        score=body.score,
        comment=body.comment,
        at=at,
        reason=body.reason,
        by=by.subject,
        recommendation=body.recommendation,
        effort=body.effort,
    )
    publish(work, survey, event, at)
    await follow_survey(work, survey, at, was_rated=was_rated)
    return survey


async def follow_up_survey(
    work: UnitOfWork, survey_id: UUID, body: SurveyFollowUpRequest, by: Principal, expected: ExpectedVersion
) -> Survey:
    """Record that an agent spoke with the customer about a bad rating. Raise `RatingNotWaiting` (409)."""
    survey = await lock(work, Survey, survey_id, expected)
    at = happened_at(body.occurred_at, by, after=survey.changed_at)
    credit = await doer_of(work, survey, body.agent_id, by)
    publish(work, survey, survey.follow_up(at=at, by=credit, channel=body.channel), at)
    return survey


async def follow_up_by_contact(work: UnitOfWork, ticket: Ticket, contact: Interaction) -> None:
    """Follow up the bad ratings of a ticket, and of those merged into it, that an agent's contact came after."""
    merged = sa.select(Ticket.table.c.id).where(Ticket.table.c.merged_into == ticket.id)
    bad = await work.find(
        Survey,
        sa.or_(_columns.ticket_id == ticket.id, _columns.ticket_id.in_(merged)),
        _columns.waiting_since <= contact.occurred_at,
        order_by=[_columns.id],
        lock="update",
    )
    credit = Credit(person_id=contact.agent_id, team_id=contact.team_id)
    for survey in bad:
        event = survey.follow_up(at=contact.occurred_at, by=credit, channel=contact.channel)
        publish(work, survey, event, contact.occurred_at)


async def give_answer(
    work: UnitOfWork,
    survey_id: UUID,
    body: SurveyAnswerCreate,
    by: Principal,
    expected: ExpectedVersion,
    revisable: timedelta,
) -> Survey:
    """Record the answer that a customer gives by the signed link, now; it may be revised for as long as given."""
    survey = await lock(work, Survey, survey_id, expected)
    at = happened_at(None, by, after=survey.changed_at)
    was_rated = survey.score is not None
    event = survey.answer(
        score=body.score,
        comment=body.comment,
        at=at,
        recommendation=body.recommendation,
        effort=body.effort,
        revisable=revisable,
    )
    publish(work, survey, event, at)
    await follow_survey(work, survey, at, was_rated=was_rated)
    return survey
