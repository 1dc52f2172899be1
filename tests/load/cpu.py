"""CPU time of processes: what an event, a write or an answer costs each of them, whatever else the host does."""

from collections.abc import Mapping
from contextlib import suppress

import psutil

from tandem_cli.stack import LocalStack
from tests.load.report import report


class CpuMeter:
    """Measures from its creation on what named processes use, their children included."""

    def __init__(self, processes: Mapping[str, psutil.Process]) -> None:
        self._processes = processes
        self._before = self._used()

    def seconds(self) -> dict[str, float]:
        """Return the CPU seconds that each of the processes has used since then."""
        return {name: used - self._before[name] for name, used in self._used().items()}

    def _used(self) -> dict[str, float]:
        return {name: _cpu_seconds(process) for name, process in self._processes.items()}


def processes_of(stack: LocalStack) -> dict[str, psutil.Process]:
    """Return every process of the stack by its name, without the one that the others are forked from."""
    running = stack.data.running()
    assert running is not None
    return {part.name: psutil.Process(part.pid) for part in running.parts if part.name != "preloader"}


def report_cpu(name: str, seconds: Mapping[str, float], count: int) -> None:
    """Print and keep the CPU of one of `count` events, writes or answers: of all processes, and of each."""
    report(f"{name}_stack_cpu_ms", sum(seconds.values()) / count * 1000, "ms")
    for process, used in sorted(seconds.items(), key=lambda item: -item[1]):
        report(f"{name}_cpu_ms_of_{process.replace('-', '_')}", used / count * 1000, "ms")


def _cpu_seconds(process: psutil.Process) -> float:
    """Return what a process and its children have used, those that ended included."""
    own = process.cpu_times()
    used = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        # One that ends meanwhile is counted by its parent the next time.
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            used += times.user + times.system
    return used
