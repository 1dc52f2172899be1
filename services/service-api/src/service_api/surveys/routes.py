"""Surveys over HTTP, for staff and for the customer who answers by a signed link."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Path, Request, Response

from event_contracts.catalogue import SERVICE_TOPIC
from event_contracts.service import AnswerSource, SurveyKind
from service_api.agents import Agent, AgentRead
from service_api.customers.model import Customer
from service_api.customers.schemas import CustomerRead
from service_api.settings import ServiceApiSettings
from service_api.surveys import use_cases
from service_api.surveys.links import Links, links_of
from service_api.surveys.model import Survey
from service_api.surveys.schemas import (
    SurveyAnswerCreate,
    SurveyAnswerRead,
    SurveyAnswerRequest,
    SurveyCreate,
    SurveyFollowUpRequest,
    SurveyRead,
    SurveyScore,
)
from service_api.teams import Team, TeamRead
from service_api.tickets.model import Ticket
from service_api.tickets.schemas import TicketRead
from service_kit.fields import ExternalReference, Identifier, Moment
from service_kit.history.own_events import OwnEvents
from service_kit.lists.includes import included
from service_kit.resources import Resource
from service_kit.routing import By, Work, access_of, router
from service_kit.versions import Expected, set_etag


def view_for(request: Request) -> Callable[[Any], SurveyRead]:
    """Return the view of surveys for a request. The link lets its holder answer: it is a secret field."""
    links = links_of(request)
    access = access_of(request)
    is_shown = access is not None and access.shows_secrets(Survey.table)

    def view(survey: Any) -> SurveyRead:
        columns = {name: getattr(survey, name) for name in SurveyRead.model_fields if name != "answer_path"}
        return SurveyRead(**columns, answer_path=links.path_of(survey.id, survey.sent_at) if is_shown else None)

    return view


surveys = Resource(
    "/surveys/{survey_id}",
    Survey.table,
    SurveyRead,
    view_for=view_for,
    filters={
        "ticket_id": Identifier,
        "customer_id": Identifier,
        "agent_id": Identifier,
        "team_id": Identifier,
        "score": SurveyScore,
        "external_ref": ExternalReference,
        "kind": SurveyKind,
        "answer_source": AnswerSource,
        "sent_at": Moment,
        "answered_at": Moment,
        "waiting_since": Moment,
    },
    sorts=(
        "sent_at",
        "answered_at",
        "waiting_since",
        "score",
    ),
    includes={
        "agent": included("agent_id", Agent.table, AgentRead),
        "team": included("team_id", Team.table, TeamRead),
        "customer": included("customer_id", Customer.table, CustomerRead),
        "ticket": included("ticket_id", Ticket.table, TicketRead),
    },
    own_events=OwnEvents(SERVICE_TOPIC, "surveys", key=("keyed_by", "customer_id")),
)
surveys.read_routes(list_as="list_surveys", get_as="get_survey")
survey_answers = router("/survey-answers", "surveys")


@surveys.routes.post("", status_code=201, summary="Send a survey")
async def send_survey(body: SurveyCreate, work: Work, request: Request, response: Response, by: By) -> SurveyRead:
    """Send a survey about a ticket to its customer.

    `answer_path` is the link to give to them. The process that does so, and gives it again, is an importer.
    """
    return surveys.show_created(response, await use_cases.send_survey(work, body, by), view_for(request))


@surveys.routes.post("/{survey_id}/answer", summary="Enter an answer for the customer")
async def enter_survey_answer(
    survey_id: Identifier,
    body: SurveyAnswerRequest,
    work: Work,
    request: Request,
    response: Response,
    by: By,
    expected: Expected,
) -> SurveyRead:
    """Enter what the customer answered on paper or by telephone, when, and why you enter it.

    Entering it again corrects it, on the day of the first. 409 once the customer has answered by their link: their own
    answer also replaces one that was entered.
    """
    survey = await use_cases.enter_survey_answer(work, survey_id, body, by, expected)
    return surveys.show(response, survey, view_for(request))


@surveys.routes.post("/{survey_id}/follow-up", summary="Follow up a bad rating")
async def follow_up_survey(
    survey_id: Identifier,
    body: SurveyFollowUpRequest,
    work: Work,
    request: Request,
    response: Response,
    by: By,
    expected: Expected,
) -> SurveyRead:
    """Record that an agent spoke with the customer about their bad rating, which waits no longer.

    A contact of an agent's that is logged on the ticket afterwards does the same. 409 where nothing waits.
    """
    survey = await use_cases.follow_up_survey(work, survey_id, body, by, expected)
    return surveys.show(response, survey, view_for(request))


@survey_answers.post("/{token}", summary="Answer a survey as the customer", openapi_extra={"security": []})
async def give_answer(
    token: Annotated[
        str,
        Path(
            max_length=100,
            description="The last part of the survey's `answer_path`.",
            examples=["AZgMjnozfWCPPFsfOwyaEQ.mF0c3Vb7yqQ"],
        ),
    ],
    body: SurveyAnswerCreate,
    work: Work,
    request: Request,
    response: Response,
    links: Links,
    by: By,
    expected: Expected,
) -> SurveyAnswerRead:
    """Answer by the link alone, without an account. A later answer revises the first, for some days; then 409.

    410 once the link has expired.
    """
    settings: ServiceApiSettings = request.app.state.settings
    revisable = timedelta(days=settings.survey_revision_days)
    survey = await use_cases.give_answer(work, links.read(token), body, by, expected, revisable)
    set_etag(response, survey.version)
    return SurveyAnswerRead.model_validate(survey)
