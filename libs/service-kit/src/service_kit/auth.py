"""Authentication: bearer JWTs of one OIDC issuer, and what they claim of their holder."""

import re
import time
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import jwt
import msgspec

from service_kit.issuer_keys import ALGORITHMS, IssuerKeys, Keys
from service_kit.problems import Unauthenticated, Unavailable
from service_kit.roles import ROLES
from service_kit.settings import ServiceSettings

BACKDATING_ROLES: Final = frozenset({"sales-manager", "service-manager", "importer", "admin"})
"""The roles that may backdate: enter what happened earlier than now."""

_ACCESS_TOKEN_HEADERS: Final = frozenset({"jwt", "at+jwt"})
"""The header `typ` of access tokens; explicit other types are for other uses (RFC 8725, section 3.11)."""
_ACCESS_TOKEN_CLAIMS: Final = {"typ": frozenset({"bearer", "jwt", "at+jwt"}), "token_use": frozenset({"access"})}
"""What providers claim of an access token, where they claim one: others are `ID`, `Refresh`, `Offline`, `Logout`."""
_ID_TOKEN_CLAIMS: Final = frozenset({"at_hash", "c_hash"})
"""Claims that OpenID Connect defines for ID tokens only."""

_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)
_CACHED_TOKENS = 1024


class Principal(msgspec.Struct, frozen=True):
    """The holder of a valid token."""

    subject: str
    roles: frozenset[str]
    expires_at: float
    person: UUID | None = None
    """The salesperson or agent that the token claims its holder to be, where no record names the subject."""
    teams: frozenset[UUID] = frozenset()
    """The teams that the token claims, beside that of the person's own record."""
    regions: frozenset[str] = frozenset()
    """The regions that the token claims, likewise."""
    key_id: str = ""
    """The key that signed the token."""

    def may(self, *roles: str) -> bool:
        """Return whether it holds at least one of the roles; an admin always does."""
        return "admin" in self.roles or not self.roles.isdisjoint(roles)


class Authenticator:
    """Verifies tokens by the issuer's published keys."""

    def __init__(self, settings: ServiceSettings, keys: IssuerKeys | None = None) -> None:
        self._settings = settings
        self._keys = keys or IssuerKeys(settings)
        self._verified: dict[str, Principal] = {}
        self._verified_by: Keys = {}

    async def authenticate(self, authorization: str | None) -> Principal:
        """Return the principal of an `Authorization` header.

        Raise `Unauthenticated`, and `Unavailable` (503) while there are no keys to verify by.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("Send the header Authorization: Bearer <token>.")
        keys = await self._keys.current()
        if keys is not self._verified_by:
            # The key of a verified token may be withdrawn.
            self._verified, self._verified_by = {}, keys
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

    async def still_holds(self, principal: Principal) -> bool:
        """Return whether a token that was verified earlier is still valid: neither it nor its key has ended."""
        if principal.expires_at <= time.time():
            return False
        try:
            return principal.key_id in await self._keys.current()
        except Unavailable:
            # As for a new request: without keys nothing is verified.
            return False

    async def _verify(self, token: str) -> Principal:
        settings = self._settings
        if not settings.auth_issuer:
            raise Unauthenticated("No issuer of tokens is set, so none is taken.")
        try:
            header = jwt.get_unverified_header(token)
            key_id = header.get("kid")
            if header.get("alg") not in ALGORITHMS or not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
                raise Unauthenticated("The token's header is not one of this issuer's.", error="invalid_token")
            claims = jwt.decode(
                token,
                await self._keys.key(key_id),
                algorithms=list(ALGORITHMS),
                audience=settings.auth_audience,
                issuer=settings.auth_issuer,
                options={"require": ["exp", "iat", "iss", "aud"]},
                leeway=5,
            )
            _check_type(header, claims, settings.auth_token_type)
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired; get a new one.", error="invalid_token") from None
        except jwt.InvalidTokenError as error:
            raise Unauthenticated(
                f"The token is not valid: {type(error).__name__}. Get a new one.", error="invalid_token"
            ) from None
        subject = _claim(claims, settings.auth_subject_claim)
        if not isinstance(subject, str) or not subject:
            raise Unauthenticated(f"The token has no {settings.auth_subject_claim}.", error="invalid_token")
        return Principal(
            subject=subject,
            roles=_roles(claims, settings),
            expires_at=float(claims["exp"]),
            person=next(iter(_identifiers(_claim(claims, settings.auth_person_claim))), None),
            teams=frozenset(_identifiers(_claim(claims, settings.auth_teams_claim))),
            regions=frozenset(_texts(_claim(claims, settings.auth_regions_claim))),
            key_id=key_id,
        )


def _check_type(header: Mapping[str, Any], claims: Mapping[str, Any], required: str) -> None:
    """Raise `Unauthenticated` for a token that is no access token, such as an ID token for the same audience."""
    kind = _lower(header.get("typ", "JWT")).removeprefix("application/")
    marks = {name: _lower(claims[name]) for name in _ACCESS_TOKEN_CLAIMS if name in claims}
    is_other = (
        kind not in _ACCESS_TOKEN_HEADERS
        or any(mark not in _ACCESS_TOKEN_CLAIMS[name] for name, mark in marks.items())
        or not _ID_TOKEN_CLAIMS.isdisjoint(claims)
    )
    is_marked = {
        "": True,
        "at+jwt": kind == "at+jwt",
        "bearer": marks.get("typ") == "bearer",
        "access": marks.get("token_use") == "access",
    }[required]
    if is_other or not is_marked:
        raise Unauthenticated(
            "The token is no access token. Send the one that is issued for APIs.", error="invalid_token"
        )


def _lower(value: object) -> str:
    return value.lower() if isinstance(value, str) else ""


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """Return the claim of this name, or at this path of names with dots between, or None.

    The name first: some issuers name claims by addresses.
    """
    if path in claims:
        return claims[path]
    value: Any = claims
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _roles(claims: Mapping[str, Any], settings: ServiceSettings) -> frozenset[str]:
    found = _claim(claims, settings.auth_roles_claim)
    if found is None:
        return frozenset()
    if not isinstance(found, list):
        raise Unauthenticated("The token's roles are not a list.", error="invalid_token")
    if not settings.auth_role_mapping:
        return frozenset(role for role in found if role in ROLES)
    # Only what is declared: a group that happens to be called admin makes no admin.
    return frozenset(role for name in _texts(found) for role in settings.auth_role_mapping.get(name, ()))


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str) and text]


def _identifiers(value: Any) -> list[UUID]:
    found = []
    for text in _texts(value):
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found
