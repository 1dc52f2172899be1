"""A supervised process: its output line by line, whether it is ready, and how it ended."""

import http.client
import logging
import logging.handlers
import os
import re
import signal
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from tandem_cli.ports import LOOPBACK
from tandem_cli.preloader import Preloader, script_of
from tandem_cli.spawn import Child, finish, spawn
from tandem_cli.system import Program

LogLine = Callable[[str, str], None]
STOP_SECONDS = 20.0
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


class SupervisedProcess:
    """Runs `program` with the environment `env`, serving health on `port`; `on_line` gets each line it prints.

    With a `preloader`, a Python script is forked from it instead of started afresh. Its output also goes to
    `log_file`, of which the last 10 MB and the 10 MB before are kept.
    """

    def __init__(
        self,
        program: Program,
        env: Mapping[str, str],
        port: int,
        log_file: Path,
        on_line: LogLine,
        preloader: Preloader | None = None,
    ) -> None:
        self.program = program
        self.env = dict(env)
        self.port = port
        self.expected_to_run = False
        self.last_lines: deque[str] = deque(maxlen=15)
        self._log_file = log_file
        self._on_line = on_line
        self._preloader = preloader
        self._process: Child | None = None
        self._reader: threading.Thread | None = None

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._started().poll()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        self.expected_to_run = True
        reading, writing = os.pipe()
        try:
            script = script_of(self.program.command) if self._preloader else None
            if self._preloader and script:
                self._process = self._preloader.fork(script, self.env, writing)
            else:
                self._process = spawn(self.program.command, env=self.env, output=writing)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self._reader = threading.Thread(target=self._read, args=(reading,), name=self.name, daemon=True)
        self._reader.start()

    def wait(self) -> int:
        """Wait for its end and for all its output, and return the exit code."""
        code = self._started().wait()
        self._await_reader()
        return code

    def stop(self, seconds: float = STOP_SECONDS) -> bool:
        """SIGTERM, then SIGKILL after `seconds`. True when it stopped by itself."""
        self.expected_to_run = False
        if self._process is None:
            return True
        in_time = finish(self._process, seconds)
        self._await_reader()
        return in_time

    def send(self, number: signal.Signals) -> None:
        """Send a signal; after SIGKILL return only when it is gone."""
        if number == signal.SIGKILL:
            self.expected_to_run = False
        self._started().send_signal(number)
        if number == signal.SIGKILL:
            self.wait()

    def ready(self) -> bool:
        """True when its /readyz answers 200."""
        return answers_ready(self.port)

    def died(self) -> bool:
        """True when it ended unexpectedly."""
        return self.expected_to_run and self._process is not None and self._process.poll() is not None

    def _read(self, pipe: int) -> None:
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.RotatingFileHandler(self._log_file, maxBytes=10_000_000, backupCount=1, delay=True)
        with open(pipe, "rb") as output:
            for raw in output:
                # Escape codes and other control characters must not reach the person's terminal.
                line = _CONTROL.sub("", raw.decode(errors="replace").rstrip("\r\n"))
                self.last_lines.append(line)
                file.emit(logging.makeLogRecord({"msg": line}))
                self._on_line(self.name, line)
        file.close()

    def _await_reader(self) -> None:
        if self._reader is not None:
            self._reader.join(timeout=2.0)  # a grandchild may hold the pipe open; its words are not waited for

    def _started(self) -> Child:
        if self._process is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._process


def answers_ready(port: int, timeout: float = 2.0) -> bool:
    """True when the process that serves health on `port` is ready. `timeout` is in seconds."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def ending(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
