"""Values are shown as a person reads them, on a terminal and in a log."""

import time
from collections import deque
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from tandem_cli.api import Api
from tandem_cli.demo.board import Board
from tandem_cli.demo.screen import KPIS, Screen, shown, spark


def answer(unit: str, value: str | None, **members: Any) -> dict[str, Any]:
    return {"unit": unit, "value": value, "currency": None, "numerator": 1, "denominator": 2, "series": None, **members}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "–"),
        (answer("ratio", None), "–"),
        (answer("ratio", "0.10525"), "10.5 %"),
        (answer("seconds", "443.4"), "7:23 min"),
        (answer("money", "1437920.47", currency="EUR"), "1,437,920 EUR"),
        (answer("count", "1234"), "1,234"),
        (answer("score", "4.256"), "4.26"),
    ],
)
def test_values_by_their_unit(given: dict[str, Any] | None, text: str) -> None:
    assert shown(given) == text


def test_a_series_is_a_row_of_bars_with_gaps_for_days_without_a_value() -> None:
    series = [{"value": value} for value in ("0", "5", None, "10")]
    assert spark(answer("count", "15", series=series)) == "▁▄ █"
    assert spark(answer("count", None, series=[{"value": None}])) == ""
    assert spark(answer("count", "0", series=[{"value": "0"}])) == "▁"


def test_the_picture_shows_every_kpi_the_progress_and_the_news() -> None:
    console = Console(file=StringIO(), width=120)
    board = Board(
        actions_total=1000, actions_done=500, days_total=365, days_loaded=60, news=deque(["12:00:00  deal close won"])
    )
    board.history_began = time.monotonic() - 30
    screen = Screen(console, Api("http://127.0.0.1:1", ""), board, [])
    console.print(screen.picture())
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for title in KPIS.values():
        assert title in text
    assert "loading the history: 50%, 60 of 365 days, 500 of 1,000 records and changes, about 30 s left" in text
    assert "deal close won" in text
    assert "Sales volume –" in screen.line()


def test_changes_are_counted_from_when_the_history_is_there() -> None:
    screen = Screen(Console(file=StringIO()), Api("http://127.0.0.1:1", ""), Board(), [])
    screen.readings.take(dict.fromkeys(KPIS, answer("count", "5")), loading=True)
    screen.readings.take(dict.fromkeys(KPIS, answer("count", "7")), loading=False)
    screen.readings.take(dict.fromkeys(KPIS, answer("count", "10")), loading=False)
    assert screen.readings.change("revenue") == 3
