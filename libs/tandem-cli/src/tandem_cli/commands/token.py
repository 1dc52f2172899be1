"""`tandem token`: a bearer token of the local issuer. `tandem issuer`: its keys over HTTP."""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer

from tandem_cli.issuer import ISSUER, ROLES, Client, Issuer, address_of
from tandem_cli.options import DEFAULT_DATA_DIR, DataDirOption
from tandem_cli.problem import StackProblem
from tandem_cli.sign_in import STAFF


def register(app: typer.Typer) -> None:
    app.command()(token)
    app.command()(issuer)


def token(
    role: Annotated[list[str], typer.Option(help=f"One of {', '.join(ROLES)}; may be given several times.")],
    subject: Annotated[
        str, typer.Option(help="Whose token it is: the subject of a salesperson or an agent, who then sees their own.")
    ] = "local-user",
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 365, help="How long it is good for.")] = 12,
    person: Annotated[
        UUID | None, typer.Option(help="The id of the salesperson or agent whose numbers to see.")
    ] = None,
    team: Annotated[
        list[UUID] | None, typer.Option(help="The id of a team to belong to; may be given several times.")
    ] = None,
    region: Annotated[list[str] | None, typer.Option(help="The code of a region, likewise.")] = None,
    issuer: Annotated[str, typer.Option(help="The address that `tandem issuer` prints.")] = ISSUER,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Print a token for the local stack; none has to run."""
    typer.echo(
        Issuer(data_dir / "auth").token(
            role,
            subject=subject,
            lifetime=timedelta(hours=hours),
            person=person,
            teams=team or (),
            regions=region or (),
            issuer=issuer,
        )
    )


def issuer(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to serve; 0 for a free one.")] = 8005,
    client: Annotated[
        list[str] | None,
        typer.Option(help="A service account with its role, such as crm=importer; may be given several times."),
    ] = None,
    dashboard: Annotated[
        str, typer.Option(help="The address of metrics-api, to sign people in to its dashboard.")
    ] = "",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Serve the local issuer's keys as an OpenID provider does, until Ctrl-C: for a service with this AUTH_ISSUER.

    Service accounts get tokens there by their client credentials; their secrets are shown once, and end with it.
    """
    clients = _clients(client or ())
    with Issuer(data_dir / "auth").server(port, clients, dashboard=dashboard, people=lambda: STAFF) as server:
        typer.echo(f"AUTH_ISSUER={address_of(server)}")
        for name, account in clients.items():
            typer.echo(f"client_id={name} client_secret={account.secret}")
        server.serve_forever()


def _clients(given: Sequence[str]) -> dict[str, Client]:
    roles: dict[str, tuple[str, ...]] = {}
    for each in given:
        name, _, role = each.partition("=")
        if not name or role not in ROLES:
            raise StackProblem(f"'{each}' is no service account; write id=role, with a role of {', '.join(ROLES)}.")
        roles[name] = (*roles.get(name, ()), role)
    return {name: Client(secrets.token_urlsafe(24), of_client) for name, of_client in roles.items()}
