"""The data directory of a local stack: who holds it, what runs on it, and its secrets."""

import fcntl
import hmac
import json
import secrets
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

import psutil

from tandem_cli import atomic_files
from tandem_cli.problem import StackProblem

DEFAULT = Path(".tandem")
LOW_BYTES = 500 * 2**20


@dataclass(frozen=True)
class Part:
    """A running process: its pid, the port it serves, whether it answers /healthz and /readyz there, and the port of
    its /metrics; 0 where it has none."""

    name: str
    pid: int
    port: int
    serves_health: bool = False
    metrics_port: int = 0


@dataclass(frozen=True)
class Running:
    """What the supervisor wrote down about itself; `started` is its process's start time in seconds since 1970, `kafka`
    the bootstrap servers."""

    pid: int
    started: float
    urls: dict[str, str] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    kafka: str = ""

    def alive(self) -> bool:
        """True when that very process is there: a pid alone may have been given to another since."""
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) < 1.0
        except psutil.NoSuchProcess:
            return False


class DataDir:
    """One directory, one stack: `claim` takes a lock that the kernel frees when its holder ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock_file = self.path / "lock"
        self._state_file = self.path / "stack.json"
        self._lock: IO[str] | None = None

    def claim(self) -> None:
        """Make the directory if need be and lock it. Raises StackProblem when it is in use, unwritable or full."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = self._lock_file.open("a")
        except PermissionError:
            raise StackProblem(
                f"The data directory {self.path} cannot be written by this user; choose another with --data-dir."
            ) from None
        except (FileExistsError, NotADirectoryError):
            raise StackProblem(f"{self.path} is not a directory; choose another with --data-dir.") from None
        except OSError as error:
            raise StackProblem(
                f"The data directory {self.path} cannot be made: {error.strerror}; choose another with --data-dir."
            ) from None
        if not _locks(lock):
            lock.close()
            running = self.running()
            holder = f" (pid {running.pid})" if running else ""
            raise StackProblem(
                f"A stack already runs on {self.path}{holder}; stop it with `tandem down`, "
                "or choose another directory with --data-dir and other ports with --port-base."
            ) from None
        self._lock = lock
        self._state_file.unlink(missing_ok=True)
        free = shutil.disk_usage(self.path).free
        if free < LOW_BYTES:
            self.release()
            raise StackProblem(
                f"Only {free // 2**20} MiB are free on the disk of {self.path} and {LOW_BYTES // 2**20} MiB are "
                "needed; free some, or choose another disk with --data-dir."
            )

    def release(self) -> None:
        """Give the directory back. Does nothing when it is not claimed."""
        if self._lock is not None:
            self._state_file.unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def locked(self) -> bool:
        """True while a stack holds the directory."""
        if self._lock is not None:
            return True
        try:
            with self._lock_file.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        except PermissionError:
            raise StackProblem(f"The data directory {self.path} belongs to another user.") from None
        return False

    def write(self, running: Running) -> None:
        """Write down what runs, for `tandem status` and `tandem down`."""
        atomic_files.replace(self._state_file, json.dumps(asdict(running), indent=2).encode(), mode=0o644)

    def running(self) -> Running | None:
        """What runs on this directory, or None."""
        if not self.locked():
            return None
        try:
            state = json.loads(self._state_file.read_text())
        except FileNotFoundError:
            return None
        running = Running(**{**state, "parts": [Part(**part) for part in state["parts"]]})
        return running if running.alive() else None

    def secret(self, name: str) -> str:
        """A random secret, made at first use and kept in a file that only its owner can read."""
        file = self.path / name
        if not file.exists():
            atomic_files.create(file, secrets.token_urlsafe(32).encode())
        return file.read_text()

    def nearly_full(self) -> bool:
        """True when the disk has so little left that programs fail for it."""
        return shutil.disk_usage(self.path).free < 20 * 2**20


def derived_secret(secret: str, purpose: str) -> str:
    """Return a secret for one purpose, the same each time, from which neither the first nor another can be computed."""
    return hmac.digest(secret.encode(), purpose.encode(), "sha256").hex()


def _locks(file: IO[str]) -> bool:
    """Take the lock; a second try, because `tandem status` holds it for the moment of its look."""
    for wait in (0.2, 0.0):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(wait)
        else:
            return True
    return False
