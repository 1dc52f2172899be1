"""Free TCP ports on the loopback address, and a clear error when a wanted one is taken."""

import errno
import random
import socket
from dataclasses import dataclass

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
