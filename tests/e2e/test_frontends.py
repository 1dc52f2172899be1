"""A frontend under development, on an origin of its own, uses the running APIs from a browser."""

import uuid

import httpx
import pytest

from tandem_cli.stack import LocalStack
from tests.every_api.test_every_route import PACKAGES

VITE = "http://localhost:5173"
READABLE = {"ETag", "Location", "X-Request-Id", "Retry-After", "RateLimit", "RateLimit-Policy"}


@pytest.fixture(params=[name.removesuffix("-api") for name in PACKAGES])
def address(request: pytest.FixtureRequest, stack: LocalStack) -> str:
    return stack.urls[request.param]


def test_a_development_server_may_use_every_api(stack: LocalStack, address: str) -> None:
    headers = {"Origin": VITE}
    asked = {
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key,if-match",
    }
    with httpx.Client(base_url=address, headers=headers) as http:
        allowed = http.options(f"/v1/webhooks/{uuid.uuid4()}", headers=asked)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == VITE
        assert "PATCH" in allowed.headers["access-control-allow-methods"]
        authorized = {"Authorization": f"Bearer {stack.token('admin')}"}
        answers = {
            200: http.get("/v1/me", headers=authorized),
            401: http.get("/v1/me"),
            403: http.get("/v1/audit", headers={"Authorization": f"Bearer {stack.token('analyst')}"}),
            404: http.get("/v1/nowhere", headers=authorized),
            431: http.get("/v1/me", headers={"x-large": "a" * 40_000}),
        }
    for status, answer in answers.items():
        assert answer.status_code == status, answer.text
        assert answer.headers["access-control-allow-origin"] == VITE
        assert set(answer.headers["access-control-expose-headers"].split(", ")) >= READABLE


def test_no_other_site_may_use_them(stack: LocalStack, address: str) -> None:
    headers = {"Origin": "https://elsewhere.example", "Authorization": f"Bearer {stack.token('admin')}"}
    answer = httpx.get(f"{address}/v1/me", headers=headers)
    assert "access-control-allow-origin" not in answer.headers


def test_no_origin_is_allowed_unless_it_is_set(stack: LocalStack) -> None:
    stack.restart("sales-api", env_overrides={"CORS_ORIGINS": ""})
    try:
        answer = httpx.get(f"{stack.urls['sales']}/healthz", headers={"Origin": VITE})
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers
    finally:
        own = stack.processes["service-api"].env["CORS_ORIGINS"]
        stack.restart("sales-api", env_overrides={"CORS_ORIGINS": own})
