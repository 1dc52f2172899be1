"""Console scripts of the services that report their progress as lines of JSON."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tandem_cli.system import script


def run_script(
    console: Console, name: str, options: Sequence[str], environment: Mapping[str, str]
) -> tuple[int, dict[str, Any]]:
    """Run a console script with a progress bar for each of its steps; return its exit status and its last line.

    A line with `done` is progress, of the `step` that it names or else of records. The script is ended with its caller.
    """
    last: dict[str, Any] = {}
    with (
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as bar,
        subprocess.Popen(
            [*script(name), *options],
            env={**os.environ, **environment, "LOG_LEVEL": "error"},
            stdout=subprocess.PIPE,
        ) as process,
    ):
        steps: dict[str, Any] = {}
        assert process.stdout is not None  # noqa: S101 - asked for above
        try:
            for line in process.stdout:
                last = json.loads(line)
                if "done" in last:
                    step = last.get("step", "records")
                    if step not in steps:
                        steps[step] = bar.add_task(step, total=None)
                    bar.update(steps[step], completed=last["done"], total=last["total"])
        except BaseException:
            process.terminate()
            raise
    return process.returncode, last
