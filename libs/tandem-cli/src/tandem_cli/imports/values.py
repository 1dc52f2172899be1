"""Turns cells into the fields of a request: codes, times, amounts; each failure names its column."""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from event_contracts.fields import CODE_PATTERN, Money
from service_kit.folding import folded
from tandem_cli.imports.mapping import Cell, Source, Time
from tandem_cli.imports.tables import Row, RowError
from tandem_cli.imports.time_formats import formats_of, only_format_of, wrong_format
from tandem_cli.problem import StackProblem

_CODE = re.compile(CODE_PATTERN)
_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,10})?", re.ASCII)
_QUANTITY = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)
_NOT_IN_CODES = re.compile(r"[^a-z0-9_.:]+")
_BETWEEN_WORDS = re.compile(r"[\s_-]+")


class Reader:
    """Reads the cells of one source's rows."""

    def __init__(self, source: Source, rows: Sequence[Row]) -> None:
        self._unknown: Collection[str] = frozenset(source.unknown)
        self._rows = rows
        self._codes: dict[str, dict[str, str]] = {}
        """By column, the code that was made of each text."""
        self._formats: dict[tuple[str, ...], list[str]] = {}

    def text(self, row: Row, cell: Cell | None) -> str | None:
        """What the cell becomes, or None when it is unknown. Raises RowError for a text that the mapping lacks."""
        if cell is None:
            return None
        if cell.column is None:
            return cell.constant
        raw = row.cells[cell.column].strip()
        if raw in self._unknown:
            return cell.default
        is_listed = cell.values is not None and raw in cell.values
        if cell.values is not None and not is_listed and not cell.slug:
            raise error(row, cell, f"{_shown(raw)} is none of the values of the mapping")
        value = cell.values[raw] if cell.values is not None and is_listed else raw
        if value is None:
            return cell.default
        if cell.template is not None:
            value = cell.template.replace("{}", value)
        if cell.slug and not is_listed:
            value = self._code_of(row, cell, value)
        return value

    def _code_of(self, row: Row, cell: Cell, text: str) -> str:
        codes = self._codes.setdefault(cell.column or "", {})
        if text not in codes:
            codes[text] = slug(text)
            if not codes[text]:
                raise error(row, cell, f"no letter of {_shown(text)} fits in a code; name a code for it in `values`")
        return codes[text]

    def check_codes(self) -> None:
        """Raise StackProblem when different texts of a column became one code."""
        for column, codes in self._codes.items():
            if clashes := list(_clashes(codes)):
                listed = [f"  {code}: {', '.join(map(_shown, texts))}" for code, texts in clashes]
                others = [text for _, texts in clashes for text in texts[1:]]
                values = ", ".join(f"{json.dumps(text, ensure_ascii=False)}: …" for text in others)
                raise StackProblem(
                    "\n".join(
                        (
                            f"Different texts of the column {column} would become one code:",
                            *listed,
                            "Name codes for them where the mapping names the column, all but one of them at least:",
                            f"  values: {{{values}}}",
                        )
                    )
                )

    def needed(self, row: Row, cell: Cell) -> str:
        """Like `text`, where a record cannot do without."""
        value = self.text(row, cell)
        if value is None:
            raise error(row, cell, "is unknown, and cannot be")
        return value

    def code(self, row: Row, cell: Cell | None) -> str | None:
        """A code such as a channel or a product."""
        value = self.text(row, cell)
        if value is not None and not _CODE.fullmatch(value):
            raise error(row, cell, f"{_shown(value)} is not a code; `slug: true` makes it one")
        return value

    def quantity(self, row: Row, cell: Cell) -> int:
        """A whole number from 1 to 1,000,000."""
        value = self.needed(row, cell)
        if not _QUANTITY.fullmatch(value) or int(value) > 1_000_000:
            raise error(row, cell, f"{_shown(value)} is not a whole number from 1 to 1,000,000")
        return int(value)

    def amount(self, row: Row, cell: Cell, currency: str) -> str:
        """A decimal of at most 12 digits before the point and the currency's places after it."""
        return self.checked_amount(row, cell, self.needed(row, cell), currency)

    def checked_amount(self, row: Row, cell: Cell, value: str, currency: str) -> str:
        """Return an amount that a cell stands for. Raise RowError at it."""
        if not _DECIMAL.fullmatch(value):
            raise error(row, cell, f"{_shown(value)} is not an amount such as 1299.00")
        try:
            Money(Decimal(value), currency).minor_units()
        except ValueError as reason:
            raise error(row, cell, str(reason)) from None
        return value

    def count(self, row: Row, column: str) -> int:
        """A whole number from 0 on."""
        value = row.cells[column].strip()
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise RowError(row.file, row.line, column, f"{_shown(value)} is not a whole number")
        return int(value)

    def time(self, row: Row, time: Time) -> datetime | None:
        """An instant in UTC, or None when it is unknown."""
        raw = row.cells[time.column].strip()
        if raw not in self._unknown:
            local = self._local_time(raw, time)
        elif time.default is not None:
            local = datetime.fromisoformat(time.default)
        else:
            return None
        if local is None:
            raise RowError(
                row.file, row.line, time.column, f"{_shown(raw)} is not of the form {' or '.join(time.formats)}"
            )
        if local.tzinfo is not None:
            return local.astimezone(UTC)
        zone = ZoneInfo(time.zone)
        instant = local.replace(tzinfo=zone).astimezone(UTC)
        if instant.astimezone(zone).replace(tzinfo=None) != local:
            raise RowError(row.file, row.line, time.column, f"{raw} does not exist in {time.zone}: clocks were set")
        return instant

    def _local_time(self, raw: str, time: Time) -> datetime | None:
        """What the file has, as it has it; None for what is of none of the formats. Raise StackProblem."""
        key = (time.column, *time.formats)
        if not time.formats and key not in self._formats:
            self._formats[key] = [only_format_of(time.column, self._cells(time.column))]
        for form in time.formats or self._formats[key]:
            try:
                return datetime.strptime(raw, form)  # noqa: DTZ007 - the zone is given by the caller
            except ValueError:
                continue
        if key not in self._formats:
            self._formats[key] = formats_of(self._cells(time.column))
        if others := self._formats[key]:
            # Not this row is wrong but the mapping, and other rows may have been misread.
            raise wrong_format(time.column, raw, time.formats, others)
        return None

    def _cells(self, column: str) -> list[str]:
        """The different known cells of a column, in their order."""
        return [
            cell for cell in dict.fromkeys(row.cells[column].strip() for row in self._rows) if cell not in self._unknown
        ]

    def day(self, row: Row, time: Time | None) -> str | None:
        """The day of an instant in its zone, as the APIs read it."""
        instant = None if time is None else self.time(row, time)
        return None if time is None or instant is None else str(instant.astimezone(ZoneInfo(time.zone)).date())

    def known_time(self, row: Row, time: Time) -> datetime:
        """Like `time`, where a record cannot do without."""
        instant = self.time(row, time)
        if instant is None:
            raise RowError(row.file, row.line, time.column, "is unknown, and cannot be")
        return instant


def slug(text: str) -> str:
    """A code made of a text: lower case, plain letters, dashes between words; empty when no letter fits in one."""
    plain = folded(text).encode("ascii", "ignore").decode()
    return _NOT_IN_CODES.sub("-", plain).strip("-")[:64].rstrip("-")


def _clashes(codes: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """The codes that texts became which differ in more than case, accents, spaces and hyphens, and these texts."""
    texts_of: dict[str, dict[str, str]] = {}
    for text, code in codes.items():
        form = _BETWEEN_WORDS.sub("-", folded(text)).strip("-")
        texts_of.setdefault(code, {}).setdefault(form, text)
    return ((code, list(texts.values())) for code, texts in texts_of.items() if len(texts) > 1)


def error(row: Row, cell: Cell | None, reason: str) -> RowError:
    """The error of one cell."""
    return RowError(row.file, row.line, (cell.column if cell else None) or "", reason)


def _shown(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:59] + "…")
