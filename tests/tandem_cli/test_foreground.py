"""A stack in the foreground ends in order on a first signal, and at once on a second one."""

import asyncio
import gc
import logging
import os
import signal
from functools import partial
from typing import Any, cast

import pytest

from tandem_cli.concurrency import all_of
from tandem_cli.foreground import run
from tandem_cli.stack import LocalStack
from tandem_cli.terminal import Terminal


class Recorded:
    """Stands for the stack and for the terminal, and notes what is asked of them."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def wait(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def stop(self) -> None:
        self.calls.append("stop")

    def kill_all(self) -> None:
        self.calls.append("kill")

    def write(self, text: str) -> None:
        self.calls.append(text)

    def close(self) -> None:
        self.calls.append("close")


STOPPING = "stopping; once more to kill at once"


def run_in_foreground(recorded: Recorded, while_ready: Any = None) -> list[str]:
    run(cast("LocalStack", recorded), cast("Terminal", recorded), while_ready)
    return recorded.calls


def test_ctrl_c_ends_what_is_watched_and_stops_the_stack() -> None:
    assert run_in_foreground(Recorded()) == ["start", STOPPING, "close", "stop"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_every_task_of_a_loop_without_a_traceback(
    number: signal.Signals, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    # A suite that was itself started by nohup ignores SIGHUP.
    request.addfinalizer(partial(signal.signal, number, signal.signal(number, signal.SIG_DFL)))
    recorded = Recorded()

    async def interrupted() -> None:
        os.kill(os.getpid(), number)
        await asyncio.Event().wait()

    async def busy() -> None:
        try:
            for _ in range(1_000_000):
                await asyncio.sleep(0)
        finally:
            recorded.calls.append("busy task ended")

    with caplog.at_level(logging.ERROR, "asyncio"):
        calls = run_in_foreground(recorded, lambda: all_of(busy(), interrupted()))
        gc.collect()
    assert calls == ["start", "busy task ended", STOPPING, "close", "stop"]
    assert caplog.records == []


def test_a_second_signal_kills_what_is_left() -> None:
    recorded = Recorded()

    async def stubborn() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    assert run_in_foreground(recorded, stubborn) == ["start", "kill", STOPPING, "close", "stop"]


def test_a_failure_of_what_runs_is_raised_once_the_stack_has_stopped() -> None:
    recorded = Recorded()

    async def failing() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_in_foreground(recorded, failing)
    assert recorded.calls == ["start", "close", "stop"]
