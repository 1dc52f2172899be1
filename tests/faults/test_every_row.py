"""Every row of faults has a script, and the report keeps what was found of the others."""

import ast
from pathlib import Path

from tests.faults import report
from tests.faults.rows import ROWS

UNWRITTEN = frozenset(range(1, 36)) - {1, 2, 5, 6, 7, 8, 9, 10, 12, 19, 22, 24, 25, 26, 27, 29, 31, 33, 35}


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
    assert set(ROWS) - rows_with_a_script() == UNWRITTEN


def test_the_report_replaces_the_rows_that_were_run(tmp_path: Path) -> None:
    file = tmp_path / "faults.md"
    report.write({1: ["passed", "p99 0.1 s", "7", "short", "2026-01-01, abc"]}, file)
    report.write({2: ["**failed**: a | b", "", "8", "long", "2026-01-02, def"]}, file)
    rows = report.read(file)
    assert rows[1] == ["passed", "p99 0.1 s", "7", "short", "2026-01-01, abc"]
    assert rows[2] == ["**failed**: a | b", "", "8", "long", "2026-01-02, def"]
    assert rows[3][0] == report.NOT_RUN
    assert len(rows) == len(ROWS)
