"""The keys that tokens are verified by: discovered, kept for their lifespan, and refreshed at most so often."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from service_kit import issuer_keys
from service_kit.auth import Authenticator, Principal
from service_kit.issuer_keys import UNKNOWN_KEY_SECONDS, IssuerKeys
from service_kit.problems import Problem, Unauthenticated, Unavailable
from service_kit.settings import ServiceSettings
from tests.service_kit.toy import Issuer
from tests.support import eventually

LIFESPAN = 300


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def settings(**given: Any) -> ServiceSettings:
    return ServiceSettings(database_url="postgresql+asyncpg://nowhere/nothing", auth_keys_seconds=LIFESPAN, **given)


class Provider:
    """An OpenID provider: an issuer's configuration and keys over HTTP, both as the test wants them."""

    def __init__(self) -> None:
        self.issuer = Issuer()
        self.address = ""
        self.configuration: dict[str, Any] = {}
        self.keys: bytes = json.dumps(self.issuer.jwks()).encode()
        self.status = 200
        self.reads = 0

    def token(self, *roles: str, **claims: Any) -> str:
        return self.issuer.token(*roles, **{"iss": self.address} | claims)

    def withdraws_its_key(self) -> None:
        self.issuer = Issuer()
        self.issuer.kid = "next"
        self.keys = json.dumps(self.issuer.jwks()).encode()

    def is_at(self, address: str) -> None:
        self.address = address
        self.configuration = {"issuer": address, "jwks_uri": f"{address}/jwks.json"}

    async def answer(self, request: web.Request) -> web.Response:
        if request.path == "/.well-known/openid-configuration":
            return web.json_response(self.configuration, status=self.status)
        self.reads += 1
        return web.Response(body=self.keys, status=self.status, content_type="application/json")


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    app = web.Application()
    runner = web.AppRunner(app)
    provider = Provider()
    app.router.add_get("/{path:.*}", provider.answer)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    provider.is_at(f"http://{host}:{port}")
    yield provider
    await runner.cleanup()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authenticator(provider: Provider, clock: Clock) -> Authenticator:
    given = settings(auth_issuer=provider.address)
    return Authenticator(given, IssuerKeys(given, clock=clock))


async def holder(authenticator: Authenticator, token: str) -> Principal:
    return await authenticator.authenticate(f"Bearer {token}")


async def test_the_keys_are_discovered_from_the_issuer(authenticator: Authenticator, provider: Provider) -> None:
    assert (await holder(authenticator, provider.token("analyst"))).roles == {"analyst"}


async def test_the_keys_are_read_once_in_half_of_their_lifespan(
    authenticator: Authenticator, provider: Provider, clock: Clock
) -> None:
    for _ in range(5):
        clock.now += LIFESPAN / 11
        await asyncio.gather(*(holder(authenticator, provider.token("analyst")) for _ in range(5)))
    assert provider.reads == 1


async def test_a_withdrawn_key_verifies_nothing_once_the_lifespan_is_over(
    authenticator: Authenticator, provider: Provider, clock: Clock
) -> None:
    token = provider.token("admin")
    assert (await holder(authenticator, token)).roles == {"admin"}
    provider.withdraws_its_key()
    clock.now += LIFESPAN
    with pytest.raises(Unauthenticated):
        await holder(authenticator, token)
    assert (await holder(authenticator, provider.token("admin"))).roles == {"admin"}


async def test_what_was_opened_by_a_token_holds_no_longer_than_the_token_and_its_key(
    authenticator: Authenticator, provider: Provider, clock: Clock
) -> None:
    opened = await holder(authenticator, provider.token("admin"))
    assert await authenticator.still_holds(opened)
    assert not await authenticator.still_holds(msgspec.structs.replace(opened, expires_at=time.time()))
    provider.withdraws_its_key()
    clock.now += LIFESPAN
    assert not await authenticator.still_holds(opened)
    provider.status = 500
    clock.now += LIFESPAN
    assert not await authenticator.still_holds(opened)


async def test_the_keys_are_refreshed_before_their_lifespan_is_over(
    authenticator: Authenticator, provider: Provider, clock: Clock
) -> None:
    token = provider.token("admin")
    await holder(authenticator, token)
    provider.withdraws_its_key()
    clock.now += LIFESPAN / 2 + 1

    async def is_refused() -> bool:
        try:
            await holder(authenticator, token)
        except Unauthenticated:
            return True
        return False

    await eventually(is_refused)


async def test_an_outage_is_not_noticed_while_the_keys_are_good(
    authenticator: Authenticator, provider: Provider, clock: Clock
) -> None:
    token = provider.token("admin")
    await holder(authenticator, token)
    provider.status = 500
    clock.now += LIFESPAN - 1
    assert (await holder(authenticator, token)).roles == {"admin"}
    clock.now += 1
    with pytest.raises(Unavailable) as refused:
        await holder(authenticator, token)
    assert refused.value.headers["Retry-After"]
    provider.status = 200
    clock.now += 10
    assert (await holder(authenticator, token)).roles == {"admin"}


@pytest.mark.parametrize(
    "keys",
    [
        b"",
        b"not JSON",
        b"[]",
        b"null",
        b"{}",
        b'{"keys": []}',
        b'{"keys": {}}',
        b'{"keys": [1, null, {"kty": "EC"}]}',
        b'{"keys": [{"kty": "oct", "kid": "toy", "k": "c2VjcmV0"}]}',
        b"[" * 100_000,
        b" " * 2_000_000,
    ],
    ids=lambda keys: repr(keys[:30]),
)
async def test_garbage_in_the_place_of_keys_is_unavailable(
    authenticator: Authenticator, provider: Provider, keys: bytes
) -> None:
    provider.keys = keys
    with pytest.raises(Unavailable):
        await holder(authenticator, provider.token("admin"))


