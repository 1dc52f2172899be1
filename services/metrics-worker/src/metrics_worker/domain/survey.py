"""What a survey contributes: on the day it was sent, and on the day of its first answer."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from event_contracts.service import RatingWait, Survey
from metrics_worker.domain.histogram import bucket_of
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.posting import LOST_AFTER_SECONDS, Posting, Reporting, credited, seconds_between, text_of

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
RATED = "the agent whom the survey is about"
FOLLOWER = "the agent who spoke with the customer"


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
    waits: Measure = Measure("times in which bad ratings waited for a follow-up, by the day they began", credit=RATED)
    waits_within_hour: Measure = Measure(
        "of these times, those in which an agent spoke with the customer within an hour, by the day they began",
        credit=RATED,
    )
    waiting: Measure = Measure("bad ratings that wait for a follow-up", semi_additive=True, credit=RATED)
    followed_up: Measure = Measure("bad ratings, by the day an agent spoke with the customer", credit=FOLLOWER)
    follow_up_seconds: Measure = Measure(
        "time from a bad rating until an agent spoke with the customer, by day of that",
        unit="seconds",
        counted_by=followed_up,
        credit=FOLLOWER,
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
        waits = survey.waits or []
        # The first wait mostly begins with the answer, and joins its posting: rows are what a posting costs.
        at_once = waits[0] if waits and waits[0].since == survey.answered_at else None
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
            waits=int(at_once is not None),
            waiting=int(at_once is not None),
            waits_within_hour=int(at_once is not None and _within_hour(at_once)),
        )
        dimensions = dimensions._replace(answer_source=survey.answer_source)
        postings.append(Posting(reporting.day_of(survey.answered_at), dimensions, answer))
        for wait in waits:
            if wait is not at_once:
                began = SurveyMeasures(waits=1, waiting=1, waits_within_hour=int(_within_hour(wait)))
                postings.append(Posting(reporting.day_of(wait.since), dimensions, began))
            if wait.until is not None:
                postings += _of_end(wait, wait.until, dimensions, reporting)
    return postings


def _within_hour(wait: RatingWait) -> bool:
    """Return whether an agent spoke with the customer so soon; a customer's own revision is no answer of ours."""
    is_ours = wait.until is not None and wait.ended_by == "follow_up"
    return is_ours and seconds_between(wait.since, wait.until or wait.since) <= LOST_AFTER_SECONDS


def _of_end(wait: RatingWait, until: datetime, dimensions: SurveyDimensions, reporting: Reporting) -> Iterator[Posting]:
    day = reporting.day_of(until)
    yield Posting(day, dimensions, SurveyMeasures(waiting=-1))
    if wait.ended_by == "follow_up":
        seconds = seconds_between(wait.since, until)
        amounts = SurveyMeasures(followed_up=1, follow_up_seconds=seconds)
        yield Posting(day, credited(dimensions, wait.followed_up_by), amounts, buckets=(bucket_of(seconds),))
