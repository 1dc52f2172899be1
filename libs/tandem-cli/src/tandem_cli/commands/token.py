"""`tandem token`: a bearer token of the local issuer."""

from datetime import timedelta
from typing import Annotated

import typer

from tandem_cli.issuer import ROLES, Issuer
from tandem_cli.options import DEFAULT_DATA_DIR, DataDirOption


def register(app: typer.Typer) -> None:
    app.command()(token)


def token(
    role: Annotated[list[str], typer.Option(help=f"One of {', '.join(ROLES)}; may be given several times.")],
    subject: Annotated[str, typer.Option(help="Whom the token stands for.")] = "local-user",
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 365, help="How long it is good for.")] = 12,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Print a token for the local stack; none has to run."""
    issuer = Issuer(data_dir / "auth")
    typer.echo(issuer.token(role, subject=subject, lifetime=timedelta(hours=hours)))
