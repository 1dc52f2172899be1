"""`tandem republish`: brings a service's log back to the truth of its database."""

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console

from tandem_cli.ledger_addresses import addresses
from tandem_cli.options import DEFAULT_DATA_DIR, DataDirOption
from tandem_cli.problem import StackProblem
from tandem_cli.script_progress import run_script


class Service(StrEnum):
    """Whose log it is."""

    SALES = "sales"
    SERVICE = "service"
    METRICS = "metrics"


def register(app: typer.Typer) -> None:
    app.command()(republish)


def republish(
    service: Annotated[Service, typer.Option(help="Whose database was restored, or whose log was lost.")],
    lost_log: Annotated[
        bool, typer.Option("--lost-log", help="Fill new topics with all that the service ever published.")
    ] = False,
    keep_log: Annotated[
        bool, typer.Option("--keep-log", help="Copy into the database what the log has from before this version.")
    ] = False,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Correct a service's log after its database was restored, or lost commits in a failover.

    Raises the epoch of its stream and publishes what holds of each subject of which the log knows more. Works while
    everything runs, and may be started again when it was stopped. On the running local stack, or on what
    SALES_DATABASE_URL, SERVICE_DATABASE_URL or METRICS_DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS name.
    """
    if lost_log and keep_log:
        raise StackProblem("--lost-log and --keep-log exclude each other: keep the log while there is one.")
    options = ["--lost-log"] if lost_log else ["--keep-log"] if keep_log else []
    console = Console()
    status, last = run_script(console, f"{service}-republish", options, addresses(data_dir, service))
    if status or "error" in last or "step" in last or not last:
        raise StackProblem(f"Not finished: {last.get('error', 'it ended early, see above')}")
    if "filled" in last:
        console.print(f"The new log has all {last['filled']:,} events of {service}.", style="green", highlight=False)
    elif "kept" in last:
        console.print(f"The database of {service} has {last['kept']:,} events more.", style="green", highlight=False)
    else:
        _show(console, service, last["corrected"])


def _show(console: Console, service: Service, corrected: dict[str, Any]) -> None:
    console.print(
        f"{service} is at epoch {corrected['epoch']}. Of {corrected['records']:,} records {corrected['lost_events']:,} "
        f"were lost; {corrected['restored']:,} subjects are restored, {corrected['withdrawn']:,} withdrawn.",
        style="green",
        highlight=False,
    )
    if corrected["erasures"]:
        console.print(
            f"{len(corrected['erasures']):,} erasures were lost with the commits. Erase again in {service}:",
            style="red",
        )
        for subject in corrected["erasures"]:
            console.print(f"  {subject}", highlight=False)
