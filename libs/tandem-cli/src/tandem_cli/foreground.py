"""A stack that runs in the foreground until Ctrl-C, SIGTERM, a closed terminal or the end of a part."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from tandem_cli.stack import LocalStack
from tandem_cli.terminal import Terminal

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(stack: LocalStack, terminal: Terminal, while_ready: Callable[[], None] | None = None) -> None:
    """Start `stack`, call `while_ready` (by default: watch it), and stop it in the end, whatever happens.

    A first signal stops in order, a second one kills what is left. Raise StackProblem when a part fails.
    """
    with _interrupted(stack, terminal):
        try:
            stack.start()
            (while_ready or stack.wait)()
        except KeyboardInterrupt:
            terminal.write("stopping; once more to kill at once")
        finally:
            terminal.close()
            stack.stop()


@contextmanager
def _interrupted(stack: LocalStack, terminal: Terminal) -> Iterator[None]:
    """Raise KeyboardInterrupt in the main thread on the first signal that ends it, and kill on later ones."""
    is_stopping = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal is_stopping
        if is_stopping:
            stack.kill_all()
            return
        is_stopping = True
        raise KeyboardInterrupt

    # A script's background job inherits SIGINT ignored, which asks for nothing; nohup asks to survive SIGHUP.
    numbers = [number for number in _ENDS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
