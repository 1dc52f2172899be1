"""What the books hold of one group in one bucket of days, and the figure that a formula makes of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod

from metrics_worker.answers.figures import Figure
from metrics_worker.kpis.durations import quantile
from metrics_worker.kpis.registry import Formula, Term, term_of


@dataclass
class Tally:
    """Sums of measures by name, levels as they stood before and after, and the histogram of one duration."""

    flows: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    histogram: dict[int, int] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """True when nothing happened and nothing stands."""
        return not (self.flows or self.histogram or any(self.before.values()) or any(self.after.values()))

    def figure(self, formula: Formula) -> Figure:
        """The formula's figure. Percentiles have the percentile as numerator, and how many there are below it."""
        if formula.percentile is not None:
            found = quantile(self.histogram, formula.percentile)
            return Figure(numerator=found or 0, denominator=sum(self.histogram.values()))
        numerator = self._sum(formula.numerator) * prod(self._sum((text,)) for text in formula.times)
        if not formula.denominator:
            return Figure(numerator=numerator, denominator=None)
        denominator = self._sum(formula.denominator) * prod(self._sum((text,)) for text in formula.over)
        return Figure(numerator=numerator, denominator=denominator)

    def _sum(self, side: tuple[str, ...]) -> int:
        return sum(term.sign * self._amounts(term).get(term.key, 0) for term in map(term_of, side))

    def _amounts(self, term: Term) -> Mapping[str, int]:
        if not term.measure.level:
            return self.flows
        return self.before if term.at_start else self.after


def merged(tallies: Iterable[Tally]) -> Tally:
    """One tally of several that follow each other: flows add up, levels stand as at the first and the last."""
    whole = Tally()
    for number, tally in enumerate(tallies):
        if number == 0:
            whole.before = tally.before
        whole.after = tally.after
        for name, amount in tally.flows.items():
            whole.flows[name] = whole.flows.get(name, 0) + amount
        for bucket, count in tally.histogram.items():
            whole.histogram[bucket] = whole.histogram.get(bucket, 0) + count
    return whole
