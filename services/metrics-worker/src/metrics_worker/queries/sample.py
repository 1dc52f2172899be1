"""What a KPI stands on: how much of it carries each dimension, and a plain word where it is thin or one-sided."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final

from metrics_worker.books.blocks import ALL
from metrics_worker.domain.kinds import KIND_BY_NAME, Kind
from metrics_worker.domain.measure import Term
from metrics_worker.kpis.formula import Formula, kind_of
from metrics_worker.queries.figure import share_text
from metrics_worker.queries.query import Question
from metrics_worker.queries.schemas import AnswerView, WarningView
from metrics_worker.queries.sql import Found, Read, Sums, Valueless

COVERED: Final = ("region", "segment", "product", "channel", "owner", "team", "priority", "kind")
"""The dimensions that coverage is told of: not the customer, whom all but leads have, nor what passes, as a stage."""
ASKED_EVERYWHERE: Final = ("region", "segment", "product")
"""Customers are not alike: not only certain regions, segments and popular products are to be heard."""

THIN: Final = 30
"""A ratio or mean of fewer than this is moved a lot by chance."""
ENOUGH_COVERED: Final = Fraction(4, 5)
WORTH_HEARING: Final = Fraction(1, 10)
"""Who is at least this share of those who could be asked should be among those who answered."""
OUT_OF_PROPORTION: Final = Fraction(1, 4)
"""Between a value's share of the answers and its share of those who could be asked."""

_PEOPLE_ASKED_OF: Final = {"survey": ("ticket", "opened"), "review": ("deal", "won")}
"""Samples, and what they are a sample of: whoever answers chooses to, where all else is counted in full."""
_NAMED_AT_MOST: Final = 5


class Sample:
    """What has to be read to say on what a question's answer stands, and what is said of it."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._base = {} if question.as_of is not None else _base(question.formula)
        self._heard = [_Heard(question, kind, terms) for kind, terms in self._base.items() if _is_sample(kind, terms)]

    @property
    def wanted(self) -> list[Read]:
        """What has to be read."""
        return [*(read for read, _ in self._valueless()), *(read for each in self._heard for read in each.wanted)]

    def told(self, found: Found, answer: AnswerView) -> AnswerView:
        """The answer, with its `coverage` and `warnings`."""
        warnings = list(_thin(self._question.formula, answer))
        covered = self._coverage(found)
        warnings += _incomplete(covered)
        warnings += [warning for each in self._heard for warning in each.one_sided(found)]
        coverage = {name: share_text(share) for name, share in covered.items()} or None
        return answer.model_copy(update={"coverage": coverage, "warnings": warnings})

    def _valueless(self) -> Iterator[tuple[Valueless, list[Term]]]:
        for kind, terms in self._base.items():
            for level, at_start in ((False, False), (True, True), (True, False)):
                alike = [term for term in terms if (term.measure.semi_additive, term.at_start) == (level, at_start)]
                if alike:
                    period = self._question.period.eve() if at_start else self._question.period
                    yield Valueless(kind, tuple(term.measure.column for term in alike), period, level), alike

    def _coverage(self, found: Found) -> dict[str, Fraction]:
        """By dimension of the KPI, the share that carries a value of it; nothing where nothing is counted."""
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
        return {name: 1 - Fraction(without[name], whole) for name in COVERED if name in self._question.kpi.dimensions}


def _thin(formula: Formula, answer: AnswerView) -> Iterator[WarningView]:
    under = formula.denominator
    counts = formula.percentile is not None or (under is not None and under.unit == "count" and not formula.over)
    if counts and isinstance(answer.denominator, int) and 0 < answer.denominator < THIN:
        yield WarningView(code="thin", says=f"It stands on {answer.denominator} only; below {THIN}, chance moves it.")


def _incomplete(covered: dict[str, Fraction]) -> Iterator[WarningView]:
    for name, share in covered.items():
        if share < ENOUGH_COVERED:
            yield WarningView(
                code="incomplete", says=f"{percent(1 - share)} of it carries no {name}: grouped by it, that is missing."
            )


def _base(formula: Formula) -> dict[Kind, list[Term]]:
    """What a value stands on: what it divides by, or the sum itself. None where the formula is of coverage already."""
    terms = (formula.denominator or formula.numerator).terms
    found: dict[Kind, list[Term]] = {}
    if not any(term.carrying for term in formula.terms):
        for term in terms:
            found.setdefault(kind_of(term.measure), []).append(term)
    return found


def _is_sample(kind: Kind, terms: Iterable[Term]) -> bool:
    return kind.name in _PEOPLE_ASKED_OF and not any(term.measure.semi_additive for term in terms)


class _Heard:
    """Who of those who could be asked is heard in a sample."""

    def __init__(self, question: Question, kind: Kind, terms: Iterable[Term]) -> None:
        of_kind, measure = _PEOPLE_ASKED_OF[kind.name]
        self._noun = {"ticket": "tickets", "deal": "won deals"}[of_kind]
        columns = tuple(term.measure.column for term in terms)
        self._reads = {
            name: (
                Sums(kind, columns, question.period, group_by=name),
                Sums(KIND_BY_NAME[of_kind], (measure,), question.period, group_by=name),
            )
            for name in ASKED_EVERYWHERE
            if name in kind.dimensions and name not in question.filters
        }

    @property
    def wanted(self) -> list[Read]:
        return [read for both in self._reads.values() for read in both]

    def one_sided(self, found: Found) -> list[WarningView]:
        warnings = (
            one_sided(name, by_value(found, heard), by_value(found, there), self._noun)
            for name, (heard, there) in self._reads.items()
        )
        return [warning for warning in warnings if warning is not None]


def by_value(found: Found, wanted: Sums) -> dict[str, int]:
    """All sums together by the value that is grouped by; what carries none is left out."""
    sums: dict[str, int] = {}
    for (_, key), amounts in found.cells(wanted).items():
        if key is not None:
            sums[key] = sums.get(key, 0) + sum(amounts)
    return sums


def one_sided(dimension: str, heard: dict[str, int], all_there: dict[str, int], noun: str) -> WarningView | None:
    """The warning that the values of a dimension are not heard in proportion to what there is of them, or None."""
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
    return WarningView(code="one-sided", says=f"Those heard: {'; '.join(parts)}.") if parts else None


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def percent(share: Fraction) -> str:
    """A share in words: whole percents, and never 0 or 100 for what is not."""
    if 0 < share < Fraction(1, 100):
        return "under 1 %"
    if Fraction(99, 100) < share < 1:
        return "over 99 %"
    return f"{round(share * 100)} %"
