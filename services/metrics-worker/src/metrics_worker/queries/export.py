"""Reads postings in one snapshot and writes them as CSV or Parquet, part by part."""

import asyncio
import io
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.domain.kinds import Kind
from metrics_worker.domain.period import Period
from metrics_worker.ledger.tables import CUSTOMER, POSTING, bucket_column, dimension_value
from service_kit import csv_rows

Format = Literal["csv", "parquet"]
MEDIA_TYPES: Final[dict[Format, str]] = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
ROWS_AT_ONCE: Final = 500
"""Rows that are fetched before other tasks run."""
CSV_ROWS: Final = 2_000
PARQUET_ROWS: Final = 50_000
"""Rows of one row group, and so the most that are in memory at once."""


def exported_columns(kind: Kind) -> list[sa.Column[Any]]:
    """Return the columns of an export, which are those of the view `bi.<kind>_postings` too."""
    split = ["split"] if kind.split_by else []
    before = ["event_id", "subject_id", "event_time", "recorded_time", "day", *split]
    after = [*kind.measures, *map(bucket_column, kind.durations)]
    columns = POSTING[kind].c
    return [
        *(columns[name] for name in before),
        *(sa.Column(name, sa.Text) for name in kind.dimensions),
        *(columns[name] for name in after),
    ]


def exported(kind: Kind) -> sa.Select[Any]:
    """Return a query of these columns of all postings: values for codes, and 0 for what adds nothing."""
    table = POSTING[kind]
    rows: sa.FromClause = table
    selected: list[sa.ColumnElement[Any]] = []
    for name in (column.name for column in exported_columns(kind)):
        column: sa.ColumnElement[Any] = table.c[name]
        if name in kind.measures:
            column = sa.func.coalesce(column, sa.literal_column("0"))
        elif name == CUSTOMER:
            column = sa.cast(column, sa.Text)
        elif name in kind.dimensions:
            # As joins, of which PostgreSQL leaves out those whose value is not asked for.
            of_dimension = dimension_value.alias(f"of_{name}")
            rows = rows.outerjoin(of_dimension, of_dimension.c.code == column)
            column = of_dimension.c.value
        selected.append(column.label(name))
    return sa.select(*selected).select_from(rows)


async def export(engine: AsyncEngine, kind: Kind, period: Period, form: Format) -> AsyncGenerator[bytes, None]:
    """Yield the file's bytes. Postings come in no particular order."""
    columns = exported_columns(kind)
    query = exported(kind).where(POSTING[kind].c.day.between(period.start, period.end))
    # In a thread: importing pyarrow and writing Parquet take longer than other requests may wait.
    writer = _CsvWriter(columns) if form == "csv" else await asyncio.to_thread(_ParquetWriter, columns)
    rows = CSV_ROWS if form == "csv" else PARQUET_ROWS
    async with engine.connect() as connection:
        # One snapshot: a correction is two postings, and a file that holds one of them is wrong.
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        found = await connection.stream(query, execution_options={"yield_per": min(ROWS_AT_ONCE, rows)})
        yield writer.begin()
        part: list[Sequence[Any]] = []
        async for some in found.partitions():
            part += some
            if len(part) >= rows:
                yield await asyncio.to_thread(_write, writer, part)
        if part:
            yield await asyncio.to_thread(_write, writer, part)
    yield writer.end()


def _write(writer: "_CsvWriter | _ParquetWriter", rows: list[Sequence[Any]]) -> bytes:
    written = writer.write(rows)
    # Here, since to free them takes long too.
    rows.clear()
    return written


class _CsvWriter:
    """RFC 4180 with a header line; a missing value is an empty field."""

    def __init__(self, columns: Sequence[sa.Column[Any]]) -> None:
        self._names = [column.name for column in columns]

    def begin(self) -> bytes:
        return csv_rows.lines([self._names])

    def write(self, rows: Sequence[Sequence[Any]]) -> bytes:
        return csv_rows.lines([csv_rows.field(value) for value in row] for row in rows)

    def end(self) -> bytes:
        return b""


class _ParquetWriter:
    """One row group a part, compressed by zstd; ids are text, money is a whole number of minor units."""

    def __init__(self, columns: Sequence[sa.Column[Any]]) -> None:
        # Not at the top: it takes longer to import than all else, and most processes never export.
        import pyarrow as pa
        import pyarrow.parquet as pq

        types: dict[type, Any] = {
            UUID: pa.string(), str: pa.string(), bool: pa.bool_(), int: pa.int64(), date: pa.date32(),
            datetime: pa.timestamp("us", tz="UTC"), Decimal: pa.decimal128(38, 0),
        }  # fmt: skip
        self._is_id = [column.type.python_type is UUID for column in columns]
        self._schema = pa.schema([(column.name, types[column.type.python_type]) for column in columns])
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._batch: Callable[..., Any] = pa.record_batch

    def begin(self) -> bytes:
        return self._sink.take()

    def write(self, rows: Sequence[Sequence[Any]]) -> bytes:
        values = [
            [None if value is None else str(value) for value in column] if is_id else list(column)
            for column, is_id in zip(zip(*rows, strict=True), self._is_id, strict=True)
        ]
        self._writer.write_batch(self._batch(values, schema=self._schema))
        return self._sink.take()

    def end(self) -> bytes:
        self._writer.close()
        return self._sink.take()


class _Sink(io.RawIOBase):
    """A write-only file that keeps what was written until it is taken; its position counts every byte ever written."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the number of bytes written so far."""
        return self._position

    def write(self, data: Any) -> int:
        """Keep a copy of the bytes."""
        part = bytes(data)
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken, self._parts = b"".join(self._parts), []
        return taken
