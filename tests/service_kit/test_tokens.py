"""Who gets in: only the holder of a token that this issuer signed for this audience, with a role that is enough."""

from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from service_kit.auth import Authenticator
from service_kit.problems import Unauthenticated
from service_kit.settings import ServiceSettings
from tests.service_kit.bad_tokens import bad_tokens
from tests.service_kit.conftest import assert_problem
from tests.service_kit.toy import Issuer

pytestmark = pytest.mark.clock


@pytest.mark.parametrize("name", sorted(bad_tokens(Issuer())))
async def test_a_token_that_does_not_hold_is_refused(client: httpx.AsyncClient, issuer: Issuer, name: str) -> None:
    token = bad_tokens(issuer)[name]
    answer = await client.get("/v1/boxes", headers={"Authorization": f"Bearer {token}"})
    assert_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_good_token_gets_in(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/boxes")).status_code == 200


@pytest.mark.parametrize(
    ("setting", "kind", "claims", "is_let_in"),
    [
        ("", "JWT", {}, True),
        ("", "at+jwt", {}, True),
        ("", "JWT", {"typ": "Bearer"}, True),
        ("", "JWT", {"token_use": "access"}, True),
        ("at+jwt", "at+jwt", {}, True),
        ("at+jwt", "application/at+jwt", {}, True),
        ("at+jwt", "JWT", {}, False),
        ("bearer", "JWT", {"typ": "Bearer"}, True),
        ("bearer", "JWT", {}, False),
        ("bearer", "JWT", {"typ": "ID"}, False),
        ("access", "JWT", {"token_use": "access"}, True),
        ("access", "JWT", {"token_use": "id"}, False),
        ("access", "JWT", {}, False),
    ],
)
async def test_a_provider_that_marks_its_access_tokens_may_be_required_to(
    issuer: Issuer, tmp_path: Path, setting: Any, kind: str, claims: dict[str, str], is_let_in: bool
) -> None:
    keys = issuer.published_in(tmp_path)
    nowhere = "postgresql+asyncpg://nowhere/nothing"
    authenticator = Authenticator(ServiceSettings(database_url=nowhere, auth_jwks=keys, auth_token_type=setting))
    token = issuer.token_of_type(kind, "admin", **claims)
    if is_let_in:
        assert (await authenticator.authenticate(f"Bearer {token}")).roles == {"admin"}
    else:
        with pytest.raises(Unauthenticated, match="no access token"):
            await authenticator.authenticate(f"Bearer {token}")


@pytest.mark.parametrize("roles", [[], ["analyst"], ["sales-manager"], ["made-up"]])
async def test_a_role_that_is_not_enough_is_refused(
    client: httpx.AsyncClient, issuer: Issuer, roles: list[str]
) -> None:
    headers = {"Authorization": f"Bearer {issuer.token(*roles)}"}
    assert_problem(await client.post("/v1/boxes", json={"name": "Box", "size": 1}, headers=headers), 403, "forbidden")


async def test_an_admin_may_do_everything(client: httpx.AsyncClient, issuer: Issuer) -> None:
    headers = {"Authorization": f"Bearer {issuer.token('admin')}"}
    assert (await client.post("/v1/boxes", json={"name": "Box", "size": 1}, headers=headers)).status_code == 201


def test_keys_of_the_curve_are_what_is_published() -> None:
    assert isinstance(jwt.PyJWK.from_dict(Issuer().jwks()["keys"][0]).key, ec.EllipticCurvePublicKey)
