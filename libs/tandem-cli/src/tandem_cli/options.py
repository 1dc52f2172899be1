"""Command-line options that several commands share."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from tandem_cli.data_dir import DEFAULT
from tandem_cli.ports import Ports
from tandem_cli.start_limit import STALL_SECONDS

DataDirOption = Annotated[
    Path, typer.Option("--data-dir", envvar="TANDEM_DATA_DIR", help="Where this stack keeps everything.")
]
PortBaseOption = Annotated[
    int,
    typer.Option(
        min=0, max=65531, help="sales, service, metrics and the issuer are served on the four ports after this one."
    ),
]
PortOption = Annotated[int | None, typer.Option(min=1, max=65535, show_default=False)]
StallOption = Annotated[
    float,
    typer.Option(
        "--stall-seconds",
        envvar="TANDEM_STALL_SECONDS",
        min=1,
        help="How long a start may make no progress: PostgreSQL or Kafka log nothing, a process is not ready.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Leave the processes' lines to the log files.")]

DEFAULT_DATA_DIR = DEFAULT
DEFAULT_PORT_BASE = 8000
DEFAULT_STALL_SECONDS = STALL_SECONDS


def ports(
    port_base: int,
    sales: int | None = None,
    service: int | None = None,
    metrics: int | None = None,
    postgres: int | None = None,
    kafka: int | None = None,
    issuer: int | None = None,
) -> Ports:
    """The ports to use: those named, else the ones after `port_base`; free ones for the servers unless named."""
    return Ports(
        sales=sales or port_base + 1,
        service=service or port_base + 2,
        metrics=metrics or port_base + 3,
        postgres=postgres,
        kafka=kafka,
        issuer=issuer or port_base + 4,
    )


def token_command(data_dir: Path) -> str:
    """Return the command that prints a token for the stack of a data directory, to be pasted into a shell."""
    # As `make up` calls it, out of an environment that is not activated.
    program = "tandem" if shutil.which("tandem") else sys.argv[0]
    is_found_anyway = data_dir.resolve() == Path(os.environ.get("TANDEM_DATA_DIR", DEFAULT_DATA_DIR)).resolve()
    of = [] if is_found_anyway else ["--data-dir", str(data_dir)]
    return shlex.join([program, "token", "--role", "admin", *of])
