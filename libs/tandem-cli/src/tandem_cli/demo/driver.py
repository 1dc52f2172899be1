"""Drives both APIs over HTTP: what the company needs, its history by imports, its life at a human pace."""

import asyncio
import heapq
import time
from collections import ChainMap
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from tandem_cli.api import Api, Refused
from tandem_cli.concurrency import all_of, each
from tandem_cli.demo.board import Board
from tandem_cli.demo.business import Business
from tandem_cli.demo.company import PLANNING_RULES
from tandem_cli.demo.history import STEPS_AT_ONCE, TAKEN, HistoryLoader
from tandem_cli.demo.legs import body_of
from tandem_cli.demo.memory import Memory, Thread
from tandem_cli.demo.scenario import Action, Scenario
from tandem_cli.problem import StackProblem
from tandem_cli.requests import Ref, filled

WORKERS = 10
"""Requests at once while what the company needs is made."""

CONCURRENT_LIVE_SCENARIOS = 14
"""Scenarios that live traffic plays at the same time, in turns."""

ACTIONS_PER_SECOND = 1.5
"""Of live traffic, at speed 1."""

PLANNED_SHARE = 0.05
"""Of live actions, that do what a rule has planned."""

_PLANNED_WORK = {"sales": "activities", "service": "check-ins"}
"""What rules plan in each service."""

_DIRECTORY_SECONDS = 60.0
"""How long a new customer of sales may take until service knows them."""

