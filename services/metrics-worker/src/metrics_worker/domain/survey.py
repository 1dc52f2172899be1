"""What a survey contributes: on the day it was sent, and on the day of its first answer."""

from typing import NamedTuple

from event_contracts.service import Survey
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.posting import Posting, Reporting, text_of

SATISFIED_FROM = 4
"""The lowest score that counts as satisfied: the top two of five."""
PROMOTER_FROM, DETRACTOR_TO = 9, 6
"""Of the answers from 0 to 10, those that NPS counts as promoters and as detractors."""
EFFORTLESS_FROM = 5
"""The lowest answer that counts as easy: the top three of seven."""


class SurveyDimensions(NamedTuple):
    """The dimensions of surveys: those of their tickets, and who gave the answer. `answer_source` is set on answers."""

    region: str | None
    segment: str | None
    product: str | None
    channel: str | None
    owner: str | None
    team: str | None
    customer: str | None
    priority: str | None
    kind: str | None
    answer_source: str | None = None


SENDING = ("answer_source",)


class SurveyMeasures(
    Measures,
    kind="survey",
    credit="who resolved the ticket, unless its SLA policy names another; as when the survey was sent",
):
    """The measures of surveys."""

    sent: Measure = Measure("surveys, by sending day", not_by=SENDING)
    cohort_answered: Measure = Measure("surveys answered so far, by sending day", not_by=SENDING)
    answered: Measure = Measure("surveys, by day of first answer")
    scored: Measure = Measure("surveys answered with a score, by day of first answer")
    satisfied: Measure = Measure("surveys answered with 4 or 5, by day of first answer")
    score: Measure = Measure("scores, by day of first answer", unit="score")
    recommended: Measure = Measure("surveys answered on recommendation, by day of first answer")
    promoters: Measure = Measure("of these, answers of 9 or 10, by day of first answer")
    detractors: Measure = Measure("of these, answers of 0 to 6, by day of first answer")
    effort_rated: Measure = Measure("surveys answered on effort, by day of first answer")
    effort: Measure = Measure("effort answers from 1 to 7, by day of first answer", unit="score")
    effortless: Measure = Measure("of these, answers of 5 to 7, by day of first answer")
    cohort_answered_by_customer: Measure = Measure(
        "surveys answered so far by the customer's own link, by sending day", not_by=SENDING
    )


def postings_for(survey: Survey, reporting: Reporting) -> list[Posting]:
    """Return the survey's whole contribution.

    Raise ValueError for an answer without a time, or a time without an answer.
    """
    score, recommendation, effort = survey.score, survey.recommendation, survey.effort
    if (survey.answered_at is None) != (score is None and recommendation is None and effort is None):
        raise ValueError("a survey has both an answer and the time of it, or neither")
    dimensions = SurveyDimensions(
        region=survey.region,
        segment=survey.segment,
        product=survey.product,
        channel=survey.channel,
        owner=text_of(survey.agent_id),
        team=text_of(survey.team_id),
        customer=text_of(survey.customer_id),
        priority=survey.priority,
        kind=survey.ticket_kind,
    )
    sent = SurveyMeasures(
        sent=1,
        cohort_answered=int(survey.answered_at is not None),
        cohort_answered_by_customer=int(survey.answer_source == "customer"),
    )
    postings = [Posting(reporting.day_of(survey.sent_at), dimensions, sent)]
    if survey.answered_at is not None:
        answer = SurveyMeasures(
            answered=1,
            scored=int(score is not None),
            satisfied=int(score is not None and score >= SATISFIED_FROM),
            score=score or 0,
            recommended=int(recommendation is not None),
            promoters=int(recommendation is not None and recommendation >= PROMOTER_FROM),
            detractors=int(recommendation is not None and recommendation <= DETRACTOR_TO),
            effort_rated=int(effort is not None),
            effort=effort or 0,
            effortless=int(effort is not None and effort >= EFFORTLESS_FROM),
        )
        dimensions = dimensions._replace(answer_source=survey.answer_source)
        postings.append(Posting(reporting.day_of(survey.answered_at), dimensions, answer))
    return postings
