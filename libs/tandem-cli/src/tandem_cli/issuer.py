"""The local issuer of bearer tokens: what an OpenID provider is in production, as two files in the data directory.

`serve` publishes the same keys over HTTP, found by OpenID Connect Discovery as those of a provider are.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tandem_cli import atomic_files
from tandem_cli.ports import LOOPBACK
from tandem_cli.problem import StackProblem

ISSUER = "http://127.0.0.1/tandem-local"
AUDIENCE = "tandem"
ROLES = ("sales-rep", "sales-manager", "service-agent", "service-manager", "analyst", "importer", "admin")


class Issuer:
    """Signs tokens (ES256) with the key in `directory`, which it makes at first use.

    `private-key.pem` can be read by its owner only; `jwks.json` beside it is what the services check tokens with.
    """

    def __init__(self, directory: Path) -> None:
        self.jwks_file = directory.resolve() / "jwks.json"
        self._key_file = directory.resolve() / "private-key.pem"
        try:
            self._key = self._load_or_make()
        except PermissionError as error:
            raise StackProblem(
                f"The key of the local token issuer, {self._key_file}, is out of reach for this user."
            ) from error

    @property
    def jwks_url(self) -> str:
        return self.jwks_file.as_uri()

    def token(
        self,
        roles: Sequence[str],
        *,
        subject: str = "local-user",
        lifetime: timedelta = timedelta(hours=12),
        person: UUID | None = None,
        teams: Sequence[UUID] = (),
        regions: Sequence[str] = (),
        issuer: str = ISSUER,
    ) -> str:
        """Return a JWT for `subject` in these roles. Raise StackProblem for an unknown role or none.

        It may claim a salesperson or agent, teams and regions. `issuer` differs where the keys are served.
        """
        if not roles:
            raise StackProblem(f"A token needs at least one role: {', '.join(ROLES)}.")
        for role in roles:
            if role not in ROLES:
                raise StackProblem(f"There is no role '{role}'; the roles are {', '.join(ROLES)}.")
        now = datetime.now(UTC)
        claims: dict[str, Any] = {
            "iss": issuer,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "jti": str(uuid4()),
            "roles": list(roles),
        }
        # Only where there are some: most tokens claim none.
        claims |= {} if person is None else {"person": str(person)}
        claims |= {"teams": [str(team) for team in teams]} if teams else {}
        claims |= {"regions": list(regions)} if regions else {}
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": _thumbprint(_public_jwk(self._key))})

    def server(self, port: int) -> ThreadingHTTPServer:
        """Return a server of the keys and of the configuration that leads to them, on this machine only."""
        keys = self.jwks_file.read_bytes()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                address = address_of(server)
                documents = {
                    "/.well-known/openid-configuration": json.dumps(_configuration(address)).encode(),
                    "/jwks.json": keys,
                }
                found = documents.get(self.path)
                self.send_response(404 if found is None else 200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(found or b"{}")

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class' name
                pass

        server = ThreadingHTTPServer((LOOPBACK, port), Handler)
        return server

    def _load_or_make(self) -> ec.EllipticCurvePrivateKey:
        if not self._key_file.exists():
            self._key_file.parent.mkdir(parents=True, exist_ok=True)
            self._make()
        key = serialization.load_pem_private_key(self._key_file.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise StackProblem(f"{self._key_file} holds a key of another kind; remove it and a new one is made.")
        jwk = _public_jwk(key)
        jwks = json.dumps({"keys": [{**jwk, "kid": _thumbprint(jwk), "use": "sig", "alg": "ES256"}]}, indent=2)
        if not self.jwks_file.exists() or self.jwks_file.read_text() != jwks:
            atomic_files.replace(self.jwks_file, jwks.encode(), mode=0o644)
        return key

    def _make(self) -> None:
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        atomic_files.create(self._key_file, pem)


def address_of(server: ThreadingHTTPServer) -> str:
    """Return the address of a server: the issuer that its tokens have to name."""
    return f"http://{LOOPBACK}:{server.server_port}"


def _configuration(address: str) -> dict[str, Any]:
    """Return what OpenID Connect Discovery requires of an issuer, which has no more than keys here."""
    return {
        "issuer": address,
        "jwks_uri": f"{address}/jwks.json",
        "authorization_endpoint": f"{address}/authorize",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }


def _public_jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    return {"crv": "P-256", "kty": "EC", "x": _base64url(numbers.x), "y": _base64url(numbers.y)}


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()


def _thumbprint(jwk: dict[str, str]) -> str:
    """The key's id by RFC 7638: the same key always has the same one."""
    canonical = json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
