"""What the demo remembers survives a run, and a file that cannot be read is a new business rather than a crash."""

from datetime import date
from pathlib import Path

import pytest

from tandem_cli.demo.memory import Memory, Thread


def test_a_business_is_recalled_as_it_was_kept(tmp_path: Path) -> None:
    memory = Memory(7, 300, "2026-01-01", ["2026-01-01"], {"live:3": Thread(2, {"lead": "x"})}, next_live=4)
    memory.begin_batch("sales", "2026-01-02T10:00:00+00:00", ["2026-01-02:lead:1"])
    memory.end("2026-01-02:lead:0")
    memory.keep(tmp_path / "demo.json")
    assert Memory.recall(tmp_path / "demo.json", seed=1, accounts=5, first_day=date(2026, 5, 1)) == memory


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"seed": 1}', '{"threads": {"a": {"action": 1}}}'])
def test_without_a_memory_a_new_business_begins(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "demo.json"
    if content is not None:
        file.write_text(content)
    recalled = Memory.recall(file, seed=1, accounts=5, first_day=date(2026, 5, 1))
    assert recalled == Memory(1, 5, "2026-05-01")


def test_the_ends_of_scenarios_are_remembered_until_their_day_is_loaded() -> None:
    memory = Memory(7, 300, "2026-01-01", threads={"live:3": Thread(), "2026-01-02:lead:0": Thread()})
    for scenario in ("live:3", "2026-01-02:lead:0", "2026-01-02:care:0"):
        memory.end(scenario)
    assert memory.threads == {}
    assert memory.done == {"2026-01-02": ["2026-01-02:lead:0", "2026-01-02:care:0"]}
    memory.load(date(2026, 1, 2))
    memory.end("2026-01-02:lead:1")
    assert (memory.loaded, memory.done) == (["2026-01-02"], {})
