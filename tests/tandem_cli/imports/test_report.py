"""Errors reach a person: on the screen the first ones, in the file all, and no cell of it is a formula."""

import csv
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tandem_cli.imports.report import show_errors, write_errors
from tandem_cli.imports.tables import RowError
from tandem_cli.problem import StackProblem


def test_the_file_holds_every_error_and_no_formula(tmp_path: Path) -> None:
    errors = [RowError("a.csv", 2, "price", "=1+1 is not an amount", "-x"), RowError("a.csv", 3, "", "@ is bad")]
    write_errors(tmp_path / "errors.csv", errors)
    with (tmp_path / "errors.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["file", "row", "column", "reference", "reason"],
            ["a.csv", "2", "price", "'-x", "'=1+1 is not an amount"],
            ["a.csv", "3", "", "", "'@ is bad"],
        ]


def test_a_report_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(StackProblem, match="cannot be written"):
        write_errors(tmp_path / "absent" / "errors.csv", [])


def test_the_screen_shows_the_first_errors_and_counts_the_rest() -> None:
    console = Console(file=StringIO(), width=100)
    show_errors(console, [RowError("a.csv", line, "price", "[bold]odd[/bold]") for line in range(2, 40)])
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "[bold]odd[/bold]" in shown
    assert shown.count("a.csv") == 20
    assert "and 18 more; by column: price 38" in shown
