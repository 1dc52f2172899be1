"""Writes docs/faults.md: what became of each row when it was last run. Running one row replaces that row only."""

import subprocess
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from tests.faults.rows import ROWS

FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
FOLDER: Final = "tests/faults/"
FORM: Final = "form"
COLUMNS: Final = ("#", "fault", "passes when, beyond the invariants", "result", "figures", "seed", "form", "run on")
NOT_RUN: Final = "not run"
HEAD: Final = """\
# Faults that the system survives

This page is written by `make faults`; do not edit it. Each row is a script of [tests/faults](../tests/faults) against
real PostgreSQL and Kafka: all processes, with two relays of each service and two members of each consumer group, 6
partitions, and load while the fault happens. Every request and answer is recorded. At most 60 s after the last repair,
an oracle in plain SQL and with a reader of its own compares databases, log and ledger, and each record of the sources
with the one before the fault: what is new or different must come from a recorded request.

- The long form has 120 s of load, the short one 20 s. The rate is 50 deals/s and 50 tickets/s on 13 processors or more,
  and 4 of each per second and processor on fewer. A figure says as much about the host and its load as about Tandem.
- One row: `pytest tests -m "fault(number=6)" --form long --seed 7 -s`; with `--write-faults-report` it replaces its row
  here. Rows that a test of less than the whole system proves name its file.

"""


@dataclass
class Outcome:
    """What became of one test of a row."""

    result: str = "passed"
    figures: dict[str, str] = field(default_factory=dict)
    seed: int | None = None


class Report:
    """The plugin that collects the outcomes and writes the file."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._outcomes: defaultdict[int, dict[str, Outcome]] = defaultdict(dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in one phase of a test."""
        properties: dict[str, Any] = dict(report.user_properties)
        if "fault" not in properties:
            return
        for number in properties["fault"]:
            outcome = self._outcomes[number].setdefault(report.nodeid, Outcome())
            file = report.nodeid.partition("::")[0]
            outcome.figures = properties.get("figures", {} if file.startswith(FOLDER) else {"in": file})
            outcome.seed = properties.get("seed")
            if report.failed:
                outcome.result = "**failed**: " + _in_a_line(getattr(report.longrepr, "reprcrash", report.longrepr))
            elif report.skipped and isinstance(report.longrepr, tuple):
                outcome.result = report.longrepr[2].removeprefix("Skipped: ")

    def pytest_sessionfinish(self) -> None:
        """Write the rows that were run."""
        if self._outcomes:
            write({number: self._cells(list(of_row.values())) for number, of_row in self._outcomes.items()})

    def _cells(self, outcomes: list[Outcome]) -> list[str]:
        results = sorted({outcome.result for outcome in outcomes}, key=lambda result: result == "passed")
        shown = [", ".join(f"{name} {value}" for name, value in each.figures.items()) for each in outcomes]
        figures = list(dict.fromkeys(shown))
        seeds = dict.fromkeys(str(outcome.seed) for outcome in outcomes if outcome.seed is not None)
        return [
            "; ".join(results),
            "; ".join(filter(None, figures)),
            ", ".join(seeds),
            self._form,
            f"{datetime.now(UTC):%Y-%m-%d}, {_commit()}",
        ]


def write(found: dict[int, list[str]], file: Path = FILE) -> None:
    """Replace the rows of these numbers, each given by its cells from the result on."""
    rows = read(file) | found
    table = [COLUMNS, ("---",) * len(COLUMNS)]
    for number, row in ROWS.items():
        cells = [_escaped(cell) for cell in rows.get(number, [NOT_RUN, "", "", "", ""])]
        table.append((str(number), _escaped(row.fault), _escaped(row.condition), *cells))
    file.write_text(HEAD + "".join("| " + " | ".join(row) + " |\n" for row in table))


def read(file: Path = FILE) -> dict[int, list[str]]:
    """Return the cells from the result on, by the number of their row."""
    rows: dict[int, list[str]] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        cells = [cell.strip() for cell in line.replace("\\|", "\0").strip("|").split("|")]
        if line.startswith("| ") and cells[0].isdecimal():
            rows[int(cells[0])] = [cell.replace("\0", "|") for cell in cells[3:]]
    return rows


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _in_a_line(crash: Any) -> str:
    text = " ".join(str(getattr(crash, "message", crash)).split())
    return text if len(text) <= 200 else text[:200] + " …"


def _commit() -> str:
    """Return the newest commit of the main branch, with a plus where anything but the report was changed since.

    Commits that are not in it yet may be rebased, and then cannot be found.
    """
    branches = _git("for-each-ref", "--format=%(refname)", "refs/heads/main", "refs/remotes/origin/main").split()
    commit = _git("merge-base", "HEAD", branches[0]) if branches else _git("rev-parse", "HEAD")
    changes = _git("diff", "--name-only", commit, "--", ":(top)", f":(top,exclude)docs/{FILE.name}")
    return commit[:7] + ("+" if changes else "")


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=FILE.parent, capture_output=True, text=True, check=True).stdout.strip()
