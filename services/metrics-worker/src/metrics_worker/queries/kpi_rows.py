"""An answer as rows of a file, of which none can be added to what it is a part of, or overlaps with.

The whole, the groups and the groups' shares are three files. A value that may be added is in another column than one
that may not, and each ratio has its numerator and denominator beside.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Final, Literal

from metrics_worker.kpis.formula import Formula
from metrics_worker.queries.figure import share_text
from metrics_worker.queries.names import KINDS_OF
from metrics_worker.queries.query import KpiQuery
from metrics_worker.queries.schemas import AnswerRead, GroupRead, PointRead

Part = Literal["groups", "shares", "whole"]
AddsUp = Literal["value", "parts", "nothing"]
"""What of a row may be added to others: its value; its numerator and denominator, to be divided then; nothing."""
Row = dict[str, Any]

_HEAD: Final = ("kpi", "variant", "unit", "currency", "from", "to")
_VALUES: Final = ("adds_up", "additive_value", "nonadditive_value", "numerator", "denominator")
_SHARES: Final = ("share", "share_numerator", "share_denominator")


def columns_of(query: KpiQuery, part: Part) -> list[str]:
    """Return the columns of a file, in their order."""
    of_series = ["start"] if query.interval is not None else []
    dimensions = [] if part == "whole" else list(query.group_by)
    names = [f"{name}_name" for name in dimensions if name in KINDS_OF]
    return [*_HEAD, *of_series, "row_kind", *dimensions, *names, *(_SHARES if part == "shares" else _VALUES)]


def rows_of(query: KpiQuery, answer: AnswerRead, part: Part) -> Iterator[Row]:
    """Yield the rows of a file, each with its columns; of shares the answer's groups must add up."""
    head = dict(
        zip(
            _HEAD,
            (answer.kpi, answer.variant, answer.unit, answer.currency, answer.start, answer.end),
            strict=True,
        )
    )
    if part == "whole":
        adds_up = _adds_up(query, ())
        for start, point in _points(query, answer):
            yield {**head, **start, "row_kind": "whole", **_values(point, adds_up)}
        return
    adds_up = _adds_up(query, query.group_by)
    wholes = [point for _, point in _points(query, answer)]
    for group in answer.groups or ():
        of_group = {**head, "row_kind": "others" if group.keys is None else "group", **_keys(query, group)}
        for (start, point), whole in zip(_points(query, group), wholes, strict=True):
            values = _share(point, whole) if part == "shares" else _values(point, adds_up)
            yield {**of_group, **start, **values}


def _points(
    query: KpiQuery, figures: AnswerRead | GroupRead
) -> Iterator[tuple[Row, AnswerRead | GroupRead | PointRead]]:
    if query.interval is None:
        yield {}, figures
        return
    for point in figures.series or ():
        yield {"start": point.start}, point


def _adds_up(query: KpiQuery, dimensions: Sequence[str]) -> AddsUp:
    formula: Formula = query.formula
    if query.interval is not None and formula.is_balance:
        return "nothing"
    if formula.adds_up_by(dimensions):
        return "value"
    return "parts" if formula.denominator is not None and formula.parts_add_up_by(dimensions) else "nothing"


def _keys(query: KpiQuery, group: GroupRead) -> Row:
    values = {name: (group.keys or {}).get(name) for name in query.group_by}
    return values | {f"{name}_name": group.names.get(name) for name in query.group_by if name in KINDS_OF}


def _values(figure: AnswerRead | GroupRead | PointRead, adds_up: AddsUp) -> Row:
    return {
        "adds_up": adds_up,
        "additive_value": figure.value if adds_up == "value" else None,
        "nonadditive_value": None if adds_up == "value" else figure.value,
        "numerator": figure.numerator,
        "denominator": figure.denominator,
    }


def _share(figure: AnswerRead | GroupRead | PointRead, whole: AnswerRead | GroupRead | PointRead) -> Row:
    part, all_of_it = Fraction(figure.numerator or 0), Fraction(whole.numerator or 0)
    return {
        "share": None if all_of_it == 0 else share_text(part / all_of_it),
        "share_numerator": figure.numerator,
        "share_denominator": whole.numerator,
    }
