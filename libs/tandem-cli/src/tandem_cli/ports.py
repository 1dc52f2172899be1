"""Finds free TCP ports on the loopback address and says plainly when a wanted one is taken."""

import errno
import socket

from tandem_cli.problem import StackProblem

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that nothing listens on now. Another program may still take it before its owner binds it."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
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


def listening(port: int) -> bool:
    """True when something accepts connections on `port` of the loopback address."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=0.5):
            return True
    except OSError:
        return False