_BY_CODE = frozenset({"sales/products", "sales/exchange-rates"})
_BY_NAME = frozenset(
    {
        *("service/business-calendars", "service/sla-policies", "service/onboarding-templates"),
        *("sales/planning-rules", "service/planning-rules"),
    }
)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Driver:
    """One run of the demo on one business.

    `clock` returns the moment, in UTC, where the history ends; scenarios depend on their days. `keep` writes the memory
    down.
    """

    def __init__(
        self,
        business: Business,
        apis: Mapping[str, Api],
        memory: Memory,
        *,
        speed: float = 1.0,
        history: bool = True,
        clock: Callable[[], datetime] = _utc_now,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        self.business = business
        self.apis = apis
        self.memory = memory
        self.board = Board()
        self.loaded = asyncio.Event()
        """Set once the history is there."""
        self._speed = speed
        self._history = history
        self._clock = clock
        self._keep = keep
        self._ids: dict[Ref, str] = {}
        self._random = Random()

    async def run(self) -> None:
        """Go on until cancelled. Raises StackProblem when the APIs refuse us or stay away."""
        await self.prepare()
        await all_of(self._history_and_threads(), self.live())

    async def prepare(self) -> None:
        """Make what must be there before anything can happen, or find it."""
        company = self.business.company
        today = self._clock().date()
        months = _months(date.fromisoformat(self.memory.first_day), today)
        for things in (company.things(), (rate for month in months for rate in company.exchange_rates(month))):
            await self._make_all(list(things))
        await self._import_all([*company.registrations(), *company.quotas(months[-1])])
        self.board.doing = "at work"

    async def history(self) -> None:
        """Load the days that were not loaded yet, the latest first."""
        now = self._clock()
        today, first_day = now.date(), date.fromisoformat(self.memory.first_day)
        days = [today - timedelta(days=back) for back in range((today - first_day).days + 1)]
        loaded = set(self.memory.loaded)
        missing = [day for day in days if day.isoformat() not in loaded]
        self.board.days_total, self.board.days_loaded = len(days) - 1, len(days) - len(missing)
        months = {day.isoformat()[:7] for day in missing}
        earlier = [month for month in reversed(_months(first_day, today)[:-1]) if month.isoformat()[:7] in months]
        await self._import_all([quota for month in earlier for quota in self.business.company.quotas(month)])
        loader = HistoryLoader(
            self.business,
            self.apis,
            self.memory,
            self.board,
            self._ids,
            now=now,
            keep=self._keep,
            go_on=self._send_due,
        )
        await loader.run(missing)

    async def threads(self) -> None:
        """Continue the history's open scenarios as their times come."""
        calendar: list[tuple[datetime, str]] = []
        scenarios: dict[str, Scenario] = {}
        for key, thread in self.memory.threads.items():
            if not key.startswith("live:"):
                scenario = scenarios[key] = self.business.scenario(key, self._clock())
                calendar.append((scenario.actions[thread.actions].at, key))
        heapq.heapify(calendar)
        while calendar:
            at, key = calendar[0]
            await asyncio.sleep(max(0.0, (at - self._clock()).total_seconds()))
            heapq.heappop(calendar)
            await self._send_due(scenarios[key])
            if key in self.memory.threads:
                heapq.heappush(calendar, (scenarios[key].actions[self.memory.threads[key].actions].at, key))

    async def live(self) -> None:
        """A little of everything, now, for ever: one action after the other, at a pace that can be watched."""
        await self._make_all(list(self.business.company.plans()))
        active = [self.business.scenario(key, self._clock()) for key in self.memory.threads if key.startswith("live:")]
        while True:
            await asyncio.sleep(self._random.uniform(0.4, 1.6) / (ACTIONS_PER_SECOND * self._speed))
            if len(active) < CONCURRENT_LIVE_SCENARIOS:
                scenario = self.business.live(self.memory.next_live, self._clock())
                self.memory.next_live += 1
                self.memory.threads[scenario.key] = Thread()
                active.append(scenario)
            if self._random.random() < PLANNED_SHARE:
                await self.do_planned(self._random.choice(list(PLANNING_RULES)))
            scenario = self._random.choice(active)
            await self.send_next(scenario, live=True)
            active = [one for one in active if one.key in self.memory.threads]

    async def do_planned(self, rule: Ref) -> None:
        """Do what is due first of that which a rule has planned, if there is any."""
        if rule not in self._ids:
            return
        name = rule.noun.partition("/")[0]
        api, collection = self.apis[name], _PLANNED_WORK[name]
        due = "due_on" if name == "service" else "due_at"
        asked = {"planning_rule_id": self._ids[rule], "status": "planned", "sort": due, "limit": "1"}
        for work in (await api.get(collection, asked))["items"]:
            self.board.requests += 1
            try:
                await api.post(f"{collection}/{work['id']}/done", {}, key=f"{collection}:{work['id']}:done")
            except Refused as refusal:
                # Another request was faster.
                self.board.refused += 1
                self.board.last_refusal = f"{collection} done: {refusal}"
            else:
                self.board.news.append(f"{datetime.now().astimezone():%H:%M:%S}  {work['purpose']} done")

    async def send_next(self, scenario: Scenario, *, live: bool) -> None:
        """Send the scenario's next action: at its own time, or when `live` now."""
        thread = self.memory.threads[scenario.key]
        action = scenario.actions[thread.actions]
        if live and thread.at is None:
            thread.at = self._clock().isoformat()
        at = action.at if thread.at is None else datetime.fromisoformat(thread.at)
        reference = self.business.company.reference(f"{scenario.key}:{action.step.name}")
        body = body_of(action, self._identity(thread), at, reference, is_past=not live)
        ok = await self._send(scenario, action, thread, body)
        thread.actions, thread.at = thread.actions + 1, None
        if not ok or thread.actions == len(scenario.actions):
            self.memory.end(scenario.key)
        if ok and live:
            self.board.news.append(f"{datetime.now().astimezone():%H:%M:%S}  {_description(action)}")

    async def _history_and_threads(self) -> None:
        if self._history:
            await self.history()
        self.board.loading = False
        self.loaded.set()
        await self.threads()

    async def _send_due(self, scenario: Scenario) -> None:
        """Send every action of a scenario whose time has come."""
        while (thread := self.memory.threads.get(scenario.key)) is not None:
            if scenario.actions[thread.actions].at > self._clock():
                return
            await self.send_next(scenario, live=False)

    async def _send(self, scenario: Scenario, action: Action, thread: Thread, body: Mapping[str, Any]) -> bool:
        """Send one request; return False when the scenario cannot continue."""
        step = action.step
        path = "/".join(filled(step.path, self._identity(thread)))
        key = f"{self.business.company.reference(scenario.key)}:{step.name}"
        api = self.apis[step.api]
        end = time.monotonic() + _DIRECTORY_SECONDS
        while True:
            self.board.requests += 1
            try:
                send = api.patch if step.method == "PATCH" else api.post
                view = (await send(path, body, key=key)).body
                break
            except Refused as refusal:
                if refusal.slug == "unknown-reference" and step.api == "service" and time.monotonic() < end:
                    await asyncio.sleep(0.2)  # a customer whom sales has just met is on the way
                    continue
                if refusal.slug in TAKEN and step.gives:
                    view = {"id": refusal.problem["existing_id"]}
                    break
                if refusal.slug == "lead-already-converted":
                    view = await api.get(path.removesuffix("/convert"))
                    break
                return self._goes_on_after(refusal, scenario, action)
        # An address in an answer is a path as steps have it.
        thread.names |= {name: str(view.get(member)).removeprefix("/v1/") for name, member in step.gives.items()}
        return True

    def _goes_on_after(self, refusal: Refused, scenario: Scenario, action: Action) -> bool:
        """A conflict is what an earlier run or another client has done already; any other refusal ends the scenario.

        So does a conflict that leaves unknown what later actions are about.
        """
        if refusal.status in (401, 403):
            raise StackProblem(f"{self.apis[action.step.api].url} refuses the demo's token: {refusal}") from None
        self.board.refused += 1
        self.board.last_refusal = f"{scenario.key} {action.step.name}: {refusal}"
        return refusal.status == 409 and not action.step.gives

    async def _make_all(self, things: list[tuple[Ref, dict[str, Any]]]) -> None:
        """Make things, those together that do not refer to one another."""
        while things:
            made = {ref for ref, _ in things}
            ready = [
                (ref, body)
                for ref, body in things
                if made.isdisjoint(value for value in body.values() if isinstance(value, Ref))
            ]
            await each(ready, self._make, at_once=WORKERS)
            things = [thing for thing in things if thing not in ready]

    async def _import_all(self, things: list[tuple[Ref, dict[str, Any]]]) -> None:
        """Make things of sales that have an external_ref, many in a request, or find them."""
        for first in range(0, len(things), STEPS_AT_ONCE):
            some = things[first : first + STEPS_AT_ONCE]
            rows = []
            for ref, body in some:
                reference = self.business.company.reference(ref.key)
                record = dict(filled(body, self._ids.__getitem__)) | {"external_ref": reference}
                rows.append({"resource": ref.noun.partition("/")[2], "record": record})
            self.board.requests += 1
            for (ref, _), result in zip(some, await self._imported(rows), strict=True):
                problem = result.get("problem") or {}
                identity = result.get("id") or problem.get("existing_id")
                if identity is None:
                    raise StackProblem(f"The demo's {ref.noun} {ref.key} cannot be made: {problem.get('title')}")
                self._ids[ref] = str(identity)

    async def _imported(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            return await self.apis["sales"].import_rows(rows)
        except Refused as refusal:
            raise StackProblem(f"{self.apis['sales'].url} takes no imports: {refusal}") from None

    async def _make(self, thing: tuple[Ref, dict[str, Any]]) -> None:
        ref, body = thing
        name, collection = ref.noun.split("/")
        reference = self.business.company.reference(ref.key)
        sent = dict(filled(body, self._ids.__getitem__))
        if ref.noun in _BY_NAME:
            found = [one for one in (await self.apis[name].get(collection))["items"] if one["name"] == sent["name"]]
            if found:
                self._ids[ref] = str(found[0]["id"])
                return
        elif ref.noun not in _BY_CODE:
            sent["external_ref"] = reference
        self.board.requests += 1
        try:
            self._ids[ref] = (await self.apis[name].post(collection, sent, key=f"{collection}:{reference}")).body["id"]
        except Refused as refusal:
            if refusal.slug == "external-ref-taken":
                self._ids[ref] = str(refusal.problem["existing_id"])
            elif refusal.slug == "idempotency-key-reused":
                page = await self.apis[name].get(collection, {"external_ref": reference})
                self._ids[ref] = str(page["items"][0]["id"])
            elif refusal.status != 409:
                raise StackProblem(f"The demo's {collection} {ref.key} cannot be made: {refusal}") from None

    def _identity(self, thread: Thread) -> Callable[[Ref], str]:
        own = {Ref("self", name): identity for name, identity in thread.names.items()}
        return ChainMap(own, self._ids).__getitem__


def _description(action: Action) -> str:
    """An action in the words of its address: `deal close won`, `ticket correct`."""
    words = [part.removesuffix("s") for part in action.step.path if isinstance(part, str)]
    # A link has no words of its own.
    words = words or [action.step.name.partition("-")[2], ""]
    by_day = ("outcome", "stage", "channel", "direction", "score")
    detail = next((str(action.step.body[name]) for name in by_day if name in action.step.body), "")
    verb = "correct" if action.step.method == "PATCH" else "new" if len(words) == 1 else ""
    return " ".join(word for word in (*words, verb, detail) if word)


def _months(first: date, last: date) -> list[date]:
    """The first day of every month that has a day between the two."""
    months = []
    month = first.replace(day=1)
    while month <= last:
        months.append(month)
        month = (month + timedelta(days=32)).replace(day=1)
    return months
