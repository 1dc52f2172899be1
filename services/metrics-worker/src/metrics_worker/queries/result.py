"""What the books hold of one group in one bucket of days, and the figure that a formula makes of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Literal

from metrics_worker.domain.histogram import quantile
from metrics_worker.domain.measure import Sum
from metrics_worker.kpis.formula import Formula
from metrics_worker.queries.figure import Figure

_NOTHING: Final[Mapping[Any, int]] = MappingProxyType({})


def _nothing() -> Mapping[Any, int]:
    return _NOTHING


@dataclass(slots=True)
class Tally:
    """Sums of measures by name, levels as they stood before and after, and the histogram of one duration."""

    # Of a hundred thousand groups, most have one or two of these: what is not there is shared.
    flows: Mapping[str, int] = field(default_factory=_nothing)
    before: Mapping[str, int] = field(default_factory=_nothing)
    after: Mapping[str, int] = field(default_factory=_nothing)
    histogram: Mapping[int, int] = field(default_factory=_nothing)

    @property
    def empty(self) -> bool:
        """True when nothing happened and nothing stands."""
        return not (self.flows or self.histogram or any(self.before.values()) or any(self.after.values()))

    def figure(self, formula: Formula) -> Figure:
        """The formula's figure. Percentiles have the percentile as numerator, and how many there are below it."""
        if formula.percentile is not None:
            found = quantile(self.histogram, formula.percentile)
            return Figure(numerator=found or 0, denominator=sum(self.histogram.values()))
        numerator = self._sum(formula.numerator)
        for factor in formula.times:
            numerator *= self._sum(factor)
        if formula.denominator is None:
            return Figure(numerator=numerator, denominator=None)
        denominator = self._sum(formula.denominator)
        for factor in formula.over:
            denominator *= self._sum(factor)
        return Figure(numerator=numerator, denominator=denominator)

    def _sum(self, side: Sum) -> int:
        total = 0
        # A plain loop: an answer by customer comes by here for each of a hundred thousand.
        for sign, key, moment in _read_as(side):
            amounts = self.flows if moment == "flow" else self.before if moment == "before" else self.after
            total += sign * amounts.get(key, 0)
        return total


@cache
def _read_as(side: Sum) -> tuple[tuple[int, str, Literal["flow", "before", "after"]], ...]:
    """The terms of a side of a formula: sign, key, and which of a tally's sums it is."""
    return tuple(
        (term.sign, term.key, "flow" if not term.measure.semi_additive else "before" if term.at_start else "after")
        for term in side.terms
    )


def merged(tallies: Iterable[Tally]) -> Tally:
    """One tally of several that follow each other: flows add up, levels stand as at the first and the last."""
    [*parts] = tallies
    if len(parts) == 1:
        return parts[0]
    flows: dict[str, int] = {}
    histogram: dict[int, int] = {}
    for tally in parts:
        for name, amount in tally.flows.items():
            flows[name] = flows.get(name, 0) + amount
        for bucket, count in tally.histogram.items():
            histogram[bucket] = histogram.get(bucket, 0) + count
    return Tally(flows, parts[0].before, parts[-1].after, histogram) if parts else Tally()
