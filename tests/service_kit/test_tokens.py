"""Who gets in: only the holder of a token that this issuer signed for this audience, with a role that is enough."""

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

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
