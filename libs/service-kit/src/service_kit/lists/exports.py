"""Exports of lists as files: every record that a list has under some filters, in its order, as CSV or NDJSON."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import replace
from types import NoneType
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine

from service_kit import csv_rows
from service_kit.fields import ReadModel
from service_kit.lists.listing import Listing, ListQuery, Matching, View
from service_kit.lists.parameters import Defaulted
from service_kit.lists.sorting import Position

Format = Literal["csv", "ndjson"]
MEDIA_TYPES: Final[Mapping[Format, str]] = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
FORMAT: Final = Defaulted(
    "format", Format, "The form of the file: rows with a header line, or a JSON object a line.", default="csv"
)
SLOWEST_SECONDS: Final = 20.0
"""How long a client may take for one part of a file."""
ROWS: Final = 500
"""Records that are read, and in memory, at once."""


def documented(read: type[ReadModel]) -> dict[str, Any]:
    """Return what an OpenAPI document says of the files: their schemas, and what a short one looks like."""
    row = '{"id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11", "version": 3}\n'
    shown: dict[Format, tuple[str, str]] = {
        "csv": ("Rows with a header line, as RFC 4180 has them.", _Csv(read).begin().decode()),
        "ndjson": ("A record a line, with all that the list shows of it.", row),
    }
    return {
        MEDIA_TYPES[form]: {"schema": {"type": "string", "description": description}, "example": example}
        for form, (description, example) in shown.items()
    }


async def exported(
    engine: AsyncEngine,
    listing: Listing,
    query: ListQuery,
    matching: Matching,
    view: View,
    form: Format,
    custom: Sequence[str] = (),
) -> AsyncGenerator[bytes, None]:
    """Yield the file's bytes: all records as they are at one moment, page by page. `custom` are their custom fields."""
    writer = _writer_of(listing.read, form, custom)
    yield writer.begin()
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        while True:
            rows = (await connection.execute(listing.selected(query, matching, limit=ROWS))).all()
            if rows:
                # In a thread: it takes longer than other requests may wait.
                yield await asyncio.to_thread(_written, writer, view, rows)
            if len(rows) < ROWS:
                return
            query = replace(query, after=Position(rows[-1].sort_value, rows[-1].id))


async def exported_records(
    read: type[ReadModel], pages: AsyncGenerator[Sequence[ReadModel], None], form: Format
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of a file of records that are computed, page by page."""
    writer = _writer_of(read, form)
    yield writer.begin()
    async with contextlib.aclosing(pages):
        async for page in pages:
            yield await asyncio.to_thread(writer.write, page)


def _writer_of(read: type[ReadModel], form: Format, custom: Sequence[str] = ()) -> "_Csv | _Ndjson":
    return _Csv(read, custom) if form == "csv" else _Ndjson()


def _written(writer: "_Csv | _Ndjson", view: View, rows: Sequence[Any]) -> bytes:
    return writer.write([view(row) for row in rows])


class _Ndjson:
    """A JSON object a line, as the list shows it."""

    def begin(self) -> bytes:
        return b""

    def write(self, records: Sequence[BaseModel]) -> bytes:
        return b"".join(record.model_dump_json(by_alias=True).encode() + b"\n" for record in records)


class _Csv:
    """RFC 4180 with a header line. A missing value is an empty field, a record within is a field of each of its own
    (`promise.price`), a list within is JSON. Each custom field is a field of its own (`custom.site_region`)."""

    def __init__(self, read: type[ReadModel], custom: Sequence[str] = ()) -> None:
        own = [path for path in _columns_of(read) if path != ("custom",)]
        self._columns = [*own, *(("custom", name) for name in custom)]

    def begin(self) -> bytes:
        return csv_rows.lines([[".".join(path) for path in self._columns]])

    def write(self, records: Sequence[BaseModel]) -> bytes:
        shown = (record.model_dump(mode="json", by_alias=True) for record in records)
        return csv_rows.lines([csv_rows.field(_value_at(each, path)) for path in self._columns] for each in shown)


def _columns_of(read: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in read.model_fields.items():
        options = [each for each in get_args(field.annotation) or (field.annotation,) if each is not NoneType]
        inner = options[0] if len(options) == 1 else None
        shown = field.serialization_alias or name
        if isinstance(inner, type) and issubclass(inner, BaseModel) and field.annotation != list[inner]:  # type: ignore[valid-type]
            yield from _columns_of(inner, (*above, shown))
        else:
            yield (*above, shown)


def _value_at(record: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        record = None if record is None else record.get(name)
    return record
