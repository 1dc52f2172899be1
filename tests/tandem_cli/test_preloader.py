"""What the preloader forks is, for all that it and its supervisor can see, a process started afresh."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx
import psutil
import pytest

from tandem_cli.ports import free_port
from tandem_cli.preloader import ForkedProcess, Preloader, script_of
from tandem_cli.problem import StackProblem
from tandem_cli.system import TANDEM
from tests.support import PATIENCE, eventually

WORKER = str(Path(__file__).with_name("worker.py"))

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every process is started afresh"),
]


@pytest.fixture
def preloader(tmp_path: Path) -> Iterator[Preloader]:
    preloader = Preloader(["json"], tmp_path / "preloader.log")
    preloader.start(dict(os.environ))
    yield preloader
    preloader.stop()


@pytest.fixture
def worker(preloader: Preloader, tmp_path: Path) -> Callable[..., tuple[ForkedProcess, str]]:
    """Call it with environment variables: forks a worker; returns it and the URL that shows its environment."""

    def fork(**env: str) -> tuple[ForkedProcess, str]:
        port = free_port()
        env = {"HTTP_HOST": "127.0.0.1", "HTTP_PORT": str(port), **env}
        with (tmp_path / "output").open("wb") as output:
            return preloader.fork([WORKER], env, output.fileno()), f"http://127.0.0.1:{port}"

    return fork


async def shown(url: str) -> dict[str, str]:
    """The worker's environment, as soon as it answers."""

    def settings() -> dict[str, str]:
        try:
            answer: dict[str, str] = json.loads(httpx.get(f"{url}/settings").content)
        except httpx.TransportError:
            return {}
        return answer

    return await eventually(settings)


async def test_it_has_the_environment_that_it_is_given_and_no_other(
    worker: Callable[..., tuple[ForkedProcess, str]],
) -> None:
    _, url = worker(COLOUR="blue")
    settings = await shown(url)
    assert settings["COLOUR"] == "blue"
    assert "PATH" not in settings


async def test_it_has_a_session_of_its_own(worker: Callable[..., tuple[ForkedProcess, str]]) -> None:
    forked, url = worker()
    await shown(url)
    assert os.getsid(forked.pid) == forked.pid


def test_its_output_and_exit_code_arrive(worker: Callable[..., tuple[ForkedProcess, str]], tmp_path: Path) -> None:
    forked, _ = worker(WORKER_SAY="good morning", WORKER_EXIT="7")
    assert forked.wait(10 * PATIENCE) == 7
    assert (tmp_path / "output").read_text() == "good morning\ncannot go on\n"


async def test_its_end_by_a_signal_is_reported(worker: Callable[..., tuple[ForkedProcess, str]]) -> None:
    forked, url = worker()
    await shown(url)
    with pytest.raises(subprocess.TimeoutExpired):
        forked.wait(0.05)
    forked.kill()
    assert forked.wait(5 * PATIENCE) == -signal.SIGKILL
    forked.kill()  # once more is no error


async def test_it_dies_with_the_preloader(
    preloader: Preloader, worker: Callable[..., tuple[ForkedProcess, str]], tmp_path: Path
) -> None:
    forked, url = worker()
    await shown(url)
    process = psutil.Process(forked.pid)
    assert preloader.process is not None
    preloader.process.kill()
    assert forked.wait(5 * PATIENCE) == -signal.SIGKILL
    await eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    with pytest.raises(StackProblem, match="The preloader of the processes has ended"):
        worker()


def test_a_module_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    preloader = Preloader(["no_such_module"], tmp_path / "preloader.log")
    preloader.start(dict(os.environ))
    with (tmp_path / "output").open("wb") as output, pytest.raises(StackProblem, match="no_such_module"):
        preloader.fork([WORKER], {}, output.fileno())
    preloader.stop()


def test_python_scripts_are_distinguished_from_other_programs(tmp_path: Path) -> None:
    console_script = str(Path(sys.executable).with_name("tandem"))
    assert script_of((console_script, "status")) == [console_script, "status"]
    assert script_of((sys.executable, WORKER)) == [WORKER]
    assert script_of((sys.executable, "-c", "pass")) is None
    assert script_of(("/bin/sh",)) is None


def test_what_is_preloaded_exists_and_is_no_service() -> None:
    assert TANDEM.preload
    for name in TANDEM.preload:
        assert find_spec(name) is not None, name
        assert name.split(".")[0] not in {"sales_api", "service_api", "metrics_worker"}
