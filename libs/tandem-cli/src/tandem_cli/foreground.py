"""A stack that runs in the foreground until Ctrl-C, SIGTERM, a closed terminal or the end of a part."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tandem_cli.stack import LocalStack
from tandem_cli.terminal import Terminal

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(
    stack: LocalStack, terminal: Terminal, while_ready: Callable[[], Coroutine[Any, Any, None] | None] | None = None
) -> None:
    """Start `stack`, call `while_ready` (by default: watch it), and stop it in the end, whatever happens.

    A coroutine that `while_ready` returns is awaited. A first signal stops in order, a second one kills what is left.
    Raise StackProblem when a part fails.
    """
    signals = _Signals(stack)
    with signals.handled():
        try:
            stack.start()
            coroutine = (while_ready or stack.wait)()
            if coroutine is not None:
                signals.run(coroutine)
        except KeyboardInterrupt:
            terminal.write("stopping; once more to kill at once")
        finally:
            terminal.close()
            stack.stop()


class _Signals:
    """Raises KeyboardInterrupt in the main thread on the first signal that ends the stack, and kills on later ones."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._is_stopping = False
        self._cancel: Callable[[], object] | None = None

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals meanwhile."""
        # A script's background job inherits SIGINT ignored, which asks for nothing; nohup asks to survive SIGHUP.
        numbers = [number for number in _ENDS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it in an event loop, and cancel it on the first signal before KeyboardInterrupt is raised.

        Raised within the loop, that would break off whatever task happens to run, with a traceback of each.
        """
        try:
            asyncio.run(self._cancellable(coroutine))
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
            raise KeyboardInterrupt from None

    async def _cancellable(self, coroutine: Coroutine[Any, Any, None]) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 -- a coroutine that runs has one
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        try:
            await coroutine
        finally:
            self._cancel = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._is_stopping:
            self._stack.kill_all()
            return
        self._is_stopping = True
        if self._cancel is None:
            raise KeyboardInterrupt
        self._cancel()
