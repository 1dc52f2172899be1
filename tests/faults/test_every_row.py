"""Every row of faults has a script, and the report keeps what was found of the others."""

import ast
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.faults import report
from tests.faults.rows import ROWS

ROOT: Final = Path(__file__).parents[2]


def rows_with_a_script() -> set[int]:
    """Return the numbers in `@fault(…)` above any test."""
    found = set()
    for file in Path(__file__).parents[1].rglob("test_*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for call in function.decorator_list:
                    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "fault":
                        found.add(ast.literal_eval(call.args[0]))
    return found


def test_every_row_has_a_script() -> None:
    assert rows_with_a_script() == set(ROWS)


def test_the_report_names_commits_that_are_there() -> None:
    named = {cells[-1].rpartition(", ")[2].rstrip("+") for cells in report.read().values() if cells[-1]}
    missing = [
        commit
        for commit in named
        if subprocess.run(
            ["git", "merge-base", "--is-ancestor", commit, "HEAD"], cwd=ROOT, capture_output=True, check=False
        ).returncode
    ]
    if missing and not has_history():
        pytest.skip("this copy has no history")
    assert missing == []


def has_history() -> bool:
    """Return whether this is a repository with all its commits."""
    command = ["git", "rev-parse", "--is-shallow-repository"]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return asked.stdout.strip() == "false"


def test_the_report_replaces_the_rows_that_were_run(tmp_path: Path) -> None:
    file = tmp_path / "faults.md"
    report.write({1: ["passed", "p99 0.1 s", "7", "short", "2026-01-01, abc"]}, file)
    report.write({2: ["**failed**: a | b", "", "8", "long", "2026-01-02, def"]}, file)
    rows = report.read(file)
    assert rows[1] == ["passed", "p99 0.1 s", "7", "short", "2026-01-01, abc"]
    assert rows[2] == ["**failed**: a | b", "", "8", "long", "2026-01-02, def"]
    assert rows[3][0] == report.NOT_RUN
    assert len(rows) == len(ROWS)
