"""Turns cells into the fields of a request: codes, times, amounts; each failure names its column."""

import re
import unicodedata
from collections.abc import Collection
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from event_contracts.fields import CODE_PATTERN, Money
from tandem_cli.imports.mapping import Cell, Source, Time
from tandem_cli.imports.tables import Row, RowError

_CODE = re.compile(CODE_PATTERN)
_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,10})?", re.ASCII)
_QUANTITY = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)
_NOT_IN_CODES = re.compile(r"[^a-z0-9_.:]+")


class Reader:
    """Reads the cells of one source's rows."""

    def __init__(self, source: Source) -> None:
        self._unknown: Collection[str] = frozenset(source.unknown)

    def text(self, row: Row, cell: Cell | None) -> str | None:
        """What the cell becomes, or None when it is unknown. Raises RowError for a text that the mapping lacks."""
        if cell is None:
            return None
        if cell.column is None:
            return cell.constant
        raw = row.cells[cell.column].strip()
        if raw in self._unknown:
            return cell.default
        value: str | None = raw
        if cell.values is not None:
            if raw not in cell.values:
                raise error(row, cell, f"{_shown(raw)} is none of the values of the mapping")
            value = cell.values[raw]
        if value is None:
            return cell.default
        if cell.template is not None:
            value = cell.template.replace("{}", value)
        if cell.slug:
            value = slug(value)
        return value

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
        value = self.needed(row, cell)
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
        if raw in self._unknown:
            return None
        for form in time.formats:
            try:
                local = datetime.strptime(raw, form)  # noqa: DTZ007 - the zone is given below
            except ValueError:
                continue
            if local.tzinfo is not None:
                return local.astimezone(UTC)
            zone = ZoneInfo(time.zone)
            instant = local.replace(tzinfo=zone).astimezone(UTC)
            if instant.astimezone(zone).replace(tzinfo=None) != local:
                raise RowError(row.file, row.line, time.column, f"{raw} does not exist in {time.zone}: clocks were set")
            return instant
        raise RowError(row.file, row.line, time.column, f"{_shown(raw)} is not of the form {' or '.join(time.formats)}")

    def known_time(self, row: Row, time: Time) -> datetime:
        """Like `time`, where a record cannot do without."""
        instant = self.time(row, time)
        if instant is None:
            raise RowError(row.file, row.line, time.column, "is unknown, and cannot be")
        return instant


def slug(text: str) -> str:
    """A code made of a text: lower case, without accents, dashes between words."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return _NOT_IN_CODES.sub("-", plain).strip("-")[:64].rstrip("-")


def error(row: Row, cell: Cell | None, reason: str) -> RowError:
    """The error of one cell."""
    return RowError(row.file, row.line, (cell.column if cell else None) or "", reason)


def _shown(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:59] + "…")
