"""Coverage: the share of subjects that carries each dimension, and the values that have no answers."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Final, Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.domain.account import AccountMeasures
from metrics_worker.domain.deal import DealMeasures
from metrics_worker.domain.kinds import Kind
from metrics_worker.domain.lead import LeadMeasures
from metrics_worker.domain.measure import Measure
from metrics_worker.domain.period import Period
from metrics_worker.domain.survey import SurveyMeasures
from metrics_worker.domain.ticket import TicketMeasures
from metrics_worker.kpis.formula import kind_of
from metrics_worker.ledger.blocks import ALL
from metrics_worker.queries.fields import Dimension
from metrics_worker.queries.figure import share_text
from metrics_worker.queries.names import names_of
from metrics_worker.queries.sample import ASKED_EVERYWHERE, COVERED, ENOUGH_COVERED, by_value
from metrics_worker.queries.sql import Sums, Valueless, read
from service_kit.fields import ReadModel, described

Subject = Literal["customers", "leads", "deals", "tickets", "answers"]
SUBJECTS: Final[dict[Subject, tuple[Measure, ...]]] = {
    "customers": (AccountMeasures.customers,),
    "leads": (LeadMeasures.created,),
    "deals": (DealMeasures.won, DealMeasures.lost),
    "tickets": (TicketMeasures.opened,),
    "answers": (SurveyMeasures.answered,),
}
"""The measures that count each: all customers by the last day, all else as it came in, was closed or answered."""
VALUES_AT_MOST: Final = 100_000
"""Values of one dimension that are read."""
UNASKED_AT_MOST: Final = 100
"""Values of one dimension that an answer names."""

_SUBJECT = described("What is counted.", "customers", schema="CoverageSubject")


class CarriedRead(ReadModel):
    """The share of subjects that carry a value; null without subjects."""

    subject: Annotated[Subject, _SUBJECT]
    value: (
        Annotated[str, described("The share that carries a value of the dimension; null without subjects.", "0.98")]
        | None
    )
    numerator: Annotated[int, described("Subjects that carry one.", 490)]
    denominator: Annotated[int, described("All subjects.", 500)]

    @property
    def thin(self) -> bool:
        """Whether less than four fifths carry it."""
        return self.denominator > 0 and self.numerator < ENOUGH_COVERED * self.denominator


class DimensionCoverageRead(ReadModel):
    """One dimension: `thin` when less than four fifths of any kind of subject carry a value."""

    dimension: Dimension
    thin: bool
    """Whether less than four fifths of any kind of subject carry a value."""
    subjects: list[CarriedRead]
    """The share of each kind of subject that can carry it."""


class UnaskedValueRead(ReadModel):
    """A region, segment or product in the ledger without surveys, or without answers."""

    value: Annotated[str, described("The region, segment or product, by its code.", "APAC")]
    name: Annotated[str, described("What a product is called; null for others, and without a name.", "Pump")] | None
    customers: Annotated[int, described("Its customers on the last day.", 31)]
    deals: Annotated[int, described("Its deals that were closed in the period.", 12)]
    tickets: Annotated[int, described("Its tickets that were opened in the period.", 8)]
    surveys_sent: Annotated[int, described("Its surveys that were sent in the period.", 0)]
    surveys_answered: Annotated[int, described("Its surveys that were first answered in the period.", 0)]


class UnaskedRead(ReadModel):
    """Values without surveys or answers, the largest first; `count` is their number, at most 100 are named."""

    dimension: Dimension
    count: Annotated[int, described("How many such values there are; 100 at most are named.", 1)]
    values: list[UnaskedValueRead]
    """The largest first."""


async def carried_by(connection: AsyncConnection, period: Period) -> list[DimensionCoverageRead]:
    """Return each dimension with the subjects that may carry it."""
    rows: dict[str, list[CarriedRead]] = {name: [] for name in COVERED}
    reads = {
        subject: Valueless(*_columns(measures), period, _is_balance(measures)) for subject, measures in SUBJECTS.items()
    }
    found = await read(connection, reads.values(), limit=VALUES_AT_MOST)
    for subject, of_subject in reads.items():
        without = found.by_dimension(of_subject)
        whole = sum(without.get(ALL, ()))
        for name in COVERED:
            if name in of_subject.kind.dimensions:
                with_value = whole - sum(without.get(name, ()))
                value = share_text(Fraction(with_value, whole)) if whole > 0 else None
                rows[name].append(CarriedRead(subject=subject, value=value, numerator=with_value, denominator=whole))
    return [
        DimensionCoverageRead(
            dimension=name,
            thin=any(each.thin for each in subjects),
            subjects=subjects,
        )
        for name, subjects in rows.items()
    ]


async def unasked(connection: AsyncConnection, period: Period) -> list[UnaskedRead]:
    """Return the values, by dimension, that have customers, deals or tickets and no survey sent or answered."""
    reads = {
        (name, dimension): Sums(
            *_columns(measures), period, group_by=(dimension,), from_the_beginning=_is_balance(measures)
        )
        for name, measures in _ASKED.items()
        for dimension in ASKED_EVERYWHERE
        if dimension in kind_of(measures[0]).dimensions
    }
    found = await read(connection, reads.values(), limit=VALUES_AT_MOST)
    there: dict[tuple[str, str], dict[str, int]] = {}
    for (name, of_dimension), wanted in reads.items():
        for value, amount in by_value(found, wanted).items():
            there.setdefault((of_dimension, value), {})[name] = amount
    silent: dict[str, list[UnaskedValueRead]] = {name: [] for name in ASKED_EVERYWHERE}
    for (dimension, value), amounts_of in there.items():
        view = UnaskedValueRead(
            value=value,
            name=None,
            **{name: amounts_of.get(name, 0) for name in _ASKED},
        )
        if view.customers + view.deals + view.tickets > 0 and not (view.surveys_sent and view.surveys_answered):
            silent[dimension].append(view)
    for values in silent.values():
        values.sort(key=lambda each: (-(each.customers + each.deals + each.tickets), each.value))
    shown = {name: values[:UNASKED_AT_MOST] for name, values in silent.items()}
    names = await names_of(
        connection, [{name: each.value} for name, values in shown.items() for each in values], with_customers=False
    )
    return [
        UnaskedRead(
            dimension=name,
            count=len(silent[name]),
            values=[each.model_copy(update={"name": names.of({name: each.value}).get(name)}) for each in values],
        )
        for name, values in shown.items()
    ]


_ASKED: Final[dict[str, tuple[Measure, ...]]] = {
    **{subject: SUBJECTS[subject] for subject in ("customers", "deals", "tickets")},
    "surveys_sent": (SurveyMeasures.sent,),
    "surveys_answered": (SurveyMeasures.answered,),
}


def _columns(measures: Sequence[Measure]) -> tuple[Kind, tuple[str, ...]]:
    return kind_of(measures[0]), tuple(measure.column for measure in measures)


def _is_balance(measures: Sequence[Measure]) -> bool:
    return any(measure.semi_additive for measure in measures)
