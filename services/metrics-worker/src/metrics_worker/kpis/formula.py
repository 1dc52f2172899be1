"""What a KPI is: a declaration over measures, from which the API, its document and the dashboard follow."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from metrics_worker.domain.kinds import KIND_BY_NAME, KINDS, Kind
from metrics_worker.domain.measure import Measure, Sum, Term

Function = Literal["sales", "service", "both"]
Indicator = Literal["leading", "lagging"]
Unit = Literal["count", "money", "ratio", "score", "seconds", "minutes", "hours", "days"]
Direction = Literal["up", "down"]
"""Which way is good."""
Chart = Literal["line", "bar", "area"]

SECONDS_IN: Mapping[str, int] = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}
"""The units of time: measures are in seconds, values in the unit that people think in."""


def kind_of(measure: Measure) -> Kind:
    """Return the kind whose postings hold a measure."""
    return KIND_BY_NAME[measure.kind]


@dataclass(frozen=True)
class Formula:
    """A sum of measures, or one sum divided by another.

    Raises ValueError when a term asks for a dimension that its measure cannot be grouped by, or a percentile is asked
    of anything but one duration.
    """

    unit: Unit
    numerator: Sum
    denominator: Sum | None = None
    """None for a plain sum."""
    definition: str = ""
    """The formula in words."""
    times: tuple[Measure, ...] = ()
    """Measures that the numerator is multiplied by."""
    over: tuple[Measure, ...] = ()
    """Measures that the denominator is multiplied by."""
    scale: int = 1
    """What the quotient is multiplied by: 100 for points of a hundred."""
    percentile: int | None = None
    """50 for the median of the duration that is the only numerator, 90 for its p90; read from its histogram."""
    ripens: bool = False
    """Whether its value of a day goes on growing for long after it: its last weeks are not final."""

    def __post_init__(self) -> None:
        for term in self.terms:
            dimension = term.carrying
            if dimension and (dimension not in kind_of(term.measure).dimensions or dimension in term.measure.not_by):
                raise ValueError(f"{term}: {term.measure.name} is not broken down by {dimension}")
        if self.percentile is not None and not (
            isinstance(self.numerator, Measure)
            and self.numerator.counted_by is not None
            and self.numerator.counted_by is self.denominator
        ):
            raise ValueError(f"{', '.join(map(str, self.terms))}: percentiles are known of single durations only")

    @cached_property
    def numerator_terms(self) -> tuple[Term, ...]:
        """Return the numerator's terms, with the factors."""
        return self.numerator.terms + tuple(term for factor in self.times for term in factor.terms)

    @cached_property
    def denominator_terms(self) -> tuple[Term, ...]:
        """Return the denominator's terms, with the factors; empty for a plain sum."""
        terms = () if self.denominator is None else self.denominator.terms
        return terms + tuple(term for factor in self.over for term in factor.terms)

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """Return every term that it reads."""
        return self.numerator_terms + self.denominator_terms

    def adds_up_by(self, dimensions: Collection[str]) -> bool:
        """Return whether the values of groups by these dimensions add up to the value of the whole."""
        if self.denominator is not None or self.times:
            return False
        return all(
            term.measure.is_shared or kind_of(term.measure).split_by not in dimensions for term in self.numerator.terms
        )

    def parts_add_up_by(self, dimensions: Collection[str]) -> bool:
        """Return whether the numerators of groups by these dimensions add up, and the denominators."""
        if self.percentile is not None or self.times or self.over:
            return False
        return all(term.measure.is_shared or kind_of(term.measure).split_by not in dimensions for term in self.terms)

    @property
    def is_balance(self) -> bool:
        """Return whether it reads balances, which do not add up over time."""
        return any(term.measure.semi_additive for term in self.terms)

    @cached_property
    def kinds(self) -> dict[Kind, list[str]]:
        """Return the measures that it reads, by kind."""
        found: dict[Kind, list[str]] = {}
        for measure in dict.fromkeys(term.measure for term in self.terms):
            found.setdefault(kind_of(measure), []).append(measure.column)
        return found


def duration(unit: Unit, seconds: Measure, definition: str, *, prefix: str = "") -> dict[str, Formula]:
    """Return the variants `mean`, `median` and `p90` of a duration, each with `prefix` before its name."""
    counted = seconds.counted_by
    return {
        f"{prefix}mean": Formula(unit, seconds, counted, f"mean {definition}"),
        f"{prefix}median": Formula(unit, seconds, counted, f"median {definition}", percentile=50),
        f"{prefix}p90": Formula(unit, seconds, counted, f"90th percentile of the {definition}", percentile=90),
    }


@dataclass(frozen=True)
class Kpi:
    """One KPI. The first of its variants is the default."""

    name: str
    title: str
    function: Function
    indicator: Indicator
    direction: Direction
    variants: Mapping[str, Formula]
    description: str
    """What it shows, and how the industry's definitions differ."""
    chart: Chart = "line"
    """How a dashboard draws it by default."""
    leaves_out: Mapping[str, Sum] = field(default_factory=dict)
    """What it does not count though a reader may expect it, in words, and the sum that counts that, whose first term is
    the whole that it is a part of. A variant that counts that whole leaves nothing out."""
    not_by: tuple[str, ...] = ()
    """Dimensions whose name means different things in its kinds: sums divided by each other mean nothing by them."""

    @cached_property
    def dimensions(self) -> tuple[str, ...]:
        """Return what it may be grouped and filtered by: the dimensions that all of its measures share."""
        measures = {term.measure for formula in self.variants.values() for term in formula.terms}
        kinds = [kind for kind in KINDS if any(measure.kind == kind.name for measure in measures)]
        excluded = {name for measure in measures for name in measure.not_by}.union(self.not_by)
        return tuple(
            dict.fromkeys(
                name
                for kind in kinds
                for name in kind.dimensions
                if name not in excluded and all(name in other.dimensions for other in kinds)
            )
        )

    def left_out_by(self, variant: str) -> dict[str, Sum]:
        """Return what of `leaves_out` a variant leaves out: not what it counts itself."""
        counted = self.variants[variant].terms
        return {words: left_out for words, left_out in self.leaves_out.items() if left_out.terms[0] not in counted}

    @property
    def default_variant(self) -> str:
        """Return the variant that applies when a request names none."""
        return next(iter(self.variants))
