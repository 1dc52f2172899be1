"""CSV files, plain or gzipped, as rows that know their file and line; recognises which file is which."""

import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

from tandem_cli.imports.mapping import Source
from tandem_cli.problem import StackProblem

csv.field_size_limit(1_000_000)


@dataclass(frozen=True)
class Row:
    """One row; `line` is the line of the file that it begins on, the header being line 1."""

    file: str
    line: int
    cells: Mapping[str, str]


@dataclass(eq=False)  # not frozen: raising an exception writes its traceback into it
class RowError(Exception):
    """Why one row cannot be imported. `column` is empty when it is not one cell's fault."""

    file: str
    line: int
    column: str
    reason: str
    reference: str = ""


@dataclass(frozen=True)
class Table:
    """The rows of one file, and those that are not even rows."""

    rows: list[Row]
    errors: list[RowError]


def assign(
    paths: Sequence[Path], columns: Mapping[str, set[str]], sources: Mapping[str, Source]
) -> dict[str, list[Path]]:
    """Which files belong to which source, found by their headers, so that their order does not matter.

    Raises StackProblem for a file that fits no source or several, and for a first source without a file.
    """
    found: dict[str, list[Path]] = {name: [] for name in columns}
    for path in paths:
        missing = {}
        for name, needed in columns.items():
            missing[name] = sorted(needed - set(_header(path, sources[name])))
        fitting = [name for name in columns if not missing[name]]
        if not fitting:
            lacks = "; ".join(f"as {name} it lacks the column {', '.join(absent)}" for name, absent in missing.items())
            raise StackProblem(f"{path} is not a file of this mapping: {lacks}.")
        # Deals may carry the few columns of leads as well; the source that asks for most is meant.
        most = max(len(columns[name]) for name in fitting)
        best = [name for name in fitting if len(columns[name]) == most]
        if len(best) > 1:
            raise StackProblem(f"{path} could be any of {', '.join(best)}: the mapping must ask for other columns.")
        found[best[0]].append(path)
    first = next(iter(columns))
    if not found[first]:
        raise StackProblem(f"None of the files holds {first}: the columns {', '.join(sorted(columns[first]))}.")
    return found


def read(paths: Sequence[Path], source: Source) -> Table:
    """Every row of the files. Raises StackProblem when a file cannot be read at all."""
    table = Table([], [])
    for path in paths:
        for row in _rows(path, source):
            if isinstance(row, RowError):
                table.errors.append(row)
            else:
                table.rows.append(row)
    return table


def _header(path: Path, source: Source) -> list[str]:
    try:
        with _opened(path, source) as text:
            header = next(csv.reader(text, delimiter=source.delimiter), [])
    except (OSError, EOFError, csv.Error) as error:
        raise StackProblem(f"{path} cannot be read: {error}") from None
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise StackProblem(f"{path} has the column {', '.join(twice)} twice.")
    return header


def _rows(path: Path, source: Source) -> Iterator[Row | RowError]:
    header = _header(path, source)
    try:
        with _opened(path, source) as text:
            reader = csv.reader(text, delimiter=source.delimiter)
            next(reader)
            begins = reader.line_num + 1
            for cells in reader:
                line, begins = begins, reader.line_num + 1
                if not cells:
                    continue
                if len(cells) != len(header):
                    yield RowError(path.name, line, "", f"has {len(cells)} cells where the header has {len(header)}")
                    continue
                row = dict(zip(header, cells, strict=True))
                broken = next((name for name, cell in row.items() if not _is_text(cell)), None)
                if broken is not None:
                    yield RowError(path.name, line, broken, f"is not {source.encoding} text")
                    continue
                yield Row(path.name, line, row)
    except (OSError, EOFError, csv.Error) as error:
        raise StackProblem(f"{path} cannot be read: {error}") from None


def _opened(path: Path, source: Source) -> TextIO:
    with path.open("rb") as probe:
        zipped = probe.read(2) == b"\x1f\x8b"
    encoding = "utf-8-sig" if source.encoding.lower() in ("utf-8", "utf8", "utf_8") else source.encoding
    # A wrong byte spoils its own row only: it is let through as a lone surrogate, and found there.
    options: dict[str, Any] = {"encoding": encoding, "errors": "surrogateescape", "newline": ""}
    return cast("TextIO", gzip.open(path, "rt", **options)) if zipped else path.open(**options)


def _is_text(cell: str) -> bool:
    return cell.isprintable() or not any("\ud800" <= character <= "\udfff" or character == "\0" for character in cell)
