"""Sign-in of people at the local issuer: OpenID Connect's authorization code flow with PKCE, by a page of names.

It stands for a provider on one machine: choosing a name is all that it asks for. What it remembers ends with it.
"""

import base64
import hashlib
import html
import http.client
import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import UUID

CLIENT_ID: Final = "tandem-dashboard"
COOKIE: Final = "tandem-sign-in"
CODE_SECONDS: Final = 60.0
TOKEN_SECONDS: Final = 600
"""Of access tokens; a page that stays open refreshes them."""
_PKCE_LENGTHS: Final = range(43, 129)
_CHALLENGE_LENGTH: Final = 43
_KEPT: Final = ("client_id", "redirect_uri", "state", "nonce", "code_challenge")
"""Of an authorization request, what the page of names passes on."""
_MOST_KEPT: Final = 1_000
_PATIENCE: Final = 5.0


@dataclass(frozen=True)
class Person:
    """Who may sign in, and what the tokens then claim. `group` heads the list that they stand in."""

    subject: str
    name: str
    roles: tuple[str, ...]
    group: str
    person: UUID | None = None
    teams: tuple[UUID, ...] = ()


STAFF: Final = (
    Person("local-sales-manager", "Marta Lindqvist", ("sales-manager",), "Management"),
    Person("local-service-manager", "Tomas Brandt", ("service-manager",), "Management"),
    Person("local-analyst", "Yuki Tanaka", ("analyst",), "Management"),
    Person("local-admin", "Robin Okafor", ("admin",), "Management"),
)
"""Who is there in every local stack."""


