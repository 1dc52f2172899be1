"""`tandem backup` and `tandem restore`: what the metrics database holds beside the ledger, to a file and back."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tandem_cli.data_dir import DataDir
from tandem_cli.dumps import AUTHORITATIVE, dump, load
from tandem_cli.ledger_addresses import ledger_database
from tandem_cli.options import DEFAULT_DATA_DIR, DataDirOption
from tandem_cli.postgres import EmbeddedPostgres
from tandem_cli.problem import StackProblem

METRICS = "metrics"

FileArgument = Annotated[Path, typer.Argument(metavar="FILE")]


def register(app: typer.Typer) -> None:
    app.command()(backup)
    app.command()(restore)


def backup(file: FileArgument, data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Write what metrics cannot derive from the log to FILE: targets, closed periods, webhooks, dead letters …

    Works on the running local stack, or on what METRICS_DATABASE_URL names. FILE contains secrets.
    """
    dump(ledger_database(data_dir), AUTHORITATIVE, file)
    typer.echo(f"Written to {file}. It contains the secrets of webhooks: keep it as safe as the database.")


def restore(file: FileArgument, data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Give a stopped local stack a new metrics database from FILE; the ledger fills from the log at the next start.

    The former database is kept under another name.
    """
    if given := next((name for name in ("METRICS_DATABASE_URL", "DATABASE_URL") if os.environ.get(name)), None):
        raise StackProblem(f"{given} names a server that is not this stack's: restore there with pg_restore.")
    data = DataDir(data_dir)
    data.claim()
    server = EmbeddedPostgres(data.path / "postgres")
    try:
        server.start()
        former = _replace(server, file)
    finally:
        server.stop()
        data.release()
    typer.echo("Restored. `tandem up` fills the ledger from the log.")
    if former is not None:
        typer.echo(f"The former database is kept as {former}.")


def _replace(server: EmbeddedPostgres, file: Path) -> str | None:
    """Load a backup into a new database, and give it the name of the former one; return what that is called now."""
    now = datetime.now(UTC).strftime("%Y%m%d_%H%M%S")
    loaded, former = f"{METRICS}_loaded_{now}", f"{METRICS}_until_{now}"
    server.create_database(loaded)
    try:
        load(server.url(loaded), AUTHORITATIVE, file)
        had_one = server.replace_database(METRICS, by=loaded, former=former)
    except BaseException:
        server.drop_database(loaded)
        raise
    return former if had_one else None
