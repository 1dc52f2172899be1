"""Finds how the times of a column are written."""

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import product
from typing import Final

from tandem_cli.problem import StackProblem

_DAYS: Final = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    *("%d.%m.%Y", "%d-%m-%Y", "%d/%m/%Y", "%m/%d/%Y", "%m-%d-%Y"),
    *("%d.%m.%y", "%d-%m-%y", "%d/%m/%y", "%m/%d/%y", "%m-%d-%y"),
    *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"),
)
_HOURS: Final = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
FORMATS: Final = (
    *_DAYS,
    *(f"{day} {hour}" for day, hour in product(_DAYS, _HOURS)),
    *(f"%Y-%m-%dT{hour}{zone}" for hour, zone in product(_HOURS[:3], ("", "%z"))),
    *(f"%Y-%m-%d {hour}{zone}" for hour, zone in product(_HOURS[:3], ("%z", " %z"))),
)
"""Those that are looked for, in strptime's words."""


def formats_of(cells: Collection[str]) -> list[str]:
    """Return the formats that all cells have; several where days and months could be either, none for no cells."""
    fitting = list(FORMATS) if cells else []
    for cell in cells:
        fitting = [form for form in fitting if has_format(cell, form)]
        if not fitting:
            break
    return fitting


def has_format(cell: str, form: str) -> bool:
    """Whether a text is a time of this format."""
    try:
        datetime.strptime(cell, form)  # noqa: DTZ007 - only whether it can be read
    except ValueError:
        return False
    return True


def only_format_of(column: str, cells: Sequence[str]) -> str:
    """Return the format that all cells of a column have. Raise StackProblem where that is none, or one of several."""
    found = formats_of(cells)
    if len(found) == 1:
        return found[0]
    if found:
        raise StackProblem(
            f"The times of the column {column}, such as {cells[0]!r}, could be of the form {' or '.join(found)}."
            f' Set the right one where the mapping names the column: format: "{found[0]}"'
        )
    odd = next((cell for cell in cells if not formats_of([cell])), None)
    what = "are written in several ways" if odd is None else f"such as {odd[:60]!r}, are of no form that is known"
    raise StackProblem(
        f"The times of the column {column}, {what}. Name it where the mapping names the column, as Python's"
        ' strptime has it, or list several: format: ["%d.%m.%Y", "%d.%m.%Y %H:%M"]'
    )


def wrong_format(column: str, cell: str, formats: Sequence[str], others: Sequence[str]) -> StackProblem:
    """Return the problem of a column whose cells are all of other formats than the mapping's."""
    return StackProblem(
        f"The times of the column {column}, such as {cell[:60]!r}, are not of the form {' or '.join(formats)}, and"
        f" could all be of the form {' or '.join(others)}. Set it where the mapping names the column:"
        f' format: "{others[0]}"'
    )
