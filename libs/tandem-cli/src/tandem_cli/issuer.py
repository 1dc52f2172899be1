"""The local issuer of bearer tokens: what an OpenID provider is in production, as two files in the data directory.

`server` publishes the same keys over HTTP, found by OpenID Connect Discovery as those of a provider are, gives
tokens to service accounts, and signs people in to the dashboard (`sign_in`).
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, unquote_plus
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tandem_cli import atomic_files
from tandem_cli.ports import LOOPBACK
from tandem_cli.problem import StackProblem
from tandem_cli.sign_in import CLIENT_ID, STYLE, TOKEN_SECONDS, Person, Reply, SignIn

ISSUER = "http://127.0.0.1/tandem-local"
AUDIENCE = "tandem"
ROLES = ("sales-rep", "sales-manager", "service-agent", "service-manager", "analyst", "importer", "admin")


CLIENT_TOKEN_LIFETIME = timedelta(minutes=5)
MAX_FORM_BYTES = 4096


@dataclass(frozen=True)
class Client:
    """A service account: a machine that gets tokens in these roles for its secret."""

    secret: str = field(repr=False)
    roles: tuple[str, ...]


NO_CLIENTS: Mapping[str, Client] = MappingProxyType({})


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

    def identity(self, person: Person, nonce: str, *, issuer: str) -> str:
        """Return an ID token of a person for the dashboard, as OpenID Connect has it."""
        now = datetime.now(UTC)
        claims = {
            "iss": issuer,
            "aud": CLIENT_ID,
            "sub": person.subject,
            "name": person.name,
            "iat": now,
            "exp": now + timedelta(seconds=TOKEN_SECONDS),
            **({"nonce": nonce} if nonce else {}),
        }
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": _thumbprint(_public_jwk(self._key))})

    def server(
        self,
        port: int,
        clients: Mapping[str, "Client"] = NO_CLIENTS,
        *,
        dashboard: str = "",
        people: Callable[[], Sequence[Person]] = tuple,
        names_itself: bool = True,
    ) -> ThreadingHTTPServer:
        """Return a server of the keys, and of tokens for these clients by their ids, on this machine only.

        At `dashboard`, the address of metrics-api, `people` may sign in. `names_itself` False leaves access tokens the
        issuer that those of `token` name.
        """
        issuer, keys = self, self.jwks_file.read_bytes()

        def tokens(person: Person, nonce: str) -> tuple[str, str]:
            access = issuer.token(
                person.roles,
                subject=person.subject,
                lifetime=timedelta(seconds=TOKEN_SECONDS),
                person=person.person,
                teams=person.teams,
                issuer=address_of(server) if names_itself else ISSUER,
            )
            return access, issuer.identity(person, nonce, issuer=address_of(server))

        sign_in = SignIn(f"{dashboard}/signed-in", people, tokens) if dashboard else None

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                cookie = self.headers.get("Cookie", "")
                if sign_in is not None and path == "/authorize":
                    self._reply(sign_in.authorize(_fields(query), cookie))
                elif sign_in is not None and path == "/end-session":
                    self._reply(sign_in.end(_fields(query), cookie))
                elif sign_in is not None and path == "/sign-in.css":
                    self._reply(Reply(200, STYLE.encode(), {"Content-Type": "text/css"}))
                else:
                    configuration = _configuration(address_of(server), signs_in=sign_in is not None)
                    documents = {
                        "/.well-known/openid-configuration": json.dumps(configuration).encode(),
                        "/jwks.json": keys,
                    }
                    found = documents.get(path)
                    self._answer(404 if found is None else 200, found or b"{}")

            def do_POST(self) -> None:
                if self.path not in ("/token", "/sign-in"):
                    self._answer(404, b"{}")
                    return
                body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), MAX_FORM_BYTES))
                form = _fields(body.decode(errors="replace"))
                if self.path == "/sign-in":
                    if sign_in is None:
                        self._answer(404, b"{}")
                    else:
                        self._reply(sign_in.choose(form, self.headers.get("Origin", ""), address_of(server)))
                    return
                status, answer = self._token(form)
                self._answer(status, json.dumps(answer).encode())

            def _token(self, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
                """Answer a request by RFC 6749, section 4.4: the client signs in by HTTP Basic or in the body."""
                if sign_in is not None and form.get("grant_type") in ("authorization_code", "refresh_token"):
                    return sign_in.token(form)
                given = _basic(self.headers.get("Authorization", "")) or (
                    form.get("client_id", ""),
                    form.get("client_secret", ""),
                )
                client = clients.get(given[0])
                if client is None or not secrets.compare_digest(client.secret.encode(), given[1].encode()):
                    return 401, {"error": "invalid_client"}
                if form.get("grant_type") != "client_credentials":
                    return 400, {"error": "unsupported_grant_type"}
                token = issuer.token(
                    client.roles, subject=given[0], lifetime=CLIENT_TOKEN_LIFETIME, issuer=address_of(server)
                )
                lifetime = int(CLIENT_TOKEN_LIFETIME.total_seconds())
                return 200, {"access_token": token, "token_type": "Bearer", "expires_in": lifetime}

            def _answer(self, status: int, content: bytes) -> None:
                self._reply(Reply(status, content, {"Content-Type": "application/json"}))

            def _reply(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Cache-Control", "no-store")
                origin = self.headers.get("Origin", "")
                if sign_in is not None and origin in sign_in.origins:
                    # The page at the dashboard reads the configuration, and sends its code.
                    self.send_header("Access-Control-Allow-Origin", origin)
                    self.send_header("Vary", "Origin")
                self.end_headers()
                self.wfile.write(reply.body)

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


def _basic(header: str) -> tuple[str, str] | None:
    """Return the id and the secret of a client that signs in by HTTP Basic, None for any other."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return unquote_plus(name), unquote_plus(secret)


def _fields(encoded: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(encoded).items()}


def _configuration(address: str, *, signs_in: bool) -> dict[str, Any]:
    """Return what OpenID Connect Discovery requires of an issuer, and what signing people in adds."""
    configuration: dict[str, Any] = {
        "issuer": address,
        "jwks_uri": f"{address}/jwks.json",
        "authorization_endpoint": f"{address}/authorize",
        "token_endpoint": f"{address}/token",
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }
    if signs_in:
        configuration["token_endpoint_auth_methods_supported"] += ["none"]
        configuration["grant_types_supported"] += ["authorization_code", "refresh_token"]
        configuration |= {
            "end_session_endpoint": f"{address}/end-session",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "offline_access"],
        }
    return configuration


def _public_jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    return {"crv": "P-256", "kty": "EC", "x": _base64url(numbers.x), "y": _base64url(numbers.y)}


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()


def _thumbprint(jwk: dict[str, str]) -> str:
    """The key's id by RFC 7638: the same key always has the same one."""
    canonical = json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
