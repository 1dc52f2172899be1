"""CSV files, plain or gzipped, as rows that know their file and line; recognises which file is which."""

import codecs
import csv
import gzip
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO, cast

from charset_normalizer import from_bytes

from tandem_cli.imports.mapping import Source
from tandem_cli.problem import StackProblem

csv.field_size_limit(1_000_000)

_DELIMITERS: Final = (",", ";", "\t", "|")
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ENCODINGS: Final = ("cp1252", "cp1250", "cp1257", "cp1251", "cp1253", "cp1254", "cp932", "gb18030", "euc_kr", "big5")
"""What spreadsheets of most languages write that is not UTF-8."""
_READINGS: Final = 5
_SAMPLE_BYTES: Final = 50_000
_UNREADABLE: Final = (OSError, EOFError, zlib.error, csv.Error, UnicodeError)


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
    paths: Sequence[Path],
    columns: Mapping[str, set[str]],
    sources: Mapping[str, Source],
    *,
    needed: Collection[str],
) -> dict[str, list[Path]]:
    """Which files belong to which source, found by their headers, so that their order does not matter.

    Raises StackProblem for a file that fits no source or several, and for a source that is `needed` and has no file.
    """
    found: dict[str, list[Path]] = {name: [] for name in columns}
    for path in paths:
        missing = {}
        for name, asked in columns.items():
            missing[name] = sorted(asked - set(_header(path, sources[name])))
        fitting = [name for name in columns if not missing[name]]
        if not fitting:
            if (settings := _settings_of(path, columns, sources)) is not None:
                raise StackProblem(f"{path} is not written as the mapping has it. {settings}")
            lacks = "; ".join(f"as {name} it lacks the column {', '.join(absent)}" for name, absent in missing.items())
            raise StackProblem(f"{path} is not a file of this mapping: {lacks}.")
        # Deals may carry the few columns of leads as well; the source that asks for most is meant.
        most = max(len(columns[name]) for name in fitting)
        best = [name for name in fitting if len(columns[name]) == most]
        if len(best) > 1:
            raise StackProblem(f"{path} could be any of {', '.join(best)}: the mapping must ask for other columns.")
        found[best[0]].append(path)
    for name in needed:
        if not found[name]:
            raise StackProblem(f"None of the files holds {name}: the columns {', '.join(sorted(columns[name]))}.")
    return found


def check_encoding(paths: Sequence[Path], name: str, source: Source) -> None:
    """Raise StackProblem for a file that is in another encoding than its source, with what to set.

    A file that is UTF-8 but for a few rows passes; those are errors of their own.
    """
    codec = codecs.lookup(source.encoding).name
    is_utf_8 = codec in ("utf-8", "utf-8-sig")
    if not is_utf_8 and not codec.startswith(("cp125", "iso8859", "koi8", "mac")):
        return
    for path in paths:
        try:
            with _bytes_of(path) as file:
                is_text, odd = _utf_8_lines(file)
        except _UNREADABLE as error:
            raise StackProblem(f"{path} cannot be read: {error}") from None
        if is_utf_8 and odd and not is_text:
            raise StackProblem(_other_encoding(path, name, source, odd))
        if not is_utf_8 and is_text and not odd:
            settings = _settings(name, encoding="utf-8")
            raise StackProblem(f"{path} is utf-8, not {source.encoding}. {settings}")


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
    except _UNREADABLE as error:
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
    except _UNREADABLE as error:
        raise StackProblem(f"{path} cannot be read: {error}") from None


def _settings_of(path: Path, columns: Mapping[str, set[str]], sources: Mapping[str, Source]) -> str | None:
    """What to set so that a file is one of this mapping, or None when nothing makes it one."""
    with _bytes_of(path) as file:
        head = file.read(4)
    found = [encoding for mark, encoding in _BYTE_ORDER_MARKS if head.startswith(mark)]
    if not found and len(head) == 4 and (head[1::2] == b"\0\0" or head[::2] == b"\0\0"):
        found = ["utf-16-le" if head[1] == 0 else "utf-16-be"]
    for name in sorted(columns, key=lambda name: -len(columns[name])):
        source = sources[name]
        for encoding in (source.encoding, *found):
            for delimiter in _DELIMITERS:
                other = source.model_copy(update={"delimiter": delimiter, "encoding": encoding})
                if other != source and columns[name] <= set(_header_or_nothing(path, other)):
                    return _settings(
                        name,
                        delimiter=None if delimiter == source.delimiter else delimiter,
                        encoding=None if encoding == source.encoding else encoding,
                    )
    return None


def _settings(name: str, *, delimiter: str | None = None, encoding: str | None = None) -> str:
    shown = [] if delimiter is None else ['delimiter: "' + delimiter.replace("\t", "\\t") + '"']
    shown += [] if encoding is None else [f"encoding: {encoding}"]
    return f"Set in the mapping: sources: {{{name}: {{{', '.join(shown)}}}}}"


def _header_or_nothing(path: Path, source: Source) -> list[str]:
    try:
        return _header(path, source)
    except StackProblem:
        return []


def _utf_8_lines(file: BinaryIO) -> tuple[bool, list[tuple[int, bytes]]]:
    """Whether some lines have letters in UTF-8, and the first lines with what is none, by their numbers."""
    is_text = False
    odd: list[tuple[int, bytes]] = []
    size = 0
    for number, line in enumerate(file, 1):
        if line.isascii():
            continue
        try:
            line.decode()
            is_text = True
        except UnicodeDecodeError:
            if size < _SAMPLE_BYTES:
                odd.append((number, line))
                size += len(line)
    return is_text, odd


def _other_encoding(path: Path, name: str, source: Source, odd: Sequence[tuple[int, bytes]]) -> str:
    sample = b"".join(line for _, line in odd)
    readings: dict[str, str] = {}
    best = from_bytes(sample, cp_isolation=list(_ENCODINGS)).best()
    number, line = odd[0]
    for encoding in (*([best.encoding] if best else []), *_ENCODINGS):
        try:
            sample.decode(encoding)
            text = line.decode(encoding).strip()
        except UnicodeDecodeError:
            continue
        shown = text if len(text) <= 60 else f"{text[:59]}…"
        if text.isprintable() and shown not in readings.values():
            readings.setdefault(encoding, shown)
    lines = [f"  {encoding}: {text}" for encoding, text in list(readings.items())[:_READINGS]]
    first = next(iter(readings), "cp1252")
    return "\n".join(
        (
            f"{path} is not {source.encoding}. {_settings(name, encoding=first)}",
            f"or another one, if that is the one by which line {number} reads",
            *lines,
        )
    )


def _bytes_of(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb") if _is_zipped(path) else path.open("rb"))


def _is_zipped(path: Path) -> bool:
    with path.open("rb") as probe:
        return probe.read(2) == b"\x1f\x8b"


def _opened(path: Path, source: Source) -> TextIO:
    encoding = "utf-8-sig" if source.encoding.lower() in ("utf-8", "utf8", "utf_8") else source.encoding
    # A wrong byte spoils its own row only: it is let through as a lone surrogate, and found there.
    options: dict[str, Any] = {"encoding": encoding, "errors": "surrogateescape", "newline": ""}
    return cast("TextIO", gzip.open(path, "rt", **options)) if _is_zipped(path) else path.open(**options)


def _is_text(cell: str) -> bool:
    return cell.isprintable() or not any("\ud800" <= character <= "\udfff" or character == "\0" for character in cell)
