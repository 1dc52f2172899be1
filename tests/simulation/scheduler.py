"""Runs processes one at a time, each from one seam to the next, in an order and a time that a seed decides."""

import asyncio
import contextlib
import math
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextvars import ContextVar
from typing import Any, Final
from uuid import UUID, uuid5

NAMESPACE: Final = UUID("5f0cfb1e-9c1c-4b52-8c1e-7a2f5e0c9a11")
LONGEST_STEP_SECONDS: Final = 20.0
"""Of real time: a process that reaches no seam for so long waits for another one, which is a mistake of the seams."""
MEAN_STEP_SECONDS: Final = 0.01
"""Of simulated time."""

_current: ContextVar["Process"] = ContextVar("process")
_ids: ContextVar[tuple[str, Iterator[int]]] = ContextVar("ids")

Run = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


class Process:
    """A process of the system: one task, which runs only between two seams."""

    def __init__(self, name: str, run: Run, ids: str = "") -> None:
        self.name = name
        self.run = run
        self.ids = ids
        self.incarnation = 0
        self.visits: Counter[str] = Counter()
        """How often each seam was reached, over all incarnations."""
        self.paused_since = math.inf
        self.paused_until = -math.inf
        self.has_crashed = False
        self.is_doomed = False
        self.is_cut = False
        self.seam = ""
        self.due = math.inf
        self.waiting_since = 0.0
        self.ready: Callable[[], bool] | None = None
        self.waiting: asyncio.Future[None] | None = None
        self.at_seam = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin a new incarnation; it runs to its first seam at the next step."""
        self.incarnation += 1
        self.has_crashed = self.is_doomed = False
        self.at_seam = asyncio.Event()
        token = _current.set(self)
        ids = _ids.set((f"{self.ids}{self.name}#{self.incarnation}", iter(range(1_000_000))))
        self.task = asyncio.create_task(self.run(asyncio.Event()), name=self.name)
        _ids.reset(ids)
        _current.reset(token)
        self.task.add_done_callback(lambda _: self.at_seam.set())

    def pause(self, now: float, until: float) -> None:
        """Stop it, as SIGSTOP does."""
        self.paused_since, self.paused_until = now, until

    @property
    def is_done(self) -> bool:
        """Whether it has ended by itself."""
        return self.task is not None and self.task.done()

    def is_eligible(self, now: float) -> bool:
        """Return whether it may run now."""
        if self.waiting is None or self.waiting.done() or self.paused_until > now:
            return False
        return self.due <= now or (self.ready is not None and self.ready())


def current_process() -> Process:
    """Return the process whose code runs."""
    return _current.get()


def next_id() -> UUID:
    """Return an id that follows from what is being done, and not from when."""
    scope, numbers = _ids.get()
    return uuid5(NAMESPACE, f"{scope}/{next(numbers)}")


@contextlib.contextmanager
def ids_of(scope: str) -> Iterator[None]:
    """Make the same ids each time that the same is done."""
    token = _ids.set((scope, iter(range(1_000_000))))
    yield
    _ids.reset(token)


async def _nothing(_: Process) -> None:
    pass


class Scheduler:
    """Decides which process goes next, and keeps the time."""

    def __init__(self, seed: int, *, ids: str = "") -> None:
        """`ids` tells the ids that processes make from those of another run on the same databases."""
        self.random = random.Random(seed)
        self._ids = ids
        self.now = 0.0
        self.steps = 0
        self.processes: dict[str, Process] = {}
        self.on_turn: Callable[[Process], Coroutine[Any, Any, None]] = _nothing
        """What is done before a process goes on."""
        self.on_seam: Callable[[Process, str], None] = lambda process, seam: None
        self.on_crash: Callable[[], Coroutine[Any, Any, None]] | None = None

    def add(self, name: str, run: Run) -> None:
        """Add a process."""
        self.processes[name] = Process(name, run, self._ids)

    async def start(self) -> None:
        """Run every process to its first seam."""
        for process in self.processes.values():
            await self.restart(process)

    async def seam(self, name: str, *, ready: Callable[[], bool] | None = None, seconds: float = 0.0) -> None:
        """Wait until the scheduler lets the process go on: when it is `ready`, or else after `seconds`."""
        process = current_process()
        if process.has_crashed:
            # What a dying process does on its way out does not happen.
            raise asyncio.CancelledError
        if asyncio.current_task() is not process.task:
            raise RuntimeError(f"{process.name} reaches {name} in a second task: which comes first would be chance")
        process.visits[name] += 1
        process.seam, process.ready, process.due = name, ready, self.now + seconds
        process.waiting_since = self.now
        process.waiting = asyncio.get_running_loop().create_future()
        self.on_seam(process, name)
        process.at_seam.set()
        await process.waiting

    async def crash_point(self, name: str) -> None:
        """Let a process be killed here, but not wait: it holds locks that others would wait for."""
        process = current_process()
        process.visits[name] += 1
        self.on_seam(process, name)
        if process.is_doomed:
            process.at_seam.set()
            await asyncio.get_running_loop().create_future()

    async def step(self) -> Process | None:
        """Let one process run to its next seam; None when only time has passed."""
        self.steps += 1
        eligible = [each for each in self.processes.values() if each.is_eligible(self.now)]
        if not eligible:
            self.now = min(
                max(each.due, each.paused_until) for each in self.processes.values() if each.waiting is not None
            )
            return None
        process = self.random.choice(eligible)
        process.paused_since = math.inf
        self.now += self.random.random() * 2 * MEAN_STEP_SECONDS
        await self.on_turn(process)
        assert process.waiting is not None
        process.at_seam.clear()
        process.waiting.set_result(None)
        process.waiting = None
        await self._until_seam(process)
        if process.is_doomed:
            await self.crash(process)
        return process

    async def _until_seam(self, process: Process) -> None:
        try:
            async with asyncio.timeout(LONGEST_STEP_SECONDS):
                await process.at_seam.wait()
        except TimeoutError:
            raise RuntimeError(f"{process.name} waits for something else than a seam after {process.seam}") from None

    async def crash(self, process: Process, *, restart: bool = True) -> None:
        """Kill a process, and start it again."""
        process.has_crashed = True
        if process.task is not None and not process.task.done():
            process.task.cancel()
            await asyncio.gather(process.task, return_exceptions=True)
        if self.on_crash is not None:
            await self.on_crash()
        process.waiting = None
        process.paused_since, process.paused_until = math.inf, -math.inf
        if restart:
            await self.restart(process)

    async def restart(self, process: Process) -> None:
        """Start a process that does not run."""
        await self.on_turn(process)
        process.start()
        await self._until_seam(process)

    async def stop(self) -> None:
        """Kill all processes."""
        for process in self.processes.values():
            await self.crash(process, restart=False)


class SimulatedClock:
    """The scheduler's time, as the loops of a process see it."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def monotonic(self) -> float:
        """Return the simulated time."""
        return self._scheduler.now

    async def sleep(self, seconds: float) -> None:
        """Wait at a seam for `seconds`."""
        await self._scheduler.seam("wait", seconds=seconds)

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait at a seam for `seconds`, or until the event is set."""
        await self._scheduler.seam("wait", ready=event.is_set, seconds=seconds)
