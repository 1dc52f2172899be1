"""`tandem import`: leads, whole CRMs and tickets from CSV files, through the two APIs."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tandem_cli.data_dir import DataDir
from tandem_cli.imports import report
from tandem_cli.imports.mapping import bundled, load
from tandem_cli.imports.plan import Plan
from tandem_cli.imports.run import Target, import_files, make_plan
from tandem_cli.issuer import Issuer
from tandem_cli.options import DEFAULT_DATA_DIR, DEFAULT_PORT_BASE, DataDirOption


def register(app: typer.Typer) -> None:
    app.command("import")(import_csv)


def import_csv(
    mapping: Annotated[str, typer.Argument(help=f"A mapping file, or one that comes along: {', '.join(bundled())}.")],
    files: Annotated[list[Path], typer.Argument(help="CSV files, gzipped or not, in any order.", exists=True)],
    sales_url: Annotated[str | None, typer.Option(help="sales-api; by default that of the local stack.")] = None,
    service_url: Annotated[str | None, typer.Option(help="service-api; by default that of the local stack.")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="TANDEM_TOKEN", help="A token with the role importer; by default a local one.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Requests at once, of up to 200 steps each.")] = 4,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and send nothing.")] = False,
    errors: Annotated[Path | None, typer.Option(help="Write each row's error to this CSV file.")] = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Load CSV files by a mapping file; docs/import.md describes both.

    Safe to run again: what is there is left as it is, what an interrupted run left out is added. Exit code 1 when a
    row failed; the others are in.
    """
    console = Console()
    plan = make_plan(load(mapping), files)
    if dry_run:
        _describe(console, plan)
        failed = list(plan.errors)
    else:
        target = _target(data_dir, sales_url, service_url, token, concurrency)
        try:
            failed = import_files(plan, target, console)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
    if errors is not None:
        report.write_errors(errors, failed)
    if failed:
        raise typer.Exit(1)


def _target(
    data_dir: Path, sales_url: str | None, service_url: str | None, token: str | None, concurrency: int
) -> Target:
    """The APIs named, else those of the stack that runs on the data directory, else the usual ports."""
    running = DataDir(data_dir).running() if data_dir.exists() else None
    urls = running.urls if running else {}
    if token is None:
        issuer = Issuer(data_dir / "auth")
        token = issuer.token(["importer"], subject="tandem-import", lifetime=timedelta(hours=12))
    return Target(
        sales_url or urls.get("sales") or f"http://127.0.0.1:{DEFAULT_PORT_BASE + 1}",
        service_url or urls.get("service") or f"http://127.0.0.1:{DEFAULT_PORT_BASE + 2}",
        token,
        concurrency,
    )


def _describe(console: Console, plan: Plan) -> None:
    steps = sum(len(record.steps) for record in plan.records)
    console.print(f"Would send {len(plan.records)} records in {steps} steps, after creating", highlight=False)
    made: dict[str, int] = {}
    for ref in plan.needed:
        made[ref.noun] = made.get(ref.noun, 0) + 1
    for noun, count in made.items():
        console.print(f"  {count} {noun}", highlight=False)
    console.print(f"{len(plan.errors)} rows cannot be imported.", highlight=False)
    report.show_errors(console, plan.errors)
