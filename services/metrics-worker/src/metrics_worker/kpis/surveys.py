"""What a survey contributes: on the day it was sent, and on the day of its first answer."""

from typing import Annotated, NamedTuple

from event_contracts.service import Survey
from metrics_worker.kpis.posting import Measure, Posting, Reporting, text_of
from metrics_worker.kpis.tickets import ServiceDimensions

SATISFIED_FROM = 4
"""The lowest score that counts as satisfied: the top two of five."""


class SurveyMeasures(NamedTuple):
    """What is summed of surveys."""

    sent: Annotated[int, Measure("surveys, on the day they were sent")] = 0
    cohort_answered: Annotated[int, Measure("surveys answered by now, on the day they were sent")] = 0
    answered: Annotated[int, Measure("surveys, on the day they were first answered")] = 0
    satisfied: Annotated[int, Measure("surveys answered with 4 or 5, on the day they were first answered")] = 0
    score: Annotated[int, Measure("the scores given, on the day of the first answer", unit="score")] = 0


def postings_for(survey: Survey, reporting: Reporting) -> list[Posting]:
    """The survey's whole contribution. Raises ValueError when an answered survey lacks its score, or the reverse."""
    if (survey.answered_at is None) != (survey.score is None):
        raise ValueError("a survey has both a score and the time of its answer, or neither")
    dimensions = ServiceDimensions(
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
    sent = SurveyMeasures(sent=1, cohort_answered=int(survey.answered_at is not None))
    postings = [Posting(reporting.day_of(survey.sent_at), dimensions, sent)]
    if survey.answered_at is not None and survey.score is not None:
        answer = SurveyMeasures(answered=1, satisfied=int(survey.score >= SATISFIED_FROM), score=survey.score)
        postings.append(Posting(reporting.day_of(survey.answered_at), dimensions, answer))
    return postings
