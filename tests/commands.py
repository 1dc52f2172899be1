"""Runs console scripts in processes of their own, forked from one that has imported their libraries.

Each would import them anew otherwise, which is most of what a short command takes. That the scripts also start
afresh is shown by the tests of `tests/tandem_cli` and of the services' processes.
"""

import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path

from tandem_cli.preloader import SUPPORTED

TIMEOUT_SECONDS = 280.0

# Where a fork without exec is not safe, each imports for itself.
_forks: ForkServerContext | SpawnContext = ForkServerContext() if SUPPORTED else SpawnContext()
_forks.set_forkserver_preload(
    [
        "metrics_worker.commands",
        *(f"tandem_cli.commands.{name}" for name in ("dead_letters", "import_csv", "replay", "verify")),
    ]
)


def run_script(
    name: str, *arguments: str | Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the script `name` that is installed beside the interpreter, to its end.

    `env` is its environment, by default this process's. Raises TimeoutExpired, the script having been killed.
    """
    command = [str(Path(sys.executable).with_name(name)), *map(str, arguments)]
    with tempfile.NamedTemporaryFile("r") as output, tempfile.NamedTemporaryFile("r") as errors:
        environment = dict(os.environ if env is None else env)
        process = _forks.Process(target=_become, args=(command, environment, output.name, errors.name))
        process.start()
        process.join(TIMEOUT_SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, TIMEOUT_SECONDS, output.read(), errors.read())
        return subprocess.CompletedProcess(command, process.exitcode, output.read(), errors.read())


def _become(command: list[str], environment: dict[str, str], output: str, errors: str) -> None:
    for descriptor, file in ((1, output), (2, errors)):
        written = os.open(file, os.O_WRONLY)
        os.dup2(written, descriptor)
        os.close(written)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = command
    runpy.run_path(command[0], run_name="__main__")