@pytest.mark.parametrize(
    "configuration",
    [
        {},
        {"issuer": "https://elsewhere.example"},
        {"jwks_uri": "http://keys.example/jwks.json"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
    ],
    ids=str,
)
async def test_a_configuration_that_is_not_the_issuers_is_unavailable(
    authenticator: Authenticator, provider: Provider, configuration: dict[str, Any]
) -> None:
    provider.configuration = (provider.configuration | configuration) if configuration else {}
    with pytest.raises(Unavailable):
        await holder(authenticator, provider.token("admin"))
    assert provider.reads == 0


async def test_an_unknown_key_id_causes_one_refresh_in_a_while(
    authenticator: Authenticator, provider: Provider, clock: Clock
) -> None:
    await holder(authenticator, provider.token("admin"))
    stranger = Issuer()

    async def refuse(number: int) -> None:
        stranger.kid = f"unknown-{number}"
        with pytest.raises(Unauthenticated):
            await holder(authenticator, stranger.token("admin", iss=provider.address))

    clock.now += UNKNOWN_KEY_SECONDS
    for number in range(20):
        await refuse(number)
    assert provider.reads == 2


async def test_a_new_key_is_found_by_its_first_token(
    authenticator: Authenticator, provider: Provider, clock: Clock
) -> None:
    await holder(authenticator, provider.token("admin"))
    provider.withdraws_its_key()
    clock.now += UNKNOWN_KEY_SECONDS
    assert (await holder(authenticator, provider.token("analyst"))).roles == {"analyst"}


async def test_an_unknown_key_during_an_outage_is_unavailable_rather_than_refused(
    authenticator: Authenticator, provider: Provider, clock: Clock
) -> None:
    await holder(authenticator, provider.token("admin"))
    provider.withdraws_its_key()
    provider.status = 500
    clock.now += UNKNOWN_KEY_SECONDS
    with pytest.raises(Unavailable):
        await holder(authenticator, provider.token("admin"))


async def test_no_address_to_read_keys_from_is_unavailable() -> None:
    authenticator = Authenticator(settings(auth_issuer="ftp://somewhere"))
    with pytest.raises(Unavailable):
        await holder(authenticator, Issuer().token("admin"))


def rs256(provider: Provider) -> Callable[..., str]:
    """Publish an RSA key without an algorithm, as many providers do, and return what signs by it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    provider.keys = json.dumps({"keys": [public | {"kid": "rsa", "use": "sig"}]}).encode()

    def token(**claims: Any) -> str:
        payload = jwt.decode(provider.token(**claims), options={"verify_signature": False})
        return jwt.encode(payload, key, algorithm="RS256", headers={"kid": "rsa"})

    return token


@pytest.mark.parametrize(
    ("given", "claims", "roles"),
    [
        ({}, {"roles": ["sales-rep", "made-up", 1]}, {"sales-rep"}),
        ({}, {"roles": None}, set()),
        ({"auth_roles_claim": "realm_access.roles"}, {"realm_access": {"roles": ["analyst"]}}, {"analyst"}),
        ({"auth_roles_claim": "realm_access.roles"}, {"realm_access": ["analyst"]}, set()),
        ({"auth_roles_claim": "https://tandem.example/roles"}, {"https://tandem.example/roles": ["admin"]}, {"admin"}),
        (
            {"auth_roles_claim": "groups", "auth_role_mapping": {"8f3c": ["sales-rep", "analyst"], "77aa": ["admin"]}},
            {"groups": ["8f3c", "admin", "other"]},
            {"sales-rep", "analyst"},
        ),
    ],
    ids=["plain", "none", "a path", "no path", "an address", "groups"],
)
async def test_roles_come_from_the_declared_claim(
    provider: Provider, given: dict[str, Any], claims: dict[str, Any], roles: set[str]
) -> None:
    token = rs256(provider)(**claims)
    assert (await holder(Authenticator(settings(auth_issuer=provider.address, **given)), token)).roles == roles


async def test_subject_teams_and_regions_come_from_the_declared_claims(provider: Provider) -> None:
    team = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"
    authenticator = Authenticator(
        settings(
            auth_issuer=provider.address,
            auth_subject_claim="oid",
            auth_teams_claim="tandem.teams",
            auth_regions_claim="tandem.region",
        )
    )
    token = provider.token("sales-rep", oid="ada", tandem={"teams": [team, "no-id"], "region": "south"})
    found = await holder(authenticator, token)
    assert found.subject == "ada"
    assert {str(each) for each in found.teams} == {team}
    assert found.regions == {"south"}
    with pytest.raises(Unauthenticated):
        await holder(authenticator, provider.token("sales-rep"))


async def test_a_role_that_a_mapping_makes_up_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="auth_role_mapping"):
        settings(auth_role_mapping={"everybody": ["king"]})


async def test_keys_in_a_file_are_read_however_late_the_machine_comes_to_it(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "_READ_SECONDS", 0)
    keys = IssuerKeys(settings(auth_jwks=issuer.published_in(tmp_path)))
    assert list(await keys.current()) == [issuer.kid]


async def test_keys_in_a_file_are_read_again_too(tmp_path: Path, clock: Clock) -> None:
    issuer = Issuer()
    given = settings(auth_jwks=issuer.published_in(tmp_path))
    keys = IssuerKeys(given, clock=clock)
    assert await keys.key(issuer.kid)
    (tmp_path / "jwks.json").unlink()
    clock.now += LIFESPAN
    with pytest.raises(Problem) as refused:
        await keys.key(issuer.kid)
    assert refused.value.status == 503
