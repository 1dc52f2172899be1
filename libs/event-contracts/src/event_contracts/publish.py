"""Publishes the contracts as documents: `python -m event_contracts.publish docs` writes them, `--check` compares.

Writes `schemas/*.json`, `asyncapi.yaml` and the catalogue table in `events.md`. A change that would break a reader
of the same major version is refused: see `event_contracts.compatibility`.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from difflib import unified_diff
from inspect import getdoc
from pathlib import Path
from typing import Any, Final

from event_contracts.asyncapi import asyncapi
from event_contracts.catalogue import EVENT_TYPES, EventType
from event_contracts.compatibility import breaking_changes
from event_contracts.examples import examples
from event_contracts.schemas import ENVELOPE_FILE, data_schema, envelope_schema, schema_file
from event_contracts.yaml_text import to_yaml

TABLE_BEGINS: Final = "<!-- catalogue: written by `make contracts` -->\n"
TABLE_ENDS: Final = "<!-- end of catalogue -->\n"


class Unpublishable(Exception):
    """The contracts cannot be published as they are; the message is why and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns 0 when the documents agree with the code or were written, otherwise 1."""
    parser = argparse.ArgumentParser(prog="python -m event_contracts.publish", description=__doc__)
    parser.add_argument("docs", type=Path, help="the folder that holds events.md")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a document is out of date")
    options = parser.parse_args(arguments)
    try:
        outdated = {
            path: text for path, text in documents(options.docs).items() if not path.exists() or _read(path) != text
        }
        if options.check:
            for path, text in outdated.items():
                sys.stdout.write(_difference(path, text))
        refuse_breaking_changes(options.docs)
        if options.check:
            refuse_drift(outdated, options.docs)
    except Unpublishable as refusal:
        sys.stderr.write(f"contracts: {refusal}\n")
        return 1
    for path, text in outdated.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {path}\n")
    return 0


def documents(docs: Path) -> dict[Path, str]:
    """Every document as the code would have it. Raises `Unpublishable` when an event has no example."""
    missing = sorted(set(EVENT_TYPES) - set(examples()))
    if missing:
        raise Unpublishable(f"no example of {', '.join(missing)}: add one to event_contracts/examples.py")
    return {
        **{docs / "schemas" / name: _json_text(schema) for name, schema in schemas().items()},
        docs / "asyncapi.yaml": "# Written by `make contracts` from libs/event-contracts.\n" + to_yaml(asyncapi()),
        docs / "events.md": _with_table(docs / "events.md"),
    }


def schemas() -> dict[str, dict[str, Any]]:
    """Every JSON Schema by its file name."""
    named = {schema_file(entry): data_schema(entry) for entry in EVENT_TYPES.values()}
    return {ENVELOPE_FILE: envelope_schema(), **dict(sorted(named.items()))}


def refuse_breaking_changes(docs: Path) -> None:
    """Compares the code with the schemas published so far. Raises `Unpublishable` when a reader would break."""
    broken: list[str] = []
    published = {path.name: json.loads(_read(path)) for path in sorted((docs / "schemas").glob("*.json"))}
    for name, new in schemas().items():
        if name in published:
            broken += [f"{name}: {change}" for change in breaking_changes(published[name], new)]
    gone = {name.rpartition(".v")[0] for name in published} - {"cloudevent"} - set(EVENT_TYPES)
    broken += [f"{name}: the event is gone, but the log keeps it for ever" for name in sorted(gone)]
    if broken:
        raise Unpublishable(
            "these changes break a reader of the same major version:\n"
            + "".join(f"  {change}\n" for change in broken)
            + "Add an optional property instead, or declare a new major version of the event: @event(…, version=…).\n"
            "Only while no event of this version was ever published, delete its file under docs/schemas to start anew."
        )


def refuse_drift(outdated: Iterable[Path], docs: Path) -> None:
    """Raises `Unpublishable` when a document is out of date, or lies among the schemas and belongs to no event."""
    known = {"cloudevent", *EVENT_TYPES}
    strays = [
        path
        for path in sorted((docs / "schemas").glob("*"))
        if path.suffix != ".json" or path.name.rpartition(".v")[0] not in known
    ]
    drift = [f"  {path} differs from the code\n" for path in outdated]
    drift += [f"  {path} belongs to no event\n" for path in strays]
    if drift:
        raise Unpublishable(
            "the documents and the contracts in code disagree:\n"
            + "".join(drift)
            + "Run `make contracts` and commit what it writes under docs/."
        )


def _with_table(events_md: Path) -> str:
    """`events.md` with the catalogue table between its markers brought up to date."""
    text = _read(events_md) if events_md.exists() else ""
    before, begins, rest = text.partition(TABLE_BEGINS)
    _, ends, after = rest.partition(TABLE_ENDS)
    if not begins or not ends:
        raise Unpublishable(f"{events_md} lacks the lines {TABLE_BEGINS.strip()!r} and {TABLE_ENDS.strip()!r}")
    return before + begins + catalogue_table() + ends + after


def catalogue_table() -> str:
    """The catalogue in Markdown, a table for each topic."""
    lines: list[str] = []
    for topic in sorted({entry.topic for entry in EVENT_TYPES.values()}):
        lines += [f"\n**`{topic}`**\n", "| event | fact | subject | schema |", "| --- | --- | --- | --- |"]
        lines += [
            f"| `{entry.name}` | {' '.join((getdoc(entry.data) or '').split())} | `{entry.subject_kind}/<id>` "
            f"| [v{entry.version}](schemas/{schema_file(entry)}) |"
            for entry in _by_name()
            if entry.topic == topic
        ]
    return "\n".join(lines) + "\n\n"


def _by_name() -> list[EventType]:
    return [EVENT_TYPES[name] for name in sorted(EVENT_TYPES)]


def _json_text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _difference(path: Path, text: str) -> str:
    before = _read(path).splitlines(keepends=True) if path.exists() else []
    return "".join(unified_diff(before, text.splitlines(keepends=True), f"{path} (committed)", f"{path} (from code)"))


if __name__ == "__main__":
    sys.exit(main())
