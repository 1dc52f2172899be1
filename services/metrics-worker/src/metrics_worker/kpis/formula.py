"""What a KPI is: a declaration over measures, from which the API, its document and the dashboard follow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, NamedTuple

from metrics_worker.domain.kinds import KIND_BY_NAME, KINDS, Kind
from metrics_worker.domain.posting import Measure

Function = Literal["sales", "service", "both"]
Indicator = Literal["leading", "lagging"]
Unit = Literal["count", "money", "ratio", "score", "seconds", "minutes", "hours", "days"]
Direction = Literal["up", "down"]
"""Which way is good."""
Chart = Literal["line", "bar", "area"]

SECONDS_IN: Mapping[str, int] = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}
"""The units of time: measures are in seconds, values in whichever unit people think in."""


class Term(NamedTuple):
    """One measure of a formula, as it is to be read."""

    name: str
    """`<kind>.<measure>`."""
    kind: Kind
    column: str
    measure: Measure
    sign: int
    at_start: bool
    """Of a level: as it stood on the eve of the period instead of at its end."""
    carrying: str | None
    """Only of what carries a value of this dimension; None for all of it."""

    @property
    def key(self) -> str:
        """What tells its sums from those of other terms: the name, with the dimension that has to be carried."""
        return carried(self.name, self.carrying) if self.carrying else self.name


def carried(name: str, dimension: str) -> str:
    """How a measure of only what carries a value of the dimension is named."""
    return f"{name}[{dimension}]"


@cache
def term_of(text: str) -> Term:
    """Reads `<kind>.<measure>`, with `-` before it to subtract and `@start` after it for a level before the period.

    `<kind>.<measure>[<dimension>]` is only of what carries a value of that dimension. Raises ValueError when there is
    no such measure, it is no level, or it is not told apart by the dimension.
    """
    whole, _, moment = text.removeprefix("-").partition("@")
    name, _, carrying = whole.removesuffix("]").partition("[")
    kind, measure = measure_of(name)
    if carrying and (carrying not in kind.dimensions or carrying in measure.not_by):
        raise ValueError(f"{text}: {name} is not told apart by {carrying}")
    if moment not in ("", "start") or (moment and not measure.level):
        raise ValueError(f"{text}: only a level can be read at the start")
    sign = -1 if text.startswith("-") else 1
    return Term(name, kind, name.partition(".")[2], measure, sign, bool(moment), carrying or None)


@dataclass(frozen=True)
class Formula:
    """A sum of measures, or one sum divided by another. Measures are named as `term_of` reads them.

    Raises ValueError when a measure does not exist, or measures of different units are added.
    """

    unit: Unit
    numerator: tuple[str, ...]
    denominator: tuple[str, ...] = ()
    """Empty for a plain sum."""
    says: str = ""
    """The formula in words."""
    times: tuple[str, ...] = ()
    """Measures that the numerator is multiplied by besides."""
    over: tuple[str, ...] = ()
    """Measures that the denominator is multiplied by besides."""
    scale: int = 1
    """What the quotient is multiplied by: 100 for points of a hundred."""
    percentile: int | None = None
    """50 for the median of the duration that is the only numerator, 90 for its p90; read from its histogram."""
    ripens: bool = False
    """Whether what it counts of a day goes on coming for long after it: its last weeks are yet to be what they will."""

    def __post_init__(self) -> None:
        for side in (self.numerator, self.denominator):
            if len({term_of(text).measure.unit for text in side}) > 1:
                raise ValueError(f"{', '.join(side)} are not of one unit")
        if not self.numerator:
            raise ValueError("a formula needs a numerator")
        if self.percentile is not None:
            counted_by = term_of(self.numerator[0]).measure.counted_by
            if len(self.numerator) > 1 or counted_by is None:
                raise ValueError(f"{', '.join(self.numerator)}: percentiles are known of single durations only")
        for text in (*self.times, *self.over):
            term_of(text)

    @property
    def measures(self) -> tuple[str, ...]:
        """Every measure that it reads."""
        return self.numerator + self.times + self.denominator + self.over

    @property
    def terms(self) -> tuple[Term, ...]:
        """The same, read."""
        return tuple(term_of(text) for text in self.measures)

    def unit_of(self, side: tuple[str, ...]) -> str | None:
        """The unit of the numerator or the denominator; None for an absent denominator."""
        return term_of(side[0]).measure.unit if side else None

    @property
    def kinds(self) -> dict[Kind, list[str]]:
        """The measures that it reads, by kind."""
        found: dict[Kind, list[str]] = {}
        for term in self.terms:
            columns = found.setdefault(term.kind, [])
            if term.column not in columns:
                columns.append(term.column)
        return found

    @property
    def carried(self) -> dict[Kind, list[str]]:
        """The dimensions that its terms ask to be carried, by kind."""
        found: dict[Kind, list[str]] = {}
        for term in self.terms:
            dimensions = found.setdefault(term.kind, [])
            if term.carrying is not None and term.carrying not in dimensions:
                dimensions.append(term.carrying)
        return found


def duration(unit: Unit, seconds: str, counted: str, says: str, *, prefix: str = "") -> dict[str, Formula]:
    """The variants `mean`, `median` and `p90` of a duration, each with `prefix` before its name."""
    return {
        f"{prefix}mean": Formula(unit, (seconds,), (counted,), says=f"the mean of {says}"),
        f"{prefix}median": Formula(unit, (seconds,), (counted,), says=f"the median of {says}", percentile=50),
        f"{prefix}p90": Formula(
            unit, (seconds,), (counted,), says=f"what nine of ten did not exceed of {says}", percentile=90
        ),
    }


@dataclass(frozen=True)
class Kpi:
    """One KPI. The first of its variants is the one that is meant when none is named."""

    name: str
    title: str
    function: Function
    indicator: Indicator
    direction: Direction
    variants: Mapping[str, Formula]
    prose: str
    """What it tells, and how the industry's definitions differ."""
    chart: Chart = "line"
    """How a dashboard draws it unless told otherwise."""
    leaves_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What it does not count though one may look for it there, in words, and the measures that count that: the first
    one all of which only a part is looked at. A variant that counts all of it leaves nothing out."""
    not_by: tuple[str, ...] = ()
    """Dimensions by whose name its kinds are told apart in different senses: divided by each other they say nothing."""
    dimensions: tuple[str, ...] = field(init=False)
    """What it may be grouped and filtered by: what all of its kinds are told apart by, less `not_by`."""

    def __post_init__(self) -> None:
        for measures in self.leaves_out.values():
            Formula("count", measures)
        kinds = {kind for formula in self.variants.values() for kind in formula.kinds}
        shared = [name for kind in KINDS if kind in kinds for name in kind.dimensions]
        apart = {name for formula in self.variants.values() for term in formula.terms for name in term.measure.not_by}
        apart.update(self.not_by)
        common = tuple(
            dict.fromkeys(
                name for name in shared if all(name in kind.dimensions for kind in kinds) and name not in apart
            )
        )
        object.__setattr__(self, "dimensions", common)

    def left_out_by(self, variant: str) -> dict[str, tuple[str, ...]]:
        """What of `leaves_out` the variant leaves out: not what it counts itself."""
        counted = set(self.variants[variant].measures)
        return {says: measures for says, measures in self.leaves_out.items() if counted.isdisjoint(measures[:1])}

    @property
    def default_variant(self) -> str:
        """The variant that is meant when none is named."""
        return next(iter(self.variants))


KPIS: dict[str, Kpi] = {}
"""Every KPI by its name, in order of declaration. Filled by importing `sales` and `service` beside this module."""


def declare(kpi: Kpi) -> Kpi:
    """Enters a KPI into the registry. Raises ValueError on a name used twice."""
    if kpi.name in KPIS:
        raise ValueError(f"KPI {kpi.name} is declared twice")
    KPIS[kpi.name] = kpi
    return kpi


def measure_of(name: str) -> tuple[Kind, Measure]:
    """The kind and description of a measure named `<kind>.<measure>`. Raises ValueError when there is none."""
    kind_name, _, measure = name.partition(".")
    kind = KIND_BY_NAME.get(kind_name)
    if kind is None or measure not in kind.measures:
        raise ValueError(f"there is no measure {name}")
    return kind, kind.measure_docs[kind.measures.index(measure)]
