"""Starts child processes that do not outlive this one and do not hear its terminal's Ctrl-C."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

# Linux sends the parent-death signal when the *thread* that started the child ends, so every child is started by
# this one thread, which lives as long as the interpreter.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawn")
_CHILD = Path(__file__).with_name("child.py")


@dataclass(frozen=True)
class User:
    """The operating-system user that a child runs as."""

    uid: int
    gid: int


def spawn(
    program: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: IO[bytes] | int,
    user: User | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `program` in a session of its own, with output and errors going to `output`.

    `pass_fds` are descriptors that it inherits. `death_signal` is what it gets when this process dies, however it
    dies. The pid is the program's own.
    """
    owner = "-" if user is None else f"{user.uid}:{user.gid}"
    wrapper = [sys.executable, "-I", "-S", str(_CHILD), str(os.getpid()), str(int(death_signal)), owner]
    start = _spawner.submit(
        subprocess.Popen,
        [*wrapper, *program],
        env=None if env is None else dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
    )
    return start.result()


def clock_variables() -> dict[str, str]:
    """Return the environment variables by which a preloaded library shifts the clock of a process."""
    return {name: value for name, value in os.environ.items() if name == "LD_PRELOAD" or name.startswith("FAKETIME")}


class Child(Protocol):
    """A process that was started from here: what of subprocess.Popen is used of it."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: int, /) -> None: ...
    def kill(self) -> None: ...


def finish(process: Child, seconds: float, *, asked: signal.Signals = signal.SIGTERM) -> bool:
    """Ask `process` to stop and wait; kill it after `seconds`. True when it stopped by itself."""
    if process.poll() is not None:
        return True
    process.send_signal(signal.SIGCONT)  # a suspended process hears nothing else
    process.send_signal(asked)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True
