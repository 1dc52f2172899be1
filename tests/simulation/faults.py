"""The faults of a run: each says where or when it strikes, so that a run without it is the same up to there."""

import math
import random
from dataclasses import dataclass
from typing import Final

RELAYS: Final = ("sales-relay-1", "sales-relay-2", "service-relay-1", "service-relay-2")
CONSUMERS: Final = ("accounts-1", "accounts-2", "names-1", "ledger-1", "ledger-2")
OF_RISKS: Final = ("metrics-relay-1", "metrics-jobs-1")
"""What finds customers at risk and publishes it, in histories with such customers only; sales-consumer follows it."""
BETWEEN: Final = ("sales-consumer-1", "sales-consumer-2", "sales-timeline-1", "service-timeline-1")
"""Consumers by which sales follows service, and both keep timelines; only in histories with suggestions."""
CLIENTS: Final = ("sales-1", "sales-2", "service")
SEAMS: Final = {
    **dict.fromkeys((*RELAYS, OF_RISKS[0]), ("wait", "send", "acknowledge")),
    OF_RISKS[1]: ("wait", "evaluate", "evaluated"),
    **dict.fromkeys((*CONSUMERS, *BETWEEN), ("read", "process", "commit", "hint", "join")),
    **dict.fromkeys(CLIENTS, ("begin", "commit", "answer")),
}
REPUBLISH: Final = "republish"
"""The command that follows a restore."""
RESTORES: Final = 0.1
"""The share of runs in which a database is restored."""
IN_TRANSACTION: Final = frozenset({"commit", "evaluate", "evaluated"})


@dataclass(frozen=True)
class Crash:
    """A process is killed when it reaches a seam for the nth time."""

    process: str
    seam: str
    visit: int


@dataclass(frozen=True)
class Pause:
    """A process is stopped (SIGSTOP) at a seam; its database connections may be cut meanwhile."""

    process: str
    seam: str
    visit: int
    seconds: float
    cuts: bool = False


@dataclass(frozen=True)
class SendFails:
    """A relay's request times out; it may have reached the log."""

    process: str
    visit: int
    reaches: bool


@dataclass(frozen=True)
class Repeat:
    """Once the history is through, a record of an event topic comes a second time."""

    place: int


@dataclass(frozen=True)
class Replay:
    """Once the history is through, all records of the event topics come a second time, shuffled."""

    seed: int


@dataclass(frozen=True)
class Cut:
    """All connections to a database are cut."""

    step: int
    database: str


@dataclass(frozen=True)
class Overload:
    """Batches of more records than this exceed their time-out."""

    process: str
    records: int


@dataclass(frozen=True)
class LateStart:
    """The consumers of a group start only when sales has long been quiet, and read all at once."""

    group: str


@dataclass(frozen=True)
class ClockJump:
    """A database's clock jumps, forwards or back."""

    step: int
    database: str
    seconds: float


@dataclass(frozen=True)
class Restore:
    """The database of sales is put back to what it held at an earlier step, and clients go on otherwise from there."""

    taken: int
    restored: int


Fault = Restore | ClockJump | Crash | Pause | SendFails | Repeat | Replay | Cut | Overload | LateStart


def draw_faults(seed: int) -> list[Fault]:
    """Return the faults of a run."""
    chance = random.Random(f"faults {seed}")
    kinds = [
        *(_crash, _crash, _pause, _pause, _zombie, _zombie, _frozen, _send, _send, _repeat, _replay, _cut),
        *(_overload, _late, _late, _jump),
    ]
    faults = _with_a_survivor([chance.choice(kinds)(chance) for _ in range(chance.randint(1, 5))])
    if chance.random() < RESTORES:
        taken = chance.randint(20, 120)
        faults.append(Restore(taken, taken + chance.randint(10, 120)))
        if chance.random() < 0.5:
            faults.append(Crash(REPUBLISH, chance.choice(["wait", "read"]), chance.randint(1, 3)))
    return faults


def _with_a_survivor(faults: list[Fault]) -> list[Fault]:
    """Leave out faults that stop for ever the last process of its kind: nothing would go on."""
    kept: list[Fault] = []
    frozen: set[str] = set()
    for fault in faults:
        if isinstance(fault, Pause) and fault.seconds == math.inf:
            kind = fault.process.rpartition("-")[0]
            if kind in frozen:
                continue
            frozen.add(kind)
        kept.append(fault)
    return kept


def _crash(chance: random.Random) -> Fault:
    process = chance.choice([*SEAMS])
    return Crash(process, chance.choice(SEAMS[process]), chance.randint(1, 12))


def _pause(chance: random.Random) -> Fault:
    process = chance.choice([*SEAMS])
    seam = chance.choice([each for each in SEAMS[process] if process in CLIENTS or each not in IN_TRANSACTION])
    return Pause(
        process,
        seam,
        chance.randint(1, 12),
        chance.choice([0.5, 5.0, 20.0]),
        chance.random() < 0.2,
    )


def _zombie(chance: random.Random) -> Fault:
    """A relay that is stopped between reading and sending, until after another has taken over."""
    return Pause(chance.choice(RELAYS[:2]), "send", chance.randint(1, 12), 20.0, cuts=True)


def _frozen(chance: random.Random) -> Fault:
    process = chance.choice([*RELAYS, "accounts-1", "ledger-1", "sales-consumer-1"])
    return Pause(process, chance.choice(SEAMS[process][:2]), chance.randint(1, 6), math.inf)


def _send(chance: random.Random) -> Fault:
    return SendFails(chance.choice(RELAYS), chance.randint(1, 8), chance.random() < 0.5)


def _repeat(chance: random.Random) -> Fault:
    return Repeat(chance.randrange(100))


def _replay(chance: random.Random) -> Fault:
    return Replay(chance.randrange(100))


def _cut(chance: random.Random) -> Fault:
    return Cut(chance.randint(10, 200), chance.choice(["sales", "service", "metrics"]))


def _overload(chance: random.Random) -> Fault:
    return Overload(chance.choice([*CONSUMERS, *BETWEEN]), chance.randint(1, 3))


def _jump(chance: random.Random) -> Fault:
    return ClockJump(chance.randint(10, 200), chance.choice(["sales", "service"]), chance.choice([-30.0, 30.0]))


def _late(chance: random.Random) -> Fault:
    return LateStart(chance.choice(["accounts", "names", "ledger", "sales-timeline", "service-timeline"]))
