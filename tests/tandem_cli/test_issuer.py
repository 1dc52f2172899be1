"""The local issuer's tokens are what a service can check with nothing but the published keys."""

import json
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus
from uuid import UUID

import httpx
import jwt
import pytest
from typer.testing import CliRunner

from service_kit.auth import Authenticator
from service_kit.settings import ServiceSettings
from tandem_cli.app import app
from tandem_cli.issuer import AUDIENCE, ISSUER, Client, Issuer, address_of
from tandem_cli.problem import StackProblem


def claims(token: str, issuer: Issuer) -> dict[str, Any]:
    """What a service reads from a token, having checked it against jwks.json."""
    keys = jwt.PyJWKSet.from_json(issuer.jwks_file.read_text())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, key, algorithms=["ES256"], audience=AUDIENCE, issuer=ISSUER)


def test_a_token_is_verified_by_the_published_keys(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    token = issuer.token(["sales-rep", "analyst"], subject="ada", lifetime=timedelta(hours=1))
    read = claims(token, issuer)
    assert read["sub"] == "ada"
    assert read["roles"] == ["sales-rep", "analyst"]
    assert read["exp"] - read["iat"] == 3600
    assert read["nbf"] == read["iat"]
    assert set(read) == {"iss", "aud", "sub", "iat", "nbf", "exp", "jti", "roles"}


def test_every_token_has_an_id_of_its_own(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    first, second = (claims(issuer.token(["admin"]), issuer)["jti"] for _ in range(2))
    assert first != second


def test_the_key_is_kept_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    token = Issuer(tmp_path).token(["admin"])
    assert claims(token, Issuer(tmp_path))["roles"] == ["admin"]
    assert stat.S_IMODE((tmp_path / "private-key.pem").stat().st_mode) == 0o600
    published = json.loads((tmp_path / "jwks.json").read_text())["keys"][0]
    assert "d" not in published


def test_another_directory_has_another_key(tmp_path: Path) -> None:
    token = Issuer(tmp_path / "one").token(["admin"])
    with pytest.raises(KeyError):
        claims(token, Issuer(tmp_path / "two"))


def test_an_unknown_role_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(StackProblem, match=r"no role 'king'; the roles are sales-rep, .*admin"):
        Issuer(tmp_path).token(["admin", "king"])


def test_a_token_without_a_role_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackProblem, match="at least one role"):
        Issuer(tmp_path).token([])


async def test_a_service_finds_the_keys_by_discovery_where_they_are_served(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    team = UUID("01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11")
    with issuer.server(0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = address_of(server)
        settings = ServiceSettings(database_url="postgresql+asyncpg://nowhere/nothing", auth_issuer=address)
        token = issuer.token(["sales-rep"], subject="ada", teams=[team], regions=["south"], issuer=address)
        found = await Authenticator(settings).authenticate(f"Bearer {token}")
        server.shutdown()
    assert found.subject == "ada"
    assert found.roles == {"sales-rep"}
    assert found.teams == {team}
    assert found.regions == {"south"}


@contextmanager
def serving(issuer: Issuer) -> Iterator[str]:
    """The address of a server that knows the service account `crm`."""
    with issuer.server(0, {"crm": Client("a secret: +/%", ("importer",))}) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield address_of(server)
        server.shutdown()


@pytest.mark.parametrize("how", ["basic", "body"])
async def test_a_service_account_gets_tokens_that_a_service_takes(tmp_path: Path, how: str) -> None:
    with serving(Issuer(tmp_path)) as address:
        form = {"grant_type": "client_credentials"}
        in_body = {"client_id": "crm", "client_secret": "a secret: +/%"}
        async with httpx.AsyncClient() as http:
            found = (await http.get(f"{address}/.well-known/openid-configuration")).json()
            if how == "basic":
                # RFC 6749 has both form-encoded within HTTP Basic.
                auth = ("crm", quote_plus("a secret: +/%"))
                answer = await http.post(found["token_endpoint"], data=form, auth=auth)
            else:
                answer = await http.post(found["token_endpoint"], data=form | in_body)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        given = answer.json()
        assert (given["token_type"], given["expires_in"]) == ("Bearer", 300)
        settings = ServiceSettings(database_url="postgresql+asyncpg://nowhere/nothing", auth_issuer=address)
        principal = await Authenticator(settings).authenticate(f"Bearer {given['access_token']}")
    assert principal.subject == "crm"
    assert principal.roles == {"importer"}


@pytest.mark.parametrize(
    ("client", "secret", "grant", "refusal"),
    [
        ("crm", "another", "client_credentials", (401, "invalid_client")),
        ("erp", "a secret: +/%", "client_credentials", (401, "invalid_client")),
        ("", "", "client_credentials", (401, "invalid_client")),
        ("crm", "a secret: +/%", "password", (400, "unsupported_grant_type")),
    ],
)
def test_no_one_else_gets_a_token(
    tmp_path: Path, client: str, secret: str, grant: str, refusal: tuple[int, str]
) -> None:
    with serving(Issuer(tmp_path)) as address:
        form = {"grant_type": grant, "client_id": client, "client_secret": secret}
        answer = httpx.post(f"{address}/token", data=form)
        assert (answer.status_code, answer.json()["error"]) == refusal
        assert httpx.post(f"{address}/token", headers={"Authorization": "Basic %%"}).status_code == 401
        assert httpx.post(f"{address}/jwks.json").status_code == 404


@pytest.mark.parametrize("client", ["crm", "=importer", "crm=king"])
def test_a_service_account_has_an_id_and_a_role(tmp_path: Path, client: str) -> None:
    refused = CliRunner().invoke(app, ["issuer", "--client", client, "--data-dir", str(tmp_path)])
    assert refused.exit_code == 1
