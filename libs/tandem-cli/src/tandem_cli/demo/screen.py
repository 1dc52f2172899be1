"""Shows the demo: the eight KPIs as they move, the history's progress, the news; plain lines without a TTY."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tandem_cli.api import Api, Refused
from tandem_cli.demo.board import Board

KPIS = {
    "sales_volume": "Sales volume",
    "revenue": "Revenue",
    "lead_conversion_rate": "Lead conversion",
    "quota_attainment": "Quota attainment",
    "csat": "Customer satisfaction",
    "resolution_rate": "Resolution rate",
    "first_contact_resolution": "First contact resolution",
    "average_handle_time": "Average handle time",
}

_BETTER_LOW = frozenset({"average_handle_time"})
_BARS = "▁▂▃▄▅▆▇█"
_SCREEN_SECONDS = 1.0
_PLAIN_SECONDS = 5.0


@dataclass
class Readings:
    """The KPIs' latest answers, and the values that changes are counted from."""

    answers: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    first: dict[str, Decimal] = field(default_factory=dict)
    problem: str = ""

    async def read(self, metrics: Api, *, loading: bool) -> None:
        """Ask for all of them: the last 30 days, day by day."""
        try:
            answers = await asyncio.gather(*(metrics.get(f"kpis/{name}", {"interval": "day"}) for name in KPIS))
        except Refused as refusal:
            self.problem = str(refusal)
            return
        self.problem = ""
        self.take(dict(zip(KPIS, answers, strict=True)), loading=loading)

    def take(self, answers: dict[str, Mapping[str, Any]], *, loading: bool) -> None:
        """Take in new answers. What comes of the `loading` of history is no change."""
        self.answers = answers
        for name, answer in answers.items():
            if answer["value"] is not None and not loading:
                self.first.setdefault(name, Decimal(answer["value"]))

    @property
    def complete(self) -> bool:
        """True once every KPI has a value."""
        return len(self.answers) == len(KPIS) and all(answer["value"] is not None for answer in self.answers.values())

    def change(self, name: str) -> Decimal | None:
        """How far a KPI has moved since the history was there."""
        answer = self.answers.get(name)
        if answer is None or answer["value"] is None or name not in self.first:
            return None
        return Decimal(answer["value"]) - self.first[name]


class Screen:
    """What a person sees while the demo runs."""

    def __init__(self, console: Console, metrics: Api, board: Board, links: Sequence[str]) -> None:
        self.console = console
        self.readings = Readings()
        self._metrics = metrics
        self._board = board
        self._links = links
        self._began = time.monotonic()
        self._announced_complete = False

    async def run(self) -> None:
        """Show until cancelled."""
        for link in self._links:
            self.console.print(Text(link), soft_wrap=True)
        if not self.console.is_terminal:
            await self._lines()
        with Live(self.picture(), console=self.console, refresh_per_second=4, transient=False) as live:
            while True:
                await self.readings.read(self._metrics, loading=self._board.loading)
                live.update(self.picture())
                await asyncio.sleep(_SCREEN_SECONDS)

    async def _lines(self) -> None:
        while True:
            await self.readings.read(self._metrics, loading=self._board.loading)
            if self.readings.complete and not self._announced_complete:
                self._announced_complete = True
                self.console.print(f"all eight KPIs live {time.monotonic() - self._began:.1f} s after the start")
            self.console.print(self.line(), soft_wrap=True, highlight=False, markup=False)
            await asyncio.sleep(_PLAIN_SECONDS if self._announced_complete else _SCREEN_SECONDS)

    def line(self) -> str:
        """Everything in one line, for a log."""
        values = " · ".join(f"{title} {shown(self.readings.answers.get(name))}" for name, title in KPIS.items())
        refusal = f" · last refused: {self._board.last_refusal}" if self._board.last_refusal else ""
        return f"{values} · {self._progress()}{refusal}"

    def picture(self) -> RenderableType:
        """Everything, for a terminal."""
        grid = Table(box=None, header_style="dim", pad_edge=False)
        grid.add_column("last 30 days", min_width=26)
        grid.add_column("now", justify="right", style="bold", min_width=12)
        grid.add_column("since start", justify="right", min_width=12)
        grid.add_column("of", justify="right", style="dim", min_width=16)
        grid.add_column("day by day", style="cyan")
        for name, title in KPIS.items():
            answer = self.readings.answers.get(name)
            parts = f"{answer['numerator']} / {answer['denominator']}" if answer and answer["denominator"] else ""
            grid.add_row(title, shown(answer), self._change(name), parts, spark(answer))
        lines: list[RenderableType] = [Text(), grid, Text()]
        if self._board.loading:
            # A bar by itself does not end its line.
            bar = Table.grid()
            bar.add_row(ProgressBar(total=1.0, completed=self._board.share, width=60))
            lines.append(bar)
        lines.append(Text(self._progress(), style="dim"))
        if self.readings.problem:
            lines.append(Text(f"no KPIs at the moment: {self.readings.problem}", style="red"))
        if self._board.last_refusal:
            lines.append(Text(f"{self._board.refused} refused, last: {self._board.last_refusal}", style="yellow"))
        lines += [Text(news, style="green") for news in self._board.news]
        lines.append(Text("Ctrl-C stops it; the next run goes on from here", style="dim"))
        return Group(*lines)

    def _progress(self) -> str:
        board = self._board
        if not board.loading:
            return f"{board.doing}; {board.requests} requests so far, {board.refused} refused"
        if not board.actions_total:
            return board.doing
        left = board.seconds_left
        rest = "" if left is None else f", about {left:.0f} s left"
        return (
            f"loading the history: {board.share:.0%}, {board.days_loaded} of {board.days_total} days, "
            f"{board.actions_done:,} of {board.actions_total:,} records and changes{rest}"
        )

    def _change(self, name: str) -> Text:
        change = self.readings.change(name)
        if not change:
            return Text("")
        answer = self.readings.answers[name]
        text = shown({**answer, "value": str(abs(change))})
        if text == shown({**answer, "value": "0"}):
            return Text("")
        better = (change > 0) != (name in _BETTER_LOW)
        return Text(f"{'▲' if change > 0 else '▼'} {text}", style="green" if better else "red")


def shown(answer: Mapping[str, Any] | None) -> str:
    """A KPI's value as a person reads it; a dash where there is none yet."""
    if answer is None or answer["value"] is None:
        return "–"
    value = Decimal(answer["value"])
    match answer["unit"]:
        case "ratio":
            return f"{value * 100:.1f} %"
        case "seconds":
            return f"{int(value) // 60}:{int(value) % 60:02d} min"
        case "money":
            return f"{value:,.0f} {answer.get('currency') or ''}".strip()
        case _:
            return f"{value:,.0f}" if value == value.to_integral_value() else f"{value:,.2f}"


def spark(answer: Mapping[str, Any] | None) -> str:
    """The series as a row of bars; a blank where a day has no value."""
    points = (answer or {}).get("series") or []
    values = [None if point["value"] is None else Decimal(point["value"]) for point in points]
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(Decimal(0), *known), max(known)
    span = (high - low) or Decimal(1)
    return "".join(" " if value is None else _BARS[int((value - low) / span * 7)] for value in values)