@dataclass(frozen=True)
class Reply:
    """An answer over HTTP."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Code:
    person: Person
    redirect_uri: str
    nonce: str
    challenge: str
    expires: float


class SignIn:
    """What people do at the issuer for one client, the dashboard, at `redirect_uri`.

    `people` returns who may sign in now. `tokens` returns an access token and an ID token for a person and a nonce.
    """

    def __init__(
        self,
        redirect_uri: str,
        people: Callable[[], Sequence[Person]],
        tokens: Callable[[Person, str], tuple[str, str]],
    ) -> None:
        # People type either name of this machine.
        self._redirects = {redirect_uri, redirect_uri.replace("//127.0.0.1:", "//localhost:")}
        self.origins = {_origin(address) for address in self._redirects}
        self._people = people
        self._tokens = tokens
        self._codes: dict[str, _Code] = {}
        self._sessions: dict[str, Person] = {}
        self._refreshes: dict[str, Person] = {}

    def authorize(self, query: Mapping[str, str], cookie: str) -> Reply:
        """Answer an authorization request: with a code where the browser is signed in, else with the page of names."""
        if (problem := self._refusal(query)) is not None:
            return problem
        person = self._sessions.get(_session(cookie))
        if query.get("prompt") == "none" and person is None:
            return self._back(query, error="login_required")
        if person is not None and query.get("prompt") not in ("login", "select_account"):
            return self._back(query, code=self._code(person, query))
        return self._page(query)

    def choose(self, form: Mapping[str, str], origin: str, own_origin: str) -> Reply:
        """Sign in whom the page's form names."""
        if (problem := self._refusal({**form, "response_type": "code", "code_challenge_method": "S256"})) is not None:
            return problem
        if origin != own_origin:
            return _error(403, "The form was not sent by this page.")
        person = next((each for each in self._people() if each.subject == form.get("subject")), None)
        if person is None:
            return _error(400, "There is no person of that name any more. Go back and choose again.")
        session = secrets.token_urlsafe(24)
        _keep(self._sessions, session, person)
        answer = self._back(form, code=self._code(person, form))
        # Another site's page cannot send it along, except by a link that the person follows.
        kept = f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax"
        return Reply(answer.status, answer.body, {**answer.headers, "Set-Cookie": kept})

    def token(self, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Return tokens for a code or a refresh token, each good once (RFC 6749, sections 4.1.3 and 6)."""
        if form.get("client_id") != CLIENT_ID:
            return 401, {"error": "invalid_client"}
        nonce = ""
        if form["grant_type"] == "refresh_token":
            person = self._refreshes.pop(form.get("refresh_token", ""), None)
        else:
            code = self._codes.pop(form.get("code", ""), None)
            person = None
            if (
                code is not None
                and code.expires > time.monotonic()
                and code.redirect_uri == form.get("redirect_uri")
                and secrets.compare_digest(code.challenge, _challenge(form.get("code_verifier", "")))
            ):
                person, nonce = code.person, code.nonce
        if person is None:
            return 400, {"error": "invalid_grant"}
        access, identity = self._tokens(person, nonce)
        refresh = secrets.token_urlsafe(32)
        _keep(self._refreshes, refresh, person)
        return 200, {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
            "refresh_token": refresh,
            "id_token": identity,
            "scope": "openid offline_access",
        }

    def end(self, query: Mapping[str, str], cookie: str) -> Reply:
        """End the browser's session, and that person's refresh tokens."""
        person = self._sessions.pop(_session(cookie), None)
        if person is not None:
            self._refreshes = {token: whose for token, whose in self._refreshes.items() if whose != person}
        after = query.get("post_logout_redirect_uri", "")
        gone = {"Set-Cookie": f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"}
        if _origin(after) not in self.origins:
            return Reply(200, b"You are signed out.", {**gone, "Content-Type": "text/plain"})
        return Reply(302, b"", {**gone, "Location": after})

    def _refusal(self, query: Mapping[str, str]) -> Reply | None:
        # No browser is sent to an address that is not the client's.
        if query.get("client_id") != CLIENT_ID or query.get("redirect_uri") not in self._redirects:
            return _error(400, "This client or its address is not known here.")
        if query.get("response_type") != "code":
            return self._back(query, error="unsupported_response_type")
        if query.get("code_challenge_method") != "S256" or len(query.get("code_challenge", "")) != _CHALLENGE_LENGTH:
            return self._back(query, error="invalid_request")
        return None

    def _code(self, person: Person, query: Mapping[str, str]) -> str:
        code = secrets.token_urlsafe(24)
        expires = time.monotonic() + CODE_SECONDS
        _keep(
            self._codes,
            code,
            _Code(person, query["redirect_uri"], query.get("nonce", ""), query["code_challenge"], expires),
        )
        return code

    def _back(self, query: Mapping[str, str], **parameters: str) -> Reply:
        state = {"state": query["state"]} if query.get("state") else {}
        return Reply(302, b"", {"Location": f"{query['redirect_uri']}?{urlencode({**parameters, **state})}"})

    def _page(self, query: Mapping[str, str]) -> Reply:
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(query.get(name, ""))}">' for name in _KEPT
        )
        groups: dict[str, list[Person]] = {}
        for person in self._people():
            groups.setdefault(person.group, []).append(person)
        lists = "".join(
            f"<h2>{html.escape(group)}</h2><ul>{''.join(map(_choice, those))}</ul>" for group, those in groups.items()
        )
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign in to Tandem</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<link rel="icon" href="data:,"><link rel="stylesheet" href="/sign-in.css"></head><body><main>'
            '<p class="brand" aria-hidden="true"><i></i><i></i></p><h1>Sign in to Tandem</h1>'
            "<p>The local issuer stands for your company’s sign-in. Choose who you are.</p>"
            f'<form method="post" action="/sign-in">{hidden}{lists}</form></main></body></html>'
        )
        policy = (
            f"default-src 'none'; style-src 'self'; img-src data: {' '.join(sorted(self.origins))}; base-uri 'none'; "
            "frame-ancestors 'none'; "
            f"form-action 'self' {' '.join(sorted(self.origins))}"
        )
        return Reply(
            200, page.encode(), {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
        )


def _choice(person: Person) -> str:
    roles = html.escape(", ".join(role.replace("-", " ") for role in person.roles))
    return (
        f'<li><button name="subject" value="{html.escape(person.subject)}">'
        f"<b>{html.escape(person.name)}</b><span>{roles}</span></button></li>"
    )


def _keep(kept: dict[str, Any], key: str, value: object) -> None:
    """Keep a value, in the place of the oldest where there are too many."""
    if len(kept) >= _MOST_KEPT:
        del kept[next(iter(kept))]
    kept[key] = value


def _session(cookie: str) -> str:
    try:
        found = SimpleCookie(cookie).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _challenge(verifier: str) -> str:
    if len(verifier) not in _PKCE_LENGTHS:
        return ""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _error(status: int, says: str) -> Reply:
    return Reply(status, says.encode(), {"Content-Type": "text/plain; charset=utf-8"})


def people_of(reps: Iterable[Mapping[str, Any]], agents: Iterable[Mapping[str, Any]]) -> list[Person]:
    """Return the salespeople and agents with a subject, as `GET /v1/reps` and `GET /v1/agents` have them."""
    found = []
    for records, role, group in ((reps, "sales-rep", "Sales"), (agents, "service-agent", "Service")):
        for record in records:
            if record.get("subject"):
                teams = (UUID(record["team_id"]),) if record.get("team_id") else ()
                found.append(Person(record["subject"], record["name"], (role,), group, UUID(str(record["id"])), teams))
    return found


def records(url: str, path: str, token: str) -> list[dict[str, Any]]:
    """Return the first page of a list of an API on this machine; an empty one while the API is away."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_PATIENCE)
    try:
        connection.request("GET", f"{path}?limit=100", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return list(json.loads(answer.read())["items"]) if answer.status == HTTPStatus.OK else []
    except (OSError, http.client.HTTPException):
        return []
    finally:
        connection.close()


STYLE: Final = """
:root { color-scheme: light dark; }
* { box-sizing: border-box; }
body { margin: 0; background: light-dark(#f5f6f8, #0d0f11); color: light-dark(#13171c, #edf0f3);
  font: 14px/20px -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 640px; margin: 8vh auto; padding: 24px; background: light-dark(#fff, #15181c);
  border: 1px solid light-dark(#e1e5ea, #292e34); border-radius: 8px; }
.brand { display: flex; gap: 2px; margin: 0; }
.brand i { width: 14px; height: 14px; border-radius: 2px; background: light-dark(#2266cb, #6ea6fb); }
.brand i + i { border-radius: 50%; background: light-dark(#ab6600, #dd9e3a); }
h1 { font-size: 20px; line-height: 24px; margin: 12px 0 4px; }
h2 { font-size: 13px; margin: 20px 0 8px; }
p { margin: 0; color: light-dark(#434b55, #b6bdc6); }
ul { list-style: none; margin: 0; padding: 0; display: grid; gap: 8px;
  grid-template-columns: repeat(auto-fill, minmax(180px, 1fr)); }
button { width: 100%; min-height: 48px; padding: 6px 12px; text-align: start; cursor: pointer;
  font: inherit; color: inherit; background: none; border: 1px solid light-dark(#838c97, #707984); border-radius: 4px; }
button:hover { background: light-dark(#f0f2f4, #1e2227); }
button:focus-visible { outline: 2px solid light-dark(#1c59b4, #80b2ff); outline-offset: 2px; }
button b, button span { display: block; }
button b { font-weight: 600; }
button span { font-size: 12px; line-height: 16px; color: light-dark(#5d6671, #939ca7); }
@media (max-width: 600px) { main { margin: 0; border: 0; min-height: 100vh; border-radius: 0; } }
"""
