"""What a KPI stands on: how much of it carries each dimension, and a plain word where it is thin or one-sided."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from metrics_worker.answers.figures import share_text
from metrics_worker.answers.queries import by_value, valueless
from metrics_worker.answers.question import Question
from metrics_worker.answers.views import AnswerView, WarningView
from metrics_worker.books.fold import ALL
from metrics_worker.kpis.kinds import KIND_BY_NAME, Kind
from metrics_worker.kpis.registry import Formula, Term, term_of

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


async def with_sample(session: AsyncSession, question: Question, answer: AnswerView) -> AnswerView:
    """The answer, with its `coverage` and `warnings`."""
    warnings = list(_thin(question.formula, answer))
    coverage = None
    if question.as_of is None:
        covered = await _coverage(session, question)
        coverage = {name: share_text(share) for name, share in covered.items()} or None
        warnings += _incomplete(covered)
        warnings += [each for each in await _one_sided(session, question) if each is not None]
    return answer.model_copy(update={"coverage": coverage, "warnings": warnings})


def _thin(formula: Formula, answer: AnswerView) -> Iterator[WarningView]:
    counts = formula.percentile is not None or (formula.unit_of(formula.denominator) == "count" and not formula.over)
    if counts and isinstance(answer.denominator, int) and 0 < answer.denominator < THIN:
        yield WarningView(code="thin", says=f"It stands on {answer.denominator} only; below {THIN}, chance moves it.")


def _incomplete(covered: dict[str, Fraction]) -> Iterator[WarningView]:
    for name, share in covered.items():
        if share < ENOUGH_COVERED:
            yield WarningView(
                code="incomplete", says=f"{percent(1 - share)} of it carries no {name}: grouped by it, that is missing."
            )


async def _coverage(session: AsyncSession, question: Question) -> dict[str, Fraction]:
    """By dimension of the KPI, the share that carries a value of it; nothing where nothing is counted."""
    whole, without = 0, dict.fromkeys(COVERED, 0)
    for kind, terms in _base(question.formula).items():
        for level in (False, True):
            of_level = [term for term in terms if term.measure.level == level]
            if not of_level:
                continue
            columns = [term.column for term in of_level]
            found = await valueless(session, kind, columns, question.period, from_the_beginning=level)
            signs = [term.sign for term in of_level]
            for name, amounts in found.items():
                amount = sum(sign * amount for sign, amount in zip(signs, amounts, strict=True))
                if name == ALL:
                    whole += amount
                elif name in without:
                    without[name] += amount
    if whole <= 0:
        return {}
    return {name: 1 - Fraction(without[name], whole) for name in COVERED if name in question.kpi.dimensions}


def _base(formula: Formula) -> dict[Kind, list[Term]]:
    """What a value stands on: what it divides by, or the sum itself. None where the formula is of coverage already."""
    terms = [term_of(text) for text in formula.denominator or formula.numerator]
    if formula.percentile is not None:
        [timed] = [term_of(text) for text in formula.numerator]
        counted = f"{timed.kind.name}.{timed.measure.counted_by}"
        terms = [term_of(counted)]
    found: dict[Kind, list[Term]] = {}
    if not any(formula.carried.values()):
        for term in terms:
            found.setdefault(term.kind, []).append(term)
    return found


async def _one_sided(session: AsyncSession, question: Question) -> list[WarningView | None]:
    found: list[WarningView | None] = []
    for kind, terms in _base(question.formula).items():
        if kind.name not in _PEOPLE_ASKED_OF or any(term.measure.level for term in terms):
            continue
        of_kind, measure = _PEOPLE_ASKED_OF[kind.name]
        dimensions = [name for name in ASKED_EVERYWHERE if name in kind.dimensions and name not in question.filters]
        columns = [term.column for term in terms]
        answered = await by_value(session, kind, columns, dimensions, question.period)
        asked = await by_value(session, KIND_BY_NAME[of_kind], [measure], dimensions, question.period)
        noun = {"ticket": "tickets", "deal": "won deals"}[of_kind]
        found += [one_sided(name, _of(name, answered), _of(name, asked), noun) for name in dimensions]
    return found


def _of(dimension: str, sums: dict[tuple[str, str], tuple[int, ...]]) -> dict[str, int]:
    return {value: sum(amounts) for (name, value), amounts in sums.items() if name == dimension}


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
