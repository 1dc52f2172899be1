"""The sample behind an answer: how much of it carries each dimension, and warnings where it is thin or one-sided."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final

from metrics_worker.domain.kinds import KIND_BY_NAME, Kind
from metrics_worker.domain.measure import Term
from metrics_worker.kpis.formula import Formula, kind_of
from metrics_worker.ledger.blocks import ALL
from metrics_worker.queries.figure import share_text
from metrics_worker.queries.query import KpiQuery
from metrics_worker.queries.schemas import AnswerRead, WarningRead
from metrics_worker.queries.sql import Found, Read, Sums, Valueless

COVERED: Final = ("region", "segment", "product", "channel", "owner", "team", "priority", "kind")
"""The dimensions of coverage: not the customer, whom all but leads have, nor the stage, which changes."""
ASKED_EVERYWHERE: Final = ("region", "segment", "product")
"""Dimensions of whose every value customers should be asked: they are not alike."""

THIN: Final = 30
"""Chance moves a ratio or mean of fewer than this a lot."""
ENOUGH_COVERED: Final = Fraction(4, 5)
WORTH_HEARING: Final = Fraction(1, 10)
"""A value with at least this share of those who could be asked should have answers."""
OUT_OF_PROPORTION: Final = Fraction(1, 4)
"""The allowed distance of a value's share of the answers from its share of those who could be asked."""

_PEOPLE_ASKED_OF: Final = {"survey": ("ticket", "opened"), "review": ("deal", "won")}
"""The kinds that are samples, and the measure of what they are a sample of: answering is a choice."""
_NAMED_AT_MOST: Final = 5


class Sample:
    """The reads of the sample behind an answer, and what follows from them."""

    def __init__(self, query: KpiQuery) -> None:
        self._query = query
        self._base = {} if query.as_of is not None else _base(query.formula)
        self._heard = [_Heard(query, kind, terms) for kind, terms in self._base.items() if _is_sample(kind, terms)]

    @property
    def reads(self) -> list[Read]:
        """Return what has to be read."""
        return [*(read for read, _ in self._valueless()), *(read for each in self._heard for read in each.reads)]

    def annotated(self, answer: AnswerRead, found: Found) -> AnswerRead:
        """Return the answer with its `coverage` and `warnings`."""
        warnings = list(_thin(self._query.formula, answer))
        covered = self._coverage(found)
        warnings += _incomplete(covered)
        warnings += [warning for each in self._heard for warning in each.one_sided(found)]
        coverage = {name: share_text(share) for name, share in covered.items()} or None
        return answer.model_copy(update={"coverage": coverage, "warnings": warnings})

    def _valueless(self) -> Iterator[tuple[Valueless, list[Term]]]:
        for kind, terms in self._base.items():
            for semi_additive, at_start in ((False, False), (True, True), (True, False)):
                alike = [
                    term for term in terms if (term.measure.semi_additive, term.at_start) == (semi_additive, at_start)
                ]
                if alike:
                    period = self._query.period.eve() if at_start else self._query.period
                    yield Valueless(kind, tuple(term.measure.column for term in alike), period, semi_additive), alike

    def _coverage(self, found: Found) -> dict[str, Fraction]:
        """Return, by dimension of the KPI, the share that carries a value of it; empty where nothing is counted."""
        whole, without = 0, dict.fromkeys(COVERED, 0)
        for read, terms in self._valueless():
            for name, amounts in found.by_dimension(read).items():
                amount = sum(term.sign * amount for term, amount in zip(terms, amounts, strict=True))
                if name == ALL:
                    whole += amount
                elif name in without:
                    without[name] += amount
        if whole <= 0:
            return {}
        return {name: 1 - Fraction(without[name], whole) for name in COVERED if name in self._query.kpi.dimensions}


