"""Authentication: bearer JWTs of one OIDC issuer, and the roles that they carry."""

import asyncio
import re
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname, urlopen

import jwt
import msgspec
from fastapi import Request

from service_kit.problems import Forbidden, Unauthenticated
from service_kit.settings import ServiceSettings

ROLES: Final = (
    "sales-rep",
    "sales-manager",
    "service-agent",
    "service-manager",
    "analyst",
    "importer",
    "admin",
)
BACKDATING_ROLES: Final = frozenset({"sales-manager", "service-manager", "importer", "admin"})
"""The roles that may backdate: enter what happened earlier than now."""

# A symmetric algorithm here would let the public key, which everybody has, sign tokens.
_ALGORITHMS: Final = ("ES256", "ES384", "RS256", "PS256", "EdDSA")
_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)
_REFRESH_SECONDS = 10
_CACHED_TOKENS = 1024


class Principal(msgspec.Struct, frozen=True):
    """The holder of a valid token."""

    subject: str
    roles: frozenset[str]
    expires_at: float

    def may(self, *roles: str) -> bool:
        """Return whether it holds at least one of the roles; an admin always does."""
        return "admin" in self.roles or not self.roles.isdisjoint(roles)


class Authenticator:
    """Verifies tokens by the issuer's published keys, which it reads when they are first needed and when one is new."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._verified: dict[str, Principal] = {}

    async def authenticate(self, authorization: str | None) -> Principal:
        """Return the principal of an `Authorization` header. Raise `Unauthenticated`."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("Send the header Authorization: Bearer <token>.")
        if (known := self._verified.get(token)) is not None:
            # A signature costs more than all the rest of a small request; a token is verified once.
            if known.expires_at > time.time():
                return known
            del self._verified[token]
        principal = await self._verify(token)
        if len(self._verified) >= _CACHED_TOKENS:
            self._verified.clear()
        self._verified[token] = principal
        return principal

    async def _verify(self, token: str) -> Principal:
        try:
            header = jwt.get_unverified_header(token)
            key_id = header.get("kid")
            if header.get("alg") not in _ALGORITHMS or not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
                raise Unauthenticated("The token's header is not one of this issuer's.", error="invalid_token")
            claims = jwt.decode(
                token,
                await self._key(key_id),
                algorithms=list(_ALGORITHMS),
                audience=self._settings.auth_audience,
                issuer=self._settings.auth_issuer,
                options={"require": ["exp", "iat", "sub", "iss", "aud"]},
                leeway=5,
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired; get a new one.", error="invalid_token") from None
        except jwt.InvalidTokenError as error:
            raise Unauthenticated(
                f"The token is not valid: {type(error).__name__}. Get a new one.", error="invalid_token"
            ) from None
        roles = claims.get("roles", [])
        if not isinstance(roles, list):
            raise Unauthenticated("The token's roles are not a list.", error="invalid_token")
        return Principal(
            subject=claims["sub"],
            roles=frozenset(role for role in roles if role in ROLES),
            expires_at=float(claims["exp"]),
        )

    async def _key(self, key_id: str) -> jwt.PyJWK:
        if key_id not in self._keys:
            async with self._reading:
                # Unknown ids must not become a way to hammer the issuer.
                if key_id not in self._keys and time.monotonic() - self._read_at > _REFRESH_SECONDS:
                    self._read_at = time.monotonic()
                    self._keys = await asyncio.to_thread(_read_keys, self._settings.auth_jwks)
        if (key := self._keys.get(key_id)) is None:
            raise Unauthenticated(
                "The token is signed by a key that the issuer does not publish.", error="invalid_token"
            )
        return key


def _read_keys(address: str) -> dict[str, jwt.PyJWK]:
    parts = urlsplit(address)
    if parts.scheme == "file":
        document = Path(url2pathname(parts.path)).read_bytes()
    elif parts.scheme == "https":
        with urlopen(address, timeout=5) as answer:  # noqa: S310 -- the scheme was checked
            document = answer.read(1024 * 1024)
    else:
        raise Unauthenticated("The service has no issuer: AUTH_JWKS must be an https:// or file:// address.")
    keys: dict[str, Any] = msgspec.json.decode(document)
    return {key.key_id: key for key in jwt.PyJWKSet.from_dict(keys).keys if key.key_id}


class requires:  # noqa: N801 -- reads as a word at the route: Depends(requires("sales-manager"))
    """A dependency that admits only these roles, and gives the route its principal."""

    def __init__(self, *roles: str) -> None:
        unknown = set(roles) - set(ROLES)
        if unknown:
            raise ValueError(f"unknown roles: {unknown}")
        self.roles = roles

    async def __call__(self, request: Request) -> Principal:
        """Return the principal. Raise `Forbidden` when none of its roles is enough."""
        principal: Principal = request.state.principal
        if not principal.may(*self.roles):
            raise Forbidden(f"This needs one of the roles: {', '.join(self.roles)}.")
        return principal
