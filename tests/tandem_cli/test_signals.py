"""Every process ends on the signals that ask it to, from its first moment on, whatever its parent ignores."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.support import eventually

PACKAGES = ("sales-api", "service-api", "metrics-worker", "tandem-cli")
SCRIPTS = sorted(
    entry.name
    for package in PACKAGES
    for entry in distribution(package).entry_points
    if entry.group == "console_scripts"
)
IGNORING = ("/bin/sh", "-c", 'trap "" HUP INT TERM; exec "$@"', "sh")
"""Starts a program as a script's background job is started: with signals ignored."""
SLOW_LIBRARY = """
import pathlib, time
pathlib.Path(__file__).with_name("importing").touch()
try:
    time.sleep(60)
except BaseException:
    time.sleep(60)
"""
"""Goes on whatever exception a handler raises, as happens to one that is raised within a finalizer."""
SPAWN = """
import sys
from tandem_cli.spawn import spawn
spawn([sys.executable, "-c", sys.argv[1]], output=1).wait()
"""
SHOW_IGNORED = """
import signal
print([signal.Signals(number).name for number in (1, 2, 15) if signal.getsignal(number) == signal.SIG_IGN])
"""

pytestmark = pytest.mark.integration


@pytest.fixture
def importing(tmp_path: Path) -> Path:
    """The file that appears when a library begins to be imported; `tmp_path` has libraries that never finish."""
    for library in ("sqlalchemy", "typer"):
        (tmp_path / f"{library}.py").write_text(SLOW_LIBRARY)
    return tmp_path / "importing"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Append processes to it; they are killed in the end."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def await_file(file: Path) -> None:
    asyncio.run(eventually(file.exists, 60))


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_process_ends_on_a_signal_while_it_imports(
    script: str, importing: Path, tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        importing.unlink(missing_ok=True)
        command = [*IGNORING, str(Path(sys.executable).with_name(script))]
        process = subprocess.Popen(command, env={"PYTHONPATH": str(tmp_path)}, stderr=subprocess.PIPE)
        started.append(process)
        await_file(importing)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (128 + number, b"")


def test_a_spawned_process_ignores_no_signal_that_its_starter_ignores() -> None:
    command = [*IGNORING, sys.executable, "-c", SPAWN, SHOW_IGNORED]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
