"""Loads the business's past by imports: many legs of scenarios in a request, each API at the same time."""

import asyncio
import hashlib
import heapq
import json
import time
from collections import ChainMap, Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from tandem_cli.api import Api, Refused
from tandem_cli.concurrency import all_of
from tandem_cli.demo.board import Board
from tandem_cli.demo.business import Business
from tandem_cli.demo.legs import begins_leg, leg_of, names_from, row_of
from tandem_cli.demo.memory import Batch, Memory, Thread
from tandem_cli.demo.scenario import Action, Scenario
from tandem_cli.problem import StackProblem
from tandem_cli.requests import ApiName, Ref

RECENT_DAYS: Final = 60
"""Of the history, that are loaded before all others."""
STEPS_AT_ONCE: Final = 500
"""Records and steps of their histories in one request: its transaction takes about a second."""
IMPORTS_AT_ONCE: Final = 2
"""Of each API: one is in the database while the other is read."""
_LATER: Final = 300
"""How many scenarios come between the legs of one: the other service has to hear of the first leg meanwhile."""
_AGAIN_SECONDS: Final = 0.5
_REFERENCE_SECONDS: Final = 60.0
"""How long a record of one service may take until the other knows it."""
TAKEN: Final = frozenset(
    {"external-ref-taken", "onboarding-already-opened", "step-already-planned", "suggestion-already-taken-up"}
)
"""Slugs of refusals that name the record which is there already."""
_IDS: Final[Mapping[ApiName, Sequence[str]]] = {
    "sales": ("deals", "accounts"),
    "service": ("surveys", "upsell-suggestions", "onboarding-steps"),
}
"""What rows make besides their own record, and later actions name."""


@dataclass(order=True)
class _Leg:
    """A scenario whose next leg is to be imported, in its turn."""

    turn: int
    key: str
    failing_since: float | None = None

    def is_patient(self) -> bool:
        """Return whether it may fail for once more, since what it refers to may be on its way."""
        self.failing_since = self.failing_since or time.monotonic()
        return time.monotonic() - self.failing_since < _REFERENCE_SECONDS


