"""GET /v1/coverage: what carries a value of which dimension, and whom nobody asked."""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import Final, Literal

from pydantic import ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from metrics_worker.api.kpis import READERS, Stand
from metrics_worker.books.blocks import ALL
from metrics_worker.domain.account import AccountMeasures
from metrics_worker.domain.deal import DealMeasures
from metrics_worker.domain.kinds import Kind
from metrics_worker.domain.lead import LeadMeasures
from metrics_worker.domain.measure import Measure
from metrics_worker.domain.period import Period
from metrics_worker.domain.survey import SurveyMeasures
from metrics_worker.domain.ticket import TicketMeasures
from metrics_worker.kpis.formula import kind_of
from metrics_worker.queries.figure import share_text
from metrics_worker.queries.query import FirstDay, LastDay, period_of
from metrics_worker.queries.sample import ASKED_EVERYWHERE, COVERED, ENOUGH_COVERED, by_value
from metrics_worker.queries.sql import Sums, Valueless, read
from service_kit.fields import Moment, View
from service_kit.routing import Session, router

coverage = router("/coverage", "kpis")

Subject = Literal["customers", "leads", "deals", "tickets", "answers"]
SUBJECTS: Final[dict[Subject, tuple[Measure, ...]]] = {
    "customers": (AccountMeasures.customers,),
    "leads": (LeadMeasures.created,),
    "deals": (DealMeasures.won, DealMeasures.lost),
    "tickets": (TicketMeasures.opened,),
    "answers": (SurveyMeasures.answered,),
}
"""What is looked at, and the measures that count it: all customers by the last day, all else as it came in, was closed
or was answered on these days."""
VALUES_AT_MOST: Final = 100_000
"""Of one dimension, that are looked at."""
UNASKED_AT_MOST: Final = 100
"""Values of one dimension that are named as unasked."""


class CarriedView(View):
    """What share of the subjects carries a value; null where there are none."""

    subject: Subject
    value: str | None
    numerator: int
    denominator: int

    @property
    def thin(self) -> bool:
        """Whether less than four fifths carry it."""
        return self.denominator > 0 and self.numerator < ENOUGH_COVERED * self.denominator


class DimensionCoverageView(View):
    """One dimension: `thin` when less than four fifths of any kind of subject carries a value."""

    dimension: str
    thin: bool
    subjects: list[CarriedView]


class UnaskedValueView(View):
    """A region, segment or product that is in the books, and that no survey was sent to or none answered from."""

    value: str
    customers: int
    deals: int
    tickets: int
    surveys_sent: int
    surveys_answered: int


class UnaskedView(View):
    """Who is not heard, the largest first; `count` is how many there are, 100 are named at most."""

    dimension: str
    count: int
    values: list[UnaskedValueView]


class CoverageView(View):
    """How complete the books are, and how far the surveys reach."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "from": "2026-01-01",
                    "to": "2026-03-31",
                    "timezone": "Europe/Vilnius",
                    "dimensions": [
                        {
                            "dimension": "region",
                            "thin": False,
                            "subjects": [
                                {"subject": "customers", "value": "0.98", "numerator": 490, "denominator": 500}
                            ],
                        }
                    ],
                    "unasked": [
                        {
                            "dimension": "region",
                            "count": 1,
                            "values": [
                                {
                                    "value": "APAC",
                                    "customers": 31,
                                    "deals": 12,
                                    "tickets": 8,
                                    "surveys_sent": 0,
                                    "surveys_answered": 0,
                                }
                            ],
                        }
                    ],
                    "fresh_as_of": "2026-03-31T21:00:00.120000Z",
                }
            ]
        }
    )

    start: date = Field(serialization_alias="from")
    end: date = Field(serialization_alias="to")
    timezone: str
    dimensions: list[DimensionCoverageView]
    unasked: list[UnaskedView]
    fresh_as_of: Moment | None


@coverage.get("", dependencies=READERS)
async def get_coverage(
    session: Session,
    stand: Stand,
    start: FirstDay = None,
    end: LastDay = None,
) -> CoverageView:
    """What share of customers, leads, deals, tickets and answers carries each dimension, and whom nobody asked."""
    period = period_of(start, end, stand.reporting)
    return CoverageView(
        start=period.start,
        end=period.end,
        timezone=stand.reporting.zone.key,
        dimensions=await carried_by(session, period),
        unasked=await unasked(session, period),
        fresh_as_of=stand.fresh_as_of,
    )


async def carried_by(session: AsyncSession, period: Period) -> list[DimensionCoverageView]:
    """Each dimension with the subjects that may carry it."""
    rows: dict[str, list[CarriedView]] = {name: [] for name in COVERED}
    reads = {
        subject: Valueless(*_columns(measures), period, _stands(measures)) for subject, measures in SUBJECTS.items()
    }
    found = await read(session, reads.values(), limit=VALUES_AT_MOST)
    for subject, of_subject in reads.items():
        without = found.by_dimension(of_subject)
        whole = sum(without.get(ALL, ()))
        for name in COVERED:
            if name in of_subject.kind.dimensions:
                with_value = whole - sum(without.get(name, ()))
                value = share_text(Fraction(with_value, whole)) if whole > 0 else None
                rows[name].append(CarriedView(subject=subject, value=value, numerator=with_value, denominator=whole))
    return [
        DimensionCoverageView(
            dimension=name,
            thin=any(each.thin for each in subjects),
            subjects=subjects,
        )
        for name, subjects in rows.items()
    ]


async def unasked(session: AsyncSession, period: Period) -> list[UnaskedView]:
    """For each dimension that is to be heard everywhere, the values that have customers, deals or tickets and no
    survey sent or answered on these days."""
    reads = {
        (name, dimension): Sums(*_columns(measures), period, group_by=dimension, from_the_beginning=_stands(measures))
        for name, measures in _ASKED.items()
        for dimension in ASKED_EVERYWHERE
        if dimension in kind_of(measures[0]).dimensions
    }
    found = await read(session, reads.values(), limit=VALUES_AT_MOST)
    there: dict[tuple[str, str], dict[str, int]] = {}
    for (name, of_dimension), wanted in reads.items():
        for value, amount in by_value(found, wanted).items():
            there.setdefault((of_dimension, value), {})[name] = amount
    silent: dict[str, list[UnaskedValueView]] = {name: [] for name in ASKED_EVERYWHERE}
    for (dimension, value), amounts_of in there.items():
        view = UnaskedValueView(
            value=value,
            **{name: amounts_of.get(name, 0) for name in UnaskedValueView.model_fields if name != "value"},
        )
        if view.customers + view.deals + view.tickets > 0 and not (view.surveys_sent and view.surveys_answered):
            silent[dimension].append(view)
    for values in silent.values():
        values.sort(key=lambda each: (-(each.customers + each.deals + each.tickets), each.value))
    return [
        UnaskedView(dimension=name, count=len(values), values=values[:UNASKED_AT_MOST])
        for name, values in silent.items()
    ]


_ASKED: Final[dict[str, tuple[Measure, ...]]] = {
    **{subject: SUBJECTS[subject] for subject in ("customers", "deals", "tickets")},
    "surveys_sent": (SurveyMeasures.sent,),
    "surveys_answered": (SurveyMeasures.answered,),
}


def _columns(measures: Sequence[Measure]) -> tuple[Kind, tuple[str, ...]]:
    """Measures of one kind, as the balances hold them."""
    return kind_of(measures[0]), tuple(measure.column for measure in measures)


def _stands(measures: Sequence[Measure]) -> bool:
    return any(measure.semi_additive for measure in measures)
