"""A supervisor in a process of its own: it stops on request, leaves no orphan, and works as an ordinary user."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil
import pytest

from tandem_cli.data_dir import DataDir
from tandem_cli.jars import class_path, jar_path, read_lock
from tandem_cli.spawn import User, clock_variables, spawn
from tests.support import PATIENCE, eventually

PROJECT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tests.tandem_cli.fake_system"]

IGNORING = ("/bin/sh", "-c", 'trap "" INT TERM; exec "$@"', "sh")
"""Starts a program with these signals ignored, as a script's background job is."""
UNPRIVILEGED = User(pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)

Supervisor = subprocess.Popen[bytes]
Start = Callable[..., Supervisor]

pytestmark = pytest.mark.integration


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a supervisor on a data directory; `output_of` is where it prints.

    `user` and `env` make it run as another user in another environment; `through` is a program that starts it.
    """
    started: list[Supervisor] = []

    def begin(
        data_dir: Path,
        user: User | None = None,
        env: Mapping[str, str] | None = None,
        through: Sequence[str] = (),
    ) -> Supervisor:
        command = [*through, *COMMAND, str(data_dir)]
        with output_of(data_dir).open("wb") as output:
            started.append(spawn(command, cwd=PROJECT, output=output, env=env, user=user))
        return started[-1]

    yield begin
    for supervisor in started:
        supervisor.kill()
        supervisor.wait()


def tandem(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("tandem")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def output_of(data_dir: Path) -> Path:
    return data_dir.with_name(data_dir.name + ".output")


async def await_ready(supervisor: Supervisor, data_dir: Path) -> None:
    def ready() -> bool:
        words = output_of(data_dir).read_text()
        assert supervisor.poll() is None, words
        return "ready for work" in words

    await eventually(ready, deadline=60)


def parts(data_dir: Path) -> list[psutil.Process]:
    """Every process of the stack that runs on `data_dir`, PostgreSQL's own children included."""
    running = DataDir(data_dir).running()
    assert running is not None
    heads = [psutil.Process(part.pid) for part in running.parts]
    return heads + [child for head in heads for child in head.children(recursive=True)]


async def test_a_killed_supervisor_leaves_no_orphan_and_data_to_go_on_with(tmp_path: Path, start: Start) -> None:
    data_dir = tmp_path / "data"
    supervisor = start(data_dir)
    await await_ready(supervisor, data_dir)
    processes = parts(data_dir)
    assert len(processes) > 9
    supervisor.kill()
    supervisor.wait()
    await eventually(lambda: not [process for process in processes if alive(process)])
    supervisor = start(data_dir)
    await await_ready(supervisor, data_dir)
    status = tandem("status", "--data-dir", data_dir)
    for name in ("postgresql", "kafka", "sales-api", "metrics-consumer", "total"):
        assert re.search(rf"^{name}\b.* MiB ", status.stdout, re.MULTILINE), status.stdout
    processes = parts(data_dir)
    down = tandem("down", "--data-dir", data_dir)
    assert down.stdout == "Stopped.\n"
    assert supervisor.wait(10 * PATIENCE) == 0
    assert not [process for process in processes if alive(process)]
    words = output_of(data_dir).read_text()
    assert words.index("metrics-api stopped") < words.index("kafka stopped") < words.index("postgresql stopped")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("through", [(), IGNORING], ids=["heard", "ignored by the parent"])
async def test_ctrl_c_during_the_start_stops_cleanly(
    tmp_path: Path, start: Start, through: Sequence[str], number: signal.Signals
) -> None:
    data_dir = tmp_path / "data"
    supervisor = start(data_dir, through=through)
    await eventually(lambda: "postgresql ready" in output_of(data_dir).read_text(), deadline=30)
    processes = psutil.Process(supervisor.pid).children(recursive=True)
    assert processes
    supervisor.send_signal(number)
    assert supervisor.wait(30 * PATIENCE) == 0, output_of(data_dir).read_text()
    assert "Traceback" not in output_of(data_dir).read_text()
    assert not DataDir(data_dir).locked()
    assert not [process for process in processes if alive(process)]


def alive(process: psutil.Process) -> bool:
    """Whether it still runs; an orphan that ended stays a zombie where no process reaps it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_part_that_dies_ends_the_supervisor_with_a_plain_word(tmp_path: Path, start: Start) -> None:
    data_dir = tmp_path / "data"
    supervisor = start(data_dir)
    await await_ready(supervisor, data_dir)
    running = DataDir(data_dir).running()
    assert running is not None
    broker = next(part for part in running.parts if part.name == "kafka")
    os.kill(broker.pid, signal.SIGKILL)
    assert supervisor.wait(30 * PATIENCE) != 0
    assert "kafka ended unexpectedly with signal SIGKILL" in output_of(data_dir).read_text()
    assert not DataDir(data_dir).locked()


def test_status_and_down_report_that_nothing_runs(tmp_path: Path) -> None:
    status = tandem("status", "--data-dir", tmp_path)
    assert status.returncode == 1
    assert status.stdout.startswith("Nothing runs on ")
    down = tandem("down", "--data-dir", tmp_path)
    assert down.stdout.startswith("Nothing runs on ")


def test_a_token_is_printed_without_a_stack_and_an_unknown_role_is_a_sentence(tmp_path: Path) -> None:
    good = tandem("token", "--data-dir", tmp_path, "--role", "analyst")
    assert good.stdout.count(".") == 2
    bad = tandem("token", "--data-dir", tmp_path, "--role", "king")
    assert bad.returncode == 1
    assert bad.stderr.startswith("tandem: There is no role 'king'")
    assert "Traceback" not in bad.stderr


@pytest.fixture
def ordinary_home() -> Iterator[Path]:
    """A directory that belongs to an ordinary user, with Kafka's jars in it."""
    if os.geteuid() != 0:
        pytest.skip("the whole suite runs as an ordinary user already")
    home = Path(tempfile.mkdtemp(prefix="tandem-user-"))
    try:
        for jar, name in zip(class_path(), read_lock(), strict=True):
            place = home / "m2" / jar_path(name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(jar, place)
        for path in (home, *home.rglob("*")):
            os.chown(path, UNPRIVILEGED.uid, UNPRIVILEGED.gid)
        yield home
    finally:
        shutil.rmtree(home)


async def test_an_ordinary_user_can_run_it(ordinary_home: Path, start: Start) -> None:
    data_dir = ordinary_home / "data"
    env = {
        "HOME": str(ordinary_home),
        "M2_REPO": str(ordinary_home / "m2"),
        "PATH": os.environ["PATH"],
        **clock_variables(),
    }
    supervisor = start(data_dir, UNPRIVILEGED, env)
    await await_ready(supervisor, data_dir)
    assert {process.username() for process in parts(data_dir)} == {"nobody"}
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(30 * PATIENCE) == 0