class HistoryLoader:
    """One run over all that has happened and was not loaded yet; what is interrupted, a later run goes on with."""

    def __init__(
        self,
        business: Business,
        apis: Mapping[str, Api],
        memory: Memory,
        board: Board,
        ids: dict[Ref, str],
        *,
        now: datetime,
        keep: Callable[[], None],
        go_on: Callable[[Scenario], Awaitable[None]],
    ) -> None:
        """`ids` are those of the company; `now` is where the history ends; `keep` writes the memory down.

        `go_on` sends what is due of a scenario by single requests.
        """
        self._business = business
        self._apis = apis
        self._memory = memory
        self._board = board
        self._ids = ids
        self._now = now
        self._keep = keep
        self._go_on = go_on
        self._scenarios: dict[str, Scenario] = {}
        self._day_of: dict[str, date] = {}
        self._left_on: Counter[date] = Counter()
        self._waiting: dict[ApiName, list[_Leg]] = {"sales": [], "service": []}
        self._open = 0
        self._changed = asyncio.Condition()

    async def run(self, days: Sequence[date]) -> None:
        """Import what happened on these days, the latest first, and what earlier runs have left open."""
        await self._repeat_begun()
        due = [*self._unfinished(), *self._of(days)]
        for turn, scenario in enumerate(due):
            self._scenarios[scenario.key] = scenario
            self._queue(_Leg(turn, scenario.key))
        self._open = len(due)
        self._board.begin(sum(self._left_of(scenario) for scenario in due))
        await all_of(*(self._work(api) for api in self._waiting for _ in range(IMPORTS_AT_ONCE)))

    def _unfinished(self) -> Iterator[Scenario]:
        """Yield the scenarios of earlier runs that have come to a leg; within one they go on by single requests."""
        for key, thread in self._memory.threads.items():
            if not key.startswith("live:"):
                scenario = self._business.scenario(key, self._now)
                if begins_leg(scenario, thread.actions) and self._left_of(scenario):
                    yield scenario

    def _of(self, days: Sequence[date]) -> list[Scenario]:
        due: list[tuple[date, Scenario]] = []
        for day in days:
            known = {*self._memory.threads, *self._memory.done.get(day.isoformat(), ())}
            found = [each for each in self._business.day(day) if each.key not in known and self._left_of(each)]
            due += ((day, each) for each in found)
            self._left_on[day] = len(found)
            self._note_day(day)
        # What the last 30 days show began in the last 60: mixed, so that every KPI of theirs grows from the start.
        recent = [item for item in due if (self._now.date() - item[0]).days < RECENT_DAYS]
        self._business.company.random("order").shuffle(recent)
        due[: len(recent)] = recent
        self._day_of = {scenario.key: day for day, scenario in due}
        return [scenario for _, scenario in due]

    def _left_of(self, scenario: Scenario) -> int:
        """Return how many actions of a scenario are due and not done."""
        done = self._memory.threads.get(scenario.key, Thread()).actions
        return sum(action.at <= self._now for action in scenario.actions[done:])

    async def _work(self, api: ApiName) -> None:
        while (legs := await self._take(api)) is not None:
            batch = self._memory.begin_batch(api, self._now.isoformat(), [each.key for each in legs])
            early = await self._send(batch)
            for scenario in [self._scenario(each.key) for each in legs if self._is_within_leg(each.key)]:
                await self._go_on(scenario)
            waiting = [each for each in legs if each.key in early]
            if waiting:
                # The other service has not heard yet of what they refer to.
                await asyncio.sleep(_AGAIN_SECONDS)
            async with self._changed:
                for each in legs:
                    if each.key in early and each.is_patient():
                        self._queue(_Leg(each.turn + _LATER, each.key, each.failing_since))
                    else:
                        if each.key in early:
                            self._give_up(each.key, early[each.key])
                        self._finish(each)
                self._changed.notify_all()

    async def _take(self, api: ApiName) -> list[_Leg] | None:
        """Return the legs of the next request; None when there will be no more."""
        waiting = self._waiting[api]
        async with self._changed:
            await self._changed.wait_for(lambda: waiting or not self._open)
            legs: list[_Leg] = []
            steps = 0
            while waiting:
                steps += len(self._leg(waiting[0].key, self._now))
                if legs and steps > STEPS_AT_ONCE:
                    break
                legs.append(heapq.heappop(waiting))
            return legs or None

    def _queue(self, leg: _Leg) -> None:
        heapq.heappush(self._waiting[self._leg(leg.key, self._now)[0].step.api], leg)

    def _finish(self, leg: _Leg) -> None:
        if (day := self._day_of.pop(leg.key, None)) is not None:
            self._left_on[day] -= 1
            self._note_day(day)
        if leg.key in self._memory.threads and self._left_of(self._scenario(leg.key)):
            self._queue(_Leg(leg.turn + _LATER, leg.key))
        else:
            self._open -= 1

    def _note_day(self, day: date) -> None:
        # Today is not over: scenarios of its later hours come with the next run.
        if not self._left_on[day] and day != self._now.date():
            self._memory.load(day)
            self._board.days_loaded += 1

    async def _repeat_begun(self) -> None:
        """Send again the requests whose answers an interrupted run did not get: the same, so that nothing is twice."""
        for batch in list(self._memory.batches):
            await self._send(batch)

    async def _send(self, batch: Batch) -> dict[str, Refused]:
        """Import the next legs of some scenarios. Return those that refer to what is not known there."""
        until = datetime.fromisoformat(batch.until)
        legs = {key: self._leg(key, until) for key in batch.scenarios}
        rows = [self._row(key, leg) for key, leg in legs.items()]
        self._keep()
        self._board.requests += 1
        # Another program may make other rows of the same batch: those are another request.
        digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
        key = self._business.company.reference(f"batch-{batch.number}:{digest}")
        try:
            results = await self._apis[batch.api].import_rows(rows, key=key, ids_of=_IDS[batch.api])
        except Refused as refusal:
            raise StackProblem(f"{self._apis[batch.api].url} takes no imports: {refusal}") from None
        early: dict[str, Refused] = {}
        for (scenario, leg), result in zip(legs.items(), results, strict=True):
            if result["status"] != "failed":
                self._note(scenario, leg, result)
                continue
            why = Refused(result["problem"]["status"], result["problem"])
            if why.slug == "unknown-reference":
                early[scenario] = why
            elif why.slug in TAKEN and result["at"] == "#/record":
                # The other service's event came first: what it led to is there, and goes on by single requests.
                self._note(scenario, leg[:1], {"id": why.problem["existing_id"]})
            else:
                self._give_up(scenario, why)
        self._memory.batches.remove(batch)
        return early

    def _note(self, key: str, leg: Sequence[Action], result: Mapping[str, Any]) -> None:
        """Note what was imported of a scenario."""
        self._board.actions_done += len(leg)
        thread = self._memory.threads.setdefault(key, Thread())
        thread.actions += len(leg)
        thread.names |= names_from(leg, result)
        if thread.actions == len(self._scenario(key).actions):
            self._memory.end(key)

    def _give_up(self, key: str, refusal: Refused) -> None:
        self._board.refused += 1
        self._board.last_refusal = f"{key}: {refusal}"
        self._board.actions_done += self._left_of(self._scenario(key))
        self._memory.end(key)

    def _is_within_leg(self, key: str) -> bool:
        thread = self._memory.threads.get(key)
        scenario = self._scenario(key)
        return thread is not None and not begins_leg(scenario, thread.actions) and self._left_of(scenario) > 0

    def _scenario(self, key: str) -> Scenario:
        if key not in self._scenarios:
            self._scenarios[key] = self._business.scenario(key, self._now)
        return self._scenarios[key]

    def _leg(self, key: str, until: datetime) -> Sequence[Action]:
        return leg_of(self._scenario(key), self._memory.threads.get(key, Thread()).actions, until)

    def _row(self, key: str, leg: Sequence[Action]) -> dict[str, Any]:
        names = self._memory.threads.get(key, Thread()).names
        own = {Ref("self", name): identity for name, identity in names.items()}
        reference = self._business.company.reference
        return row_of(leg, ChainMap(own, self._ids).__getitem__, lambda each: reference(f"{key}:{each.step.name}"))
