"""The issuer's published keys: found by discovery or at a given address, and trusted for a lifespan."""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpcore
import jwt
import msgspec
import structlog

from service_kit.problems import RETRY_AFTER_SECONDS, Unauthenticated, Unavailable
from service_kit.settings import ServiceSettings

log = structlog.get_logger()

# A symmetric algorithm here would let the public key, which everybody has, sign tokens.
ALGORITHMS: Final = ("ES256", "ES384", "RS256", "PS256", "EdDSA")
UNKNOWN_KEY_SECONDS: Final = 10
"""The pause between refreshes for unknown key ids, which must not become a way to hammer the issuer."""
_READ_SECONDS: Final = 3
_MAX_BYTES: Final = 1024 * 1024
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

Keys = Mapping[str, jwt.PyJWK]


class IssuerUnusable(Exception):
    """The issuer's documents cannot be read, or hold nothing to verify by."""


class IssuerKeys:
    """Reads the keys when they are first needed, again when half of their lifespan is over, and when one is unknown.

    A key that is withdrawn verifies nothing once the keys are read again, which is within their lifespan at the latest.
    An outage of the issuer is noticed only when it lasts for half of the lifespan.
    """

    def __init__(self, settings: ServiceSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._keys: Keys = {}
        self._read_at = self._tried_at = float("-inf")
        self._has_failed = False
        self._lock = asyncio.Lock()
        self._ahead: asyncio.Task[None] | None = None

    async def current(self) -> Keys:
        """Return the keys by their ids, another mapping after each refresh.

        Raise `Unavailable` (503) while there are none that are young enough.
        """
        lifespan = self._settings.auth_keys_seconds
        age = self._clock() - self._read_at
        if age >= lifespan:
            await self._refresh(pause=RETRY_AFTER_SECONDS)
            if self._clock() - self._read_at >= lifespan:
                raise _unavailable()
        elif age >= lifespan / 2 and (self._ahead is None or self._ahead.done()):
            # No request waits for it: the keys are good for as long again.
            self._ahead = asyncio.create_task(self._refresh(pause=RETRY_AFTER_SECONDS), name="issuer-keys")
        return self._keys

    async def key(self, key_id: str) -> jwt.PyJWK:
        """Return the key of this id. Raise `Unauthenticated` when the issuer publishes none, and `Unavailable`."""
        keys = await self.current()
        if key_id not in keys:
            await self._refresh(pause=UNKNOWN_KEY_SECONDS)
        key = self._keys.get(key_id)
        if key is not None:
            return key
        if self._has_failed:
            # It may be one that was published since.
            raise _unavailable()
        raise Unauthenticated("The token is signed by a key that the issuer does not publish.", error="invalid_token")

    async def _refresh(self, *, pause: float) -> None:
        """Read the keys, unless that was tried less than a pause ago."""
        async with self._lock:
            if self._clock() - self._tried_at < pause:
                return
            try:
                self._keys = await self._read()
                self._read_at = self._clock()
                self._has_failed = False
            except Exception as error:
                # Whatever it is: what is held stays good until its lifespan is over.
                self._has_failed = True
                log.warning("issuer_keys_unreadable", error=repr(error))
            finally:
                self._tried_at = self._clock()

    async def _read(self) -> Keys:
        known = self._settings.auth_jwks
        # A file needs no limit: its thread may begin late on a busy machine, and would not end by being cancelled.
        is_file = urlsplit(known).scheme == "file"
        async with asyncio.timeout(None if is_file else _READ_SECONDS):
            document = await _document_at(known or await self._discovered())
        keys = {
            key.key_id: key
            for key in jwt.PyJWKSet.from_dict(document).keys
            if key.key_id and key.algorithm_name in ALGORITHMS and key.public_key_use in ("sig", None)
        }
        if not keys:
            raise IssuerUnusable("no key with an id and an algorithm that tokens may be signed by")
        return keys

    async def _discovered(self) -> str:
        """Return the address of the keys by OpenID Connect Discovery."""
        issuer = self._settings.auth_issuer
        document = await _document_at(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise IssuerUnusable(f"the configuration is of the issuer {document.get('issuer')!r}, not of AUTH_ISSUER")
        address = document.get("jwks_uri")
        if not isinstance(address, str) or urlsplit(address).scheme == "file":
            raise IssuerUnusable("the configuration has no jwks_uri that can be read")
        return address


def _unavailable() -> Unavailable:
    return Unavailable("The keys of the token issuer cannot be read now. Send the same request again shortly.")


async def _document_at(address: str) -> dict[str, Any]:
    parts = urlsplit(address)
    if parts.scheme == "file":
        content = await asyncio.to_thread(Path(url2pathname(parts.path)).read_bytes)
    elif parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        content = await _fetch(address)
    else:
        raise IssuerUnusable(f"{address} is no https:// or file:// address, nor http:// of this machine")
    document = msgspec.json.decode(content)
    if not isinstance(document, dict):
        raise IssuerUnusable(f"{address} is no JSON object")
    return document


async def _fetch(address: str) -> bytes:
    # By the system's certificates, to which a company adds its own. Redirects are not followed: who can redirect
    # could publish keys.
    context = ssl.create_default_context()
    received = bytearray()
    async with (
        httpcore.AsyncConnectionPool(ssl_context=context) as pool,
        pool.stream("GET", address, headers={"Accept": "application/json"}) as answer,
    ):
        if answer.status != 200:
            raise IssuerUnusable(f"{address} answered {answer.status}")
        async for chunk in answer.aiter_stream():
            received += chunk
            if len(received) > _MAX_BYTES:
                raise IssuerUnusable(f"{address} is larger than {_MAX_BYTES} bytes")
    return bytes(received)
