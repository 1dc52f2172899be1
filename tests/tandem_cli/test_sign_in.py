"""People sign in at the local issuer as at a provider: a code for a verifier, once, and only at the dashboard."""

import asyncio
import base64
import hashlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import jwt
import pytest

from service_kit.auth import Authenticator
from service_kit.settings import ServiceSettings
from tandem_cli.issuer import Issuer, address_of
from tandem_cli.sign_in import CLIENT_ID, STAFF, people_of

DASHBOARD = "http://127.0.0.1:8003"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REQUEST = {
    "client_id": CLIENT_ID,
    "redirect_uri": f"{DASHBOARD}/signed-in",
    "response_type": "code",
    "state": "a state",
    "nonce": "a nonce",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
REP = UUID("01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11")
TEAM = UUID("01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[httpx.Client]:
    """A browser with its cookies, at the issuer."""
    ada = people_of(
        [{"id": str(REP), "name": "Ada <b>", "subject": "ada", "team_id": str(TEAM)}, {"subject": None}], []
    )
    with Issuer(tmp_path).server(0, dashboard=DASHBOARD, people=lambda: [*STAFF, *ada]) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with httpx.Client(base_url=address_of(server)) as client:
            yield client
        server.shutdown()


def choose(browser: httpx.Client, subject: str, **changed: str) -> httpx.Response:
    origin = str(browser.base_url).rstrip("/")
    return browser.post("/sign-in", data=REQUEST | {"subject": subject} | changed, headers={"Origin": origin})


def sent_back(answer: httpx.Response) -> dict[str, str]:
    """The parameters with which the browser is sent back to the dashboard."""
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(REQUEST["redirect_uri"] + "?")
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def exchange(browser: httpx.Client, code: str, **changed: str) -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "client_id": CLIENT_ID}
    form["redirect_uri"] = REQUEST["redirect_uri"]
    return browser.post("/token", data=form | changed, headers={"Origin": DASHBOARD})


def test_the_chosen_person_gets_a_token_that_a_service_takes(browser: httpx.Client) -> None:
    page = browser.get("/authorize", params=REQUEST)
    assert re.findall(r"<b>([^<]+)</b>", page.text)[-1] == "Ada &lt;b&gt;"
    assert "default-src 'none'" in page.headers["content-security-policy"]

    back = sent_back(choose(browser, "ada"))
    assert back["state"] == "a state"
    answer = exchange(browser, back["code"])
    assert answer.headers["access-control-allow-origin"] == DASHBOARD
    tokens = answer.json()
    issuer = str(browser.base_url).rstrip("/")
    settings = ServiceSettings(database_url="postgresql+asyncpg://nowhere/nothing", auth_issuer=issuer)
    ada = asyncio.run(Authenticator(settings).authenticate(f"Bearer {tokens['access_token']}"))
    assert (ada.subject, ada.person) == ("ada", REP)
    assert ada.roles == {"sales-rep"}
    assert ada.teams == {TEAM}
    identity = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    assert (identity["iss"], identity["aud"], identity["name"], identity["nonce"]) == (
        issuer,
        CLIENT_ID,
        "Ada <b>",
        "a nonce",
    )


def test_a_browser_that_is_signed_in_is_sent_straight_back_until_it_signs_out(browser: httpx.Client) -> None:
    assert sent_back(browser.get("/authorize", params=REQUEST | {"prompt": "none"}))["error"] == "login_required"
    tokens = exchange(browser, sent_back(choose(browser, STAFF[0].subject))["code"]).json()
    assert "code" in sent_back(browser.get("/authorize", params=REQUEST))
    out = browser.get("/end-session", params={"post_logout_redirect_uri": f"{DASHBOARD}/signed-out"})
    assert out.headers["location"] == f"{DASHBOARD}/signed-out"
    assert browser.get("/authorize", params=REQUEST).status_code == 200
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": CLIENT_ID}
    assert browser.post("/token", data=refresh).json() == {"error": "invalid_grant"}


def test_codes_and_refresh_tokens_are_good_once(browser: httpx.Client) -> None:
    code = sent_back(choose(browser, STAFF[0].subject))["code"]
    tokens = exchange(browser, code).json()
    assert exchange(browser, code).status_code == 400
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": CLIENT_ID}
    renewed = browser.post("/token", data=refresh).json()
    assert renewed["access_token"] != tokens["access_token"]
    assert browser.post("/token", data=refresh).status_code == 400


def test_no_one_else_is_sent_a_code_or_given_a_token_for_it(browser: httpx.Client) -> None:
    for elsewhere in ({"redirect_uri": "http://127.0.0.1:9/signed-in"}, {"client_id": "another"}):
        assert browser.get("/authorize", params=REQUEST | elsewhere).status_code == 400
        assert choose(browser, STAFF[0].subject, **elsewhere).status_code == 400
    for unsafe in ({"code_challenge_method": "plain"}, {"code_challenge": ""}):
        assert sent_back(browser.get("/authorize", params=REQUEST | unsafe))["error"] == "invalid_request"
    assert browser.post("/sign-in", data=REQUEST | {"subject": "ada"}, headers={"Origin": "null"}).status_code == 403
    assert choose(browser, "unknown").status_code == 400
    for wrong in ({"code_verifier": "w" * 43}, {"code_verifier": ""}, {"redirect_uri": DASHBOARD}):
        code = sent_back(choose(browser, STAFF[0].subject))["code"]
        assert exchange(browser, code, **wrong).json() == {"error": "invalid_grant"}
    assert exchange(browser, "none", client_id="another").json() == {"error": "invalid_client"}
