"""Starts Python programs in a tenth of the time: a process that has imported what they share forks each of them.

Ten processes that each import FastAPI, SQLAlchemy and aiokafka take two cores some ten seconds, and hold the same
code ten times in memory. The preloader imports it once; what it forks runs the same script with the same environment
as a process started afresh, in a session of its own, and shares those pages. Linux only: elsewhere a fork without exec
is not safe once system libraries have been used.

The supervisor and the preloader speak over a Unix socket of whole messages: a request is JSON with the program's
output as a passed file descriptor; an answer is JSON with the pid that began or ended.
"""

import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from tandem_cli.child import end_with
from tandem_cli.problem import StackProblem
from tandem_cli.spawn import finish, spawn

SUPPORTED = sys.platform == "linux"
_MESSAGE_BYTES = 1 << 20


def script_of(command: Sequence[str]) -> list[str] | None:
    """The Python script that `command` runs, with its arguments; None when it is another kind of command."""
    arguments = list(command[1:] if command[0] == sys.executable else command)
    if not arguments or not Path(arguments[0]).is_file():
        return None
    with Path(arguments[0]).open("rb") as file:
        first = file.readline(200)
    return arguments if arguments[0].endswith(".py") or b"python" in first else None


class ForkedProcess:
    """A program that the preloader forked; to its supervisor what a subprocess.Popen is."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = threading.Event()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(f"pid {self.pid}", timeout or 0.0)
        assert self.returncode is not None  # noqa: S101 - set before the event
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def end(self, code: int) -> None:
        """Called once, when it has ended."""
        self.returncode = code
        self._ended.set()


class Preloader:
    """The supervisor's side: `start` it with the modules to import, then `fork` programs, then `stop` it.

    When it dies, what it forked dies with it. Safe to use from several threads.
    """

    def __init__(self, modules: Sequence[str], log_file: Path) -> None:
        self._modules = modules
        self._log_file = log_file
        self._lock = threading.Lock()
        self._born = threading.Condition()
        self._answers: dict[int, ForkedProcess] = {}
        self._living: dict[int, ForkedProcess] = {}
        self._requests = 0
        self._gone = False
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        return self._process

    def start(self, env: Mapping[str, str]) -> None:
        """Start it with the environment `env`; it imports in its own time, and what is asked of it meanwhile waits."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with theirs, self._log_file.open("wb") as log:
            program = [sys.executable, "-m", "tandem_cli.preloader", str(theirs.fileno()), *self._modules]
            self._process = spawn(program, env=env, output=log, pass_fds=[theirs.fileno()])
        self._socket = ours
        self._gone = False
        threading.Thread(target=self._listen, args=(ours,), name="preloader", daemon=True).start()

    def fork(self, script: Sequence[str], env: Mapping[str, str], output: int) -> ForkedProcess:
        """Run a Python script with the environment `env`; its output and errors go to the descriptor `output`.

        Raises StackProblem when the preloader is gone.
        """
        with self._lock:
            self._requests += 1
            number = self._requests
            message = json.dumps({"number": number, "script": list(script), "env": dict(env)}).encode()
            try:
                if self._socket is None:
                    raise BrokenPipeError
                socket.send_fds(self._socket, [message], [output])
            except OSError:
                raise self._problem() from None
        with self._born:
            self._born.wait_for(lambda: number in self._answers or self._gone)
            if number not in self._answers:
                raise self._problem()
            return self._answers.pop(number)

    def stop(self) -> None:
        """End it, and whatever of its programs still runs. May be called again."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        if self._process is not None:
            finish(self._process, 5.0)

    def _listen(self, connection: socket.socket) -> None:
        with connection:
            while True:
                try:
                    message = connection.recv(_MESSAGE_BYTES)
                except OSError:
                    message = b""
                if not message:
                    break
                answer = json.loads(message)
                with self._born:
                    if "number" in answer:
                        forked = self._living[answer["pid"]] = ForkedProcess(answer["pid"])
                        self._answers[answer["number"]] = forked
                        self._born.notify_all()
                    else:
                        self._living.pop(answer["pid"]).end(answer["code"])
        with self._born:
            self._gone = True
            for forked in self._living.values():
                forked.end(-signal.SIGKILL)  # by the kernel: none of them outlives the preloader
            self._living.clear()
            self._born.notify_all()

    def _problem(self) -> StackProblem:
        last_lines = self._log_file.read_text(errors="replace").strip().splitlines()[-5:]
        return StackProblem(
            "The preloader of the processes has ended. Its last lines: " + (" | ".join(last_lines) or "nothing.")
        )


def main() -> None:
    """The preloader itself: imports, then forks what it is asked for until the supervisor closes the socket."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        import_module(name)
    gc.collect()
    gc.freeze()  # what is imported stays: the collector need not touch, and so copy, the shared pages
    script = _serve(connection)
    if script:
        sys.argv[:] = script
        sys.path[0] = str(Path(script[0]).parent)
        runpy.run_path(script[0], run_name="__main__")


def _serve(connection: socket.socket) -> list[str]:
    """Answer requests. Returns an empty list at the end, and in each forked process the script to run."""
    ended, wake = os.pipe()
    for descriptor in (ended, wake):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    selector = selectors.DefaultSelector()
    selector.register(connection, selectors.EVENT_READ)
    selector.register(ended, selectors.EVENT_READ)
    parent = os.getpid()
    while True:
        ready = {key.fileobj for key, _ in selector.select()}
        if ended in ready:
            os.read(ended, 4096)
            _report(connection)
        if connection not in ready:
            continue
        message, outputs, _, _ = socket.recv_fds(connection, _MESSAGE_BYTES, 1)
        if not message:
            return []
        request = json.loads(message)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            selector.close()
            connection.close()
            os.close(ended)
            os.close(wake)
            _become(parent, outputs[0], request["env"])
            script: list[str] = request["script"]
            return script
        os.close(outputs[0])
        connection.send(json.dumps({"number": request["number"], "pid": pid}).encode())


def _report(connection: socket.socket) -> None:
    """Report every child that has ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        connection.send(json.dumps({"pid": pid, "code": os.waitstatus_to_exitcode(status)}).encode())


def _become(parent: int, output: int, env: Mapping[str, str]) -> None:
    """Make a fork what a freshly started process is: its own session, output and environment."""
    os.setsid()
    end_with(parent, signal.SIGKILL)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(env)


if __name__ == "__main__":
    main()