def _thin(formula: Formula, answer: AnswerRead) -> Iterator[WarningRead]:
    under = formula.denominator
    counts = formula.percentile is not None or (under is not None and under.unit == "count" and not formula.over)
    if counts and isinstance(answer.denominator, int) and 0 < answer.denominator < THIN:
        yield WarningRead(code="thin", says=f"It is based on {answer.denominator} only; below {THIN}, chance moves it.")


def _incomplete(covered: dict[str, Fraction]) -> Iterator[WarningRead]:
    for name, share in covered.items():
        if share < ENOUGH_COVERED:
            yield WarningRead(
                code="incomplete", says=f"{percent(1 - share)} of it has no {name} and is missing when grouped by it."
            )


def _base(formula: Formula) -> dict[Kind, list[Term]]:
    """Return the terms of the denominator, or of a plain sum; none where the formula is of coverage itself."""
    terms = (formula.denominator or formula.numerator).terms
    found: dict[Kind, list[Term]] = {}
    if not any(term.carrying for term in formula.terms):
        for term in terms:
            found.setdefault(kind_of(term.measure), []).append(term)
    return found


def _is_sample(kind: Kind, terms: Iterable[Term]) -> bool:
    return kind.name in _PEOPLE_ASKED_OF and not any(term.measure.semi_additive for term in terms)


class _Heard:
    """Which of those who could be asked answered."""

    def __init__(self, query: KpiQuery, kind: Kind, terms: Iterable[Term]) -> None:
        of_kind, measure = _PEOPLE_ASKED_OF[kind.name]
        self._noun = {"ticket": "tickets", "deal": "won deals"}[of_kind]
        columns = tuple(term.measure.column for term in terms)
        self._sums = {
            name: (
                Sums(kind, columns, query.period, group_by=(name,)),
                Sums(KIND_BY_NAME[of_kind], (measure,), query.period, group_by=(name,)),
            )
            for name in ASKED_EVERYWHERE
            if name in kind.dimensions and name not in query.filters
        }

    @property
    def reads(self) -> list[Read]:
        return [read for both in self._sums.values() for read in both]

    def one_sided(self, found: Found) -> list[WarningRead]:
        warnings = (
            one_sided(name, by_value(found, heard), by_value(found, there), self._noun)
            for name, (heard, there) in self._sums.items()
        )
        return [warning for warning in warnings if warning is not None]


def by_value(found: Found, wanted: Sums) -> dict[str, int]:
    """Return the sum of all measures by group; what has no value is left out."""
    sums: dict[str, int] = {}
    for (_, key), amounts in found.cells(wanted).items():
        if key is not None:
            sums[key] = sums.get(key, 0) + sum(amounts)
    return sums


def one_sided(dimension: str, heard: dict[str, int], all_there: dict[str, int], noun: str) -> WarningRead | None:
    """Return a warning when the values of a dimension do not answer in proportion to their numbers, else None."""
    total_heard, total = sum(heard.values()), sum(all_there.values())
    if total_heard <= 0 or total <= 0:
        return None
    silent, loud = [], []
    for value, amount in sorted(all_there.items(), key=lambda each: (-each[1], each[0])):
        share, share_heard = Fraction(amount, total), Fraction(heard.get(value, 0), total_heard)
        if share_heard == 0 and share >= WORTH_HEARING:
            silent.append(f"{value} ({percent(share)} of the {noun})")
        elif share_heard - share > OUT_OF_PROPORTION:
            loud.append(f"{value} ({percent(share_heard)} of this, {percent(share)} of the {noun})")
    parts = [f"no {dimension} {_listed(silent)}"] if silent else []
    parts += [f"too much {dimension} {_listed(loud)}"] if loud else []
    return WarningRead(code="one-sided", says=f"Those heard: {'; '.join(parts)}.") if parts else None


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def percent(share: Fraction) -> str:
    """Return a share as whole percents, and never as 0 or 100 when it is not."""
    if 0 < share < Fraction(1, 100):
        return "under 1 %"
    if Fraction(99, 100) < share < 1:
        return "over 99 %"
    return f"{round(share * 100)} %"
