"""Surveys' addresses, for staff and for the customer who answers by a signed link."""

from typing import Annotated, Any

from fastapi import Depends, Path, Request, Response

from service_api.access import WORKERS, Expected, Reader, Worker
from service_api.surveys import queries, use_cases
from service_api.surveys.links import Links, SurveyLinks
from service_api.surveys.model import Survey
from service_api.surveys.schemas import (
    CustomerAnswer,
    CustomerAnswerView,
    SurveyAnswer,
    SurveyFilters,
    SurveyToSend,
    SurveyView,
)
from service_kit.auth import Principal
from service_kit.dependencies import async_dependency
from service_kit.fields import Identifier
from service_kit.paging import Paged, PageView
from service_kit.problems import NotFound
from service_kit.routing import By, Session, router
from service_kit.versions import set_etag, unchanged

surveys = router("/surveys", "surveys")
survey_answers = router("/survey-answers", "surveys")


def _view(survey: Any, links: SurveyLinks, by: Principal) -> SurveyView:
    columns = {column.name: getattr(survey, column.name) for column in Survey.__table__.columns}
    # Whoever has the link can answer as the customer.
    return SurveyView(**columns, answer_path=links.path_of(survey.id) if by.may(*WORKERS) else None)


@surveys.post("", status_code=201, summary="Send a survey")
async def send_survey(body: SurveyToSend, session: Session, response: Response, links: Links, by: Worker) -> SurveyView:
    """Puts a question to a ticket's customer; `answer_path` is the link to give to them."""
    survey = await use_cases.send_survey(session, body, by)
    response.headers["Location"] = f"/v1/surveys/{survey.id}"
    set_etag(response, survey.version)
    return _view(survey, links, by)


@surveys.get("", summary="List surveys")
async def list_surveys(
    session: Session,
    page: Paged,
    links: Links,
    by: Reader,
    filters: Annotated[SurveyFilters, Depends(async_dependency(SurveyFilters))],
) -> PageView[SurveyView]:
    """Newest first."""
    return await queries.list_surveys(session, page, filters, lambda row: _view(row, links, by))


@surveys.get("/{survey_id}", summary="Read a survey", response_model=SurveyView)
async def get_survey(
    survey_id: Identifier, session: Session, request: Request, response: Response, links: Links, by: Reader
) -> SurveyView | Response:
    """One survey."""
    survey = await session.get(Survey, survey_id)
    if survey is None:
        raise NotFound(f"There is no survey {survey_id}.")
    set_etag(response, survey.version)
    return unchanged(request, survey.version) or _view(survey, links, by)


@surveys.post("/{survey_id}/answer", summary="Enter a survey's answer")
async def answer_survey(
    survey_id: Identifier,
    body: SurveyAnswer,
    session: Session,
    response: Response,
    links: Links,
    by: Worker,
    expected: Expected,
) -> SurveyView:
    """Enters what the customer said; another score later revises it and counts on the day of the first."""
    survey = await use_cases.answer_survey(session, survey_id, body, by, expected)
    set_etag(response, survey.version)
    return _view(survey, links, by)


@survey_answers.post(
    "/{token}",
    summary="Answer a survey as the customer",
    openapi_extra={"security": []},
)
async def give_answer(
    token: Annotated[str, Path(max_length=100, description="The last part of the survey's answer_path.")],
    body: CustomerAnswer,
    session: Session,
    response: Response,
    links: Links,
    by: By,
    expected: Expected,
) -> CustomerAnswerView:
    """Needs no account: whoever has the link may answer. Another score later revises the answer."""
    survey_id = links.read(token)
    if survey_id is None:
        raise NotFound("There is no such survey.")
    survey = await use_cases.give_answer(session, survey_id, body, by, expected)
    set_etag(response, survey.version)
    return CustomerAnswerView.model_validate(survey)
