"""Who gets in: only the holder of a token that this issuer signed for this audience, with a role that is enough."""

import base64
import hmac
import json
import time

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.service_kit.conftest import assert_problem
from tests.service_kit.toy import Issuer

pytestmark = pytest.mark.clock


def forged_with_public_key(issuer: Issuer) -> str:
    """An asymmetric key turned into an HMAC secret: everybody has the public key. By hand: PyJWT refuses to."""
    pem = issuer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    parts = [{"alg": "HS256", "typ": "JWT", "kid": issuer.kid}, {"sub": "x", "roles": ["admin"], "exp": 4102444800}]
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = hmac.new(pem, signed, "sha256").digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def bad_tokens(issuer: Issuer) -> dict[str, str]:
    past = int(time.time()) - 3600
    stranger = Issuer()
    strange_kid = Issuer()
    strange_kid.kid = "../../etc/passwd"
    unknown_kid = Issuer()
    unknown_kid.kid = "other"
    return {
        "no token": "",
        "no JWT": "abc",
        "alg none": jwt.encode({"sub": "x", "roles": ["admin"]}, "", algorithm="none", headers={"kid": issuer.kid}),
        "HS256 with the public key": forged_with_public_key(issuer),
        "another key, same id": stranger.token("admin"),
        "a path for an id": strange_kid.token("admin"),
        "an unknown id": unknown_kid.token("admin"),
        "wrong issuer": issuer.token("admin", iss="http://elsewhere"),
        "wrong audience": issuer.token("admin", aud="other"),
        "expired": issuer.token("admin", exp=past),
        "not yet valid": issuer.token("admin", nbf=int(time.time()) + 3600),
        "no expiry": jwt.encode(
            {"iss": "http://127.0.0.1/tandem-local", "aud": "tandem", "sub": "x", "iat": past},
            issuer.key,
            algorithm="ES256",
            headers={"kid": issuer.kid},
        ),
        "roles are no list": issuer.token(roles="admin"),
    }


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
