"""The threat model rests on what is there: each file, test and gap that it names exists, and no row is missing."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parents[2]
THREAT_MODEL = (ROOT / "docs/threat-model.md").read_text()
SECTIONS: Final = {1: 14, 2: 10, 3: 7, 4: 3, 5: 5, 6: 4, 7: 4, 8: 3, 9: 2, 10: 3, 11: 1, 12: 6, 13: 4, 14: 5}
"""The chapters of ASVS 4.0.3, each with the number of its sections."""
STATES: Final = {"met", "partly", "not met", "elsewhere"}


def rows_of(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading, without its head."""
    section = THREAT_MODEL.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[2:]]


API_ROWS = rows_of("OWASP API Security Top 10 (2023)")
ASVS_ROWS = rows_of("OWASP ASVS 4.0, level 2")


def declared_tests(file: Path) -> set[str]:
    """Return the names of a file's tests, those of classes with their class."""
    module = ast.parse(file.read_text())
    found = {each.name for each in module.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    for each in module.body:
        if isinstance(each, ast.ClassDef):
            methods = (one for one in each.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
            found |= {f"{each.name}::{one.name}" for one in methods}
    return {name for name in found if name.rpartition("::")[2].startswith("test_")}


def test_every_named_file_and_test_exists() -> None:
    pages = THREAT_MODEL + (ROOT / "SECURITY.md").read_text()
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)(?:::([\w:]+))?`", pages)
    assert named
    for path, test in named:
        assert (ROOT / path).exists(), f"{path} does not exist"
        if test:
            assert test in declared_tests(ROOT / path), f"{path} has no {test}"


def test_what_a_consumer_takes_from_kafka_is_judged_row_by_row() -> None:
    rows = rows_of("What sales-consumer takes from Kafka")
    assert rows
    for _, state, _, shown_by in rows:
        assert state in STATES
        assert (shown_by != "–") or state == "not met"


def test_every_row_of_the_api_top_10_is_there() -> None:
    assert [row[0].partition(" ")[0] for row in API_ROWS] == [f"API{number}" for number in range(1, 11)]


def test_every_section_of_asvs_is_there_once() -> None:
    named = [section for row in ASVS_ROWS for section in re.findall(r"\d+\.\d+", row[0])]
    assert named == [f"{chapter}.{section}" for chapter, number in SECTIONS.items() for section in range(1, number + 1)]


@pytest.mark.parametrize("row", [*API_ROWS, *ASVS_ROWS], ids=lambda row: row[0])
def test_a_row_names_where_it_is_met_and_what_is_not(row: list[str]) -> None:
    _, state, where, shown_by = row
    assert state in STATES
    if state in ("met", "partly"):
        assert "](" in where, "no file"
        assert "::test_" in shown_by, "no test"
    assert (re.search(r"\bG\d+\b", where) is not None) == (state in ("partly", "not met")), "gaps and state differ"


def test_every_gap_is_described_and_named_by_a_row() -> None:
    described = re.findall(r"^\| (G\d+) \|", THREAT_MODEL, re.MULTILINE)
    assert described == [f"G{number}" for number in range(1, len(described) + 1)]
    named = {gap for row in [*API_ROWS, *ASVS_ROWS] for gap in re.findall(r"\bG\d+\b", row[2])}
    assert named == set(described)
