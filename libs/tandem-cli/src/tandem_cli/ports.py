"""Free TCP ports on the loopback address, and a clear error when a wanted one is taken."""

import errno
import json
import random
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tandem_cli import atomic_files
from tandem_cli.problem import StackProblem

LOOPBACK = "127.0.0.1"
# Below what kernels hand to outgoing connections: a port from there could be taken between our look and its use.
_RANGE = range(20_000, 32_000)
_given: set[int] = set()


@dataclass(frozen=True)
class Ports:
    """The ports to serve on; None takes a free one."""

    sales: int | None = None
    service: int | None = None
    metrics: int | None = None
    postgres: int | None = None
    kafka: int | None = None
    issuer: int | None = None


def free_port() -> int:
    """A port that nothing listens on now and that this process has not given out before."""
    while True:
        port = random.choice(_RANGE)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        _given.add(port)
        return port


class RememberedPorts:
    """Free ports by what they are for: the same at every start, unless another program listens there by now.

    They are read from `file` at first use, and written there by `keep`.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ports: dict[str, int] | None = None

    def choose(self, purpose: str) -> int:
        """Return the port of the former start when it is free, else a new one."""
        if self._ports is None:
            self._ports = {}
            # Of a first start, or cut short by a full disk.
            with suppress(FileNotFoundError, ValueError):
                self._ports = json.loads(self._file.read_text())
        port = self._ports.get(purpose)
        if port is None or not _is_free(port):
            port = free_port()
        _given.add(port)
        self._ports[purpose] = port
        return port

    def keep(self) -> None:
        """Write them down for the next start."""
        atomic_files.replace(self._file, json.dumps(self._ports or {}, indent=2).encode(), mode=0o644)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Connections of the former start may still be closing.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def require_free(port: int, purpose: str, option: str) -> None:
    """Raise StackProblem when `port` cannot be bound; `option` is how a person chooses another."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise StackProblem(
                    f"Port {port} for {purpose} is in use by another program; choose another with {option}."
                ) from None
            if error.errno == errno.EACCES:
                raise StackProblem(
                    f"Port {port} for {purpose} may not be used by this user; choose one above 1023 with {option}."
                ) from None
            raise
