"""A system of small workers in the services' place, and a supervisor of it to run as a process of its own.

`python -m tests.tandem_cli.fake_system DATA_DIR` does what `tandem up` does, on free ports.
"""

import sys
from pathlib import Path

from rich.console import Console

from tandem_cli.foreground import run
from tandem_cli.stack import LocalStack
from tandem_cli.system import DATABASES, TANDEM, Program, System
from tandem_cli.terminal import Terminal

WORKER = (sys.executable, str(Path(__file__).with_name("worker.py")))
MIGRATION = (sys.executable, "-c", "print('migrated')")


def fake_system() -> System:
    """The real system's names and needs, with a worker as every program."""
    programs = tuple(
        Program(program.name, WORKER, program.database, program.api, program.needs_kafka) for program in TANDEM.programs
    )
    return System(programs, dict.fromkeys(DATABASES, MIGRATION), preload=("http.server",))


def main() -> None:
    terminal = Terminal(Console())
    stack = LocalStack(Path(sys.argv[1]), listener=terminal, system=fake_system())

    def ready() -> None:
        terminal.write("ready for work")
        stack.wait()

    run(stack, terminal, ready)


if __name__ == "__main__":
    main()
