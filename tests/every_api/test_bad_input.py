"""The table of bad input, row by row, against one write, one list and every kind of field of each API."""

import asyncio
import importlib
import json
import pkgutil
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from re import _constants as sre
from re import _parser as sre_parser
from typing import Any, NamedTuple
from urllib.parse import quote, quote_from_bytes

import httpx
import pytest

import event_contracts
import service_kit
from service_kit.migrations import migrate
from service_kit.settings import DatabaseSettings
from tests.every_api.examples import Operation
from tests.every_api.test_every_route import LISTS as LISTINGS
from tests.every_api.test_every_route import PACKAGES, make_app
from tests.service_kit.conftest import assert_problem
from tests.service_kit.toy import Issuer

ABSENT = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a99"
LIMIT = 1024 * 1024
JSON = {"content-type": "application/json"}
PILE = "o" + "\u0315\u0300" * 5_000
LONG = "9" * 50_000


class Field(NamedTuple):
    """A member of a body. The body is JSON with `@` where the member's value is, `{name}` where an identifier is."""

    api: str
    kind: str
    request: str
    body: str
    pointer: str
    good: str
    accepted: int = 201


class Parameter(NamedTuple):
    """A query parameter: the address ends where its value begins."""

    api: str
    kind: str
    address: str
    good: str


FIELDS = [
    Field("sales-api", "line", "POST /v1/accounts", '{"name": @}', "#/name", '"Box"'),
    Field("sales-api", "line", "POST /v1/accounts", '{"name": "a", "external_ref": @}', "#/external_ref", '"é-1"'),
    Field("sales-api", "code", "POST /v1/accounts", '{"name": "a", "region": @}', "#/region", '"south"'),
    Field(
        "sales-api",
        "integer",
        "POST /v1/deals",
        '{"account_id": "{account}", "title": "a", "currency": "EUR",'
        ' "lines": [{"product": "pump", "quantity": @, "unit_price": "1"}]}',
        "#/lines/0/quantity",
        "2",
    ),
    Field(
        "sales-api",
        "money",
        "POST /v1/deals",
        '{"account_id": "{account}", "title": "a", "currency": "EUR",'
        ' "lines": [{"product": "pump", "quantity": 1, "unit_price": @}]}',
        "#/lines/0/unit_price",
        '"10.50"',
    ),
    Field(
        "sales-api",
        "decimal",
        "POST /v1/exchange-rates",
        '{"currency": "BRL", "on": "2026-03-31", "rate": @}',
        "#/rate",
        '"0.1652"',
        200,
    ),
    Field(
        "sales-api",
        "moment",
        "POST /v1/accounts",
        '{"name": "a", "occurred_at": @}',
        "#/occurred_at",
        '"2026-03-02T09:30:00Z"',
    ),
    Field(
        "sales-api",
        "day",
        "POST /v1/exchange-rates",
        '{"currency": "CHF", "on": @, "rate": "1"}',
        "#/on",
        '"2026-03-31"',
        200,
    ),
    Field(
        "sales-api",
        "boolean",
        "POST /v1/products",
        '{"code": "valve", "name": "Valve", "active": @}',
        "#/active",
        "true",
    ),
    Field("service-api", "line", "POST /v1/customers", '{"name": @}', "#/name", '"Box"'),
    Field(
        "service-api",
        "lines",
        "POST /v1/tickets",
        '{"customer_id": "{customer}", "kind": "problem", "channel": "phone", "subject": "a", "description": @}',
        "#/description",
        r'"a\nb"',
    ),
    Field("service-api", "code", "POST /v1/customers", '{"name": "a", "region": @}', "#/region", '"south"'),
    Field(
        "service-api",
        "integer",
        "POST /v1/trainings",
        '{"customer_id": "{customer}", "attendees": @}',
        "#/attendees",
        "3",
    ),
    Field(
        "service-api",
        "money",
        "POST /v1/deliveries",
        '{"deal_id": "{absent}", "quality_as_agreed": true, "price": {"currency": "EUR", "amount": @}}',
        "#/price",
        '"10.50"',
        # No deal is won here.
        422,
    ),
    Field(
        "service-api",
        "moment",
        "POST /v1/customers",
        '{"name": "a", "occurred_at": @}',
        "#/occurred_at",
        '"2026-03-02T09:30:00Z"',
    ),
    Field(
        "service-api",
        "day",
        "POST /v1/maintenance-plans",
        '{"customer_id": "{customer}", "interval_days": 30, "next_due_on": @}',
        "#/next_due_on",
        '"2026-06-30"',
    ),
    Field(
        "service-api",
        "boolean",
        "POST /v1/deliveries",
        '{"deal_id": "{absent}", "price": {"currency": "EUR", "amount": "1"}, "quality_as_agreed": @}',
        "#/quality_as_agreed",
        "true",
        422,
    ),
    Field(
        "metrics-api",
        "code",
        "POST /v1/webhooks",
        '{"url": "https://example.com/", "event_types": [@]}',
        "#/event_types",
        '"metrics.kpi-target-missed"',
    ),
    Field(
        "metrics-api",
        "code",
        "POST /v1/webhooks",
        '{"url": @, "event_types": ["metrics.kpi-target-missed"]}',
        "#/url",
        '"https://example.com/hooks"',
    ),
    Field("metrics-api", "boolean", "PATCH /v1/webhooks/{webhook}", '{"active": @}', "#/active", "true", 200),
    Field("metrics-api", "decimal", "PUT /v1/targets/revenue", '{"period": "month", "value": @}', "#/value", '"10.50"'),
    Field("metrics-api", "day", "PUT /v1/targets/win_rate", '{"value": "0.6", "since": @}', "#/since", '"2026-01-01"'),
]

PARAMETERS = [
    Parameter("sales-api", "line", "/v1/accounts?external_ref=", "crm-1"),
    Parameter("sales-api", "code", "/v1/accounts?region=", "south"),
    Parameter("sales-api", "identifier", "/v1/accounts?owner_id=", ABSENT),
    Parameter("sales-api", "day", "/v1/quotas?period_start=", "2026-01-01"),
    Parameter("sales-api", "limit", "/v1/accounts?limit=", "10"),
    Parameter("sales-api", "cursor", "/v1/accounts?cursor=", ""),
    Parameter("service-api", "line", "/v1/tickets?external_ref=", "crm-1"),
    Parameter("service-api", "code", "/v1/tickets?region=", "south"),
    Parameter("service-api", "identifier", "/v1/tickets?customer_id=", ABSENT),
    Parameter("service-api", "limit", "/v1/tickets?limit=", "10"),
    Parameter("service-api", "cursor", "/v1/tickets?cursor=", ""),
    Parameter("metrics-api", "code", "/v1/targets?kpi=", "revenue"),
    Parameter("metrics-api", "code", "/v1/kpis/revenue?region=", "south"),
    Parameter("metrics-api", "code", "/v1/kpis/revenue?group_by=", "region"),
    Parameter("metrics-api", "code", "/v1/kpis/revenue?variant=", "standard"),
    Parameter("metrics-api", "identifier", "/v1/kpis/revenue?owner=", ABSENT),
    Parameter("metrics-api", "day", "/v1/kpis/revenue?to=", "2026-01-31"),
    Parameter("metrics-api", "moment", "/v1/kpis/revenue?as_of=", "2026-01-31T00:00:00Z"),
    Parameter("metrics-api", "limit", "/v1/targets?limit=", "10"),
    Parameter("metrics-api", "limit", "/v1/webhooks?limit=", "10"),
    Parameter("metrics-api", "limit", "/v1/kpis/revenue/explain?limit=", "10"),
    Parameter("metrics-api", "cursor", "/v1/webhooks?cursor=", ""),
    Parameter("metrics-api", "cursor", "/v1/targets?cursor=", ""),
]

NO_TEXT = [r'"\ud800"', r'"a\u0000b"', "true", "1", "NaN", "Infinity", "[]", "{}"]
NO_LINE = [
    *NO_TEXT,
    *(json.dumps(f"a{mark}b") for mark in "\u200b\u200e\u200f\u202e\u2066\ufeff\u200d"),
    json.dumps(PILE),
]
NO_NUMBER = ["NaN", "Infinity", "-Infinity", "1e400", "true"]
ROWS: dict[str, list[str]] = {
    "line": [*NO_LINE, '"a\\r\\nb"', r'"\u001b[31m"', f'"{LONG}"'],
    "lines": [*NO_LINE, r'"\u001b[31m"', f'"{LONG}"'],
    "code": [*NO_TEXT, '"a b"', '"１２"', '"é"', '"a\\n"', f'"{LONG}"'],
    "integer": [*NO_NUMBER, "9223372036854775808", "-9223372036854775809", "1.5", "1.0", "-1", '"1"'],
    "decimal": [*NO_NUMBER, "1.5", '"1E+400000000"', '"1_000"', '"１２"', '"-0"', '"-0.00"', '"0.12345678901"', '"NaN"',
                '"Infinity"', '" 1"', '"+1"', '"1234567890123"', f'"{LONG}"'],
    "boolean": ["1", "0", '"true"', "NaN", '"yes"'],
    "moment": ['"2026-01-01T00:00:00"', '"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-14:00"',
               '"1969-12-31T23:59:59Z"', '"2200-01-01T00:00:01Z"', '"２０２６-01-01T00:00:00Z"', "1700000000",
               '"1700000000"', f'"{LONG}"'],
    "day": ['"2026-02-30"', '"0001-01-01"', '"9999-12-31"', "20000", '"20000"', '"２０２６-01-01"',
            '"2026-01-01T00:00:00Z"', f'"{LONG}"'],
}  # fmt: skip
"""By a field's kind the JSON that it refuses, each with 422."""
ROWS["money"] = [*ROWS["decimal"], '"-1.00"']

QUERIES: dict[str, list[str | bytes]] = {
    "line": ["\0", b"\xff", b"\xed\xa0\x80", "a\u200bb", "a\u202eb", "a\r\nb", "o" + "\u0315\u0300" * 40],
    "code": ["\0", b"\xff", "a b", "１２", "é", "a" * 5_000],
    "identifier": ["\0", "1", ABSENT.replace("-", ""), f"{{{ABSENT}}}", ABSENT.replace("0", "０"), "a" * 5_000],
    "limit": [
        "-1",
        "0",
        "1000000000",
        "9223372036854775808",
        "1.5",
        "１０",
        "1_0",
        "+1",
        " 1",
        "1e1",
        "NaN",
        "9" * 5_000,
    ],
    "cursor": ["made-up", "A" * 30, "A" * 40, "\0", "é", "a" * 5_000],
    "moment": ["2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1700000000", "\0"],
    "day": ["2026-02-30", "0001-01-01", "9999-12-31", "20000", "２０２６-01-01", "\0"],
}  # fmt: skip
"""By a parameter's kind the values that it refuses, each with 422."""

BROKEN: dict[str, tuple[bytes, int, str]] = {
    "not UTF-8": (b'{"name": "\xff"}', 400, "malformed-body"),
    "5,000 digits": (b'{"name": ' + b"1" * 5_000 + b"}", 400, "malformed-body"),
    "nested 100,000 deep": (b"[" * 100_000, 400, "malformed-body"),
    "cut short": (b'{"name": ', 400, "malformed-body"),
    "an array": (b"[]", 422, "invalid-request"),
    "a text": (b'"name"', 422, "invalid-request"),
    "null": (b"null", 422, "invalid-request"),
    "nothing": (b"", 422, "invalid-request"),
    "is_admin": (b'{"is_admin": true}', 422, "invalid-request"),
    "status": (b'{"status": "won"}', 422, "invalid-request"),
    "the same key twice": (b'{"name": "a", "name": "b"}', 422, "invalid-request"),
    "the same key twice within": (b'{"name": {"a": 1, "a": 2}}', 422, "invalid-request"),
    "over the limit": (b" " * (LIMIT + 1), 413, "body-too-large"),
}

WRITE = {"sales-api": "/v1/accounts", "service-api": "/v1/customers", "metrics-api": "/v1/webhooks"}
CREATION = {
    "sales-api": {"name": "Casa Verde"},
    "service-api": {"name": "UAB Vėjas"},
    "metrics-api": {"url": "https://example.com/again", "event_types": ["metrics.kpi-target-missed"]},
}
LISTS = {"sales-api": "/v1/accounts", "service-api": "/v1/customers", "metrics-api": "/v1/targets"}
VERSIONED = {
    "sales-api": "/v1/accounts/{account}",
    "service-api": "/v1/agents/{agent}",
    "metrics-api": "/v1/webhooks/{webhook}",
}
CHANGE = {
    "sales-api": {"name": "Casa Azul"},
    "service-api": {"name": "Ona"},
    "metrics-api": {"active": False},
}

each_api = pytest.mark.parametrize("api", PACKAGES)


def shortened(value: str | bytes) -> str:
    shown = ascii(value)
    return shown if len(shown) < 40 else f"{shown[:20]}…{len(shown)}"


class Apis:
    """The three APIs, each with the records that the bodies name."""

    def __init__(self, issuer: Issuer) -> None:
        self.http: dict[str, httpx.AsyncClient] = {}
        self.ids: dict[str, str] = {"absent": ABSENT}
        self._admin = {"Authorization": f"Bearer {issuer.token('admin')}"}

    def filled(self, text: str) -> str:
        """Return a text with the identifiers of the records that it names."""
        for name, identifier in self.ids.items():
            text = text.replace(f"{{{name}}}", identifier)
        return text

    async def send(
        self, api: str, method: str, path: str, content: Any = b"", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        given = httpx.Headers(self._admin | JSON | (headers or {}), encoding="latin-1")
        return await self.http[api].request(method, self.filled(path), content=content, headers=given)

    async def create(self, api: str, path: str, **body: Any) -> str:
        answer = await self.send(api, "POST", path, json.dumps(body))
        assert answer.status_code == 201, answer.text
        return str(answer.json().get("id", ""))

    async def fill(self) -> None:
        """Create the records."""
        self.ids["account"] = await self.create("sales-api", "/v1/accounts", name="Casa Verde")
        await self.create("sales-api", "/v1/products", code="pump", name="Pump")
        self.ids["customer"] = await self.create("service-api", "/v1/customers", name="UAB Vėjas")
        self.ids["agent"] = await self.create("service-api", "/v1/agents", name="Rūta")
        self.ids["webhook"] = await self.create(
            "metrics-api", "/v1/webhooks", url="https://example.com/", event_types=["metrics.kpi-target-missed"]
        )


@pytest.fixture(scope="module")
async def apis(new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Apis]:
    issuer = Issuer()
    jwks = issuer.published_in(tmp_path_factory.mktemp("issuer"))
    apis, apps = Apis(issuer), []
    for api, package in PACKAGES.items():
        url = new_database("bad")
        await migrate(package, DatabaseSettings(database_url=url))
        apps.append(make_app(api, url, jwks))
        apis.http[api] = httpx.AsyncClient(transport=httpx.ASGITransport(apps[-1]), base_url="http://tandem")
    await apis.fill()
    yield apis
    for client, app in zip(apis.http.values(), apps, strict=True):
        await client.aclose()
        await app.state.engine.dispose()


async def send_field(apis: Apis, field: Field, value: str) -> httpx.Response:
    method, path = field.request.split()
    return await apis.send(field.api, method, path, apis.filled(field.body).replace("@", value).encode())


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: f"{field.api} {field.request} {field.pointer}")
async def test_a_good_value_is_taken(apis: Apis, field: Field) -> None:
    answer = await send_field(apis, field, field.good)
    assert answer.status_code == field.accepted, answer.text
    assert field.pointer not in {error["pointer"] for error in answer.json().get("errors", ())}


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        pytest.param(field, bad, id=f"{field.api} {field.request} {field.pointer} {shortened(bad)}")
        for field in FIELDS
        for bad in ROWS[field.kind]
    ],
)
async def test_a_bad_value_is_refused(apis: Apis, field: Field, bad: str) -> None:
    problem = assert_problem(await send_field(apis, field, bad), 422, "invalid-request")
    for error in problem.get("errors", ()):
        assert error["pointer"].startswith(field.pointer), problem


@pytest.mark.parametrize(
    ("api", "path", "body", "slug"),
    [
        (
            "sales-api",
            "/v1/deals",
            '{"account_id": "{account}", "title": "a", "currency": "EUR",'
            ' "lines": [{"product": "pump", "quantity": 1, "unit_price": "1.005"}]}',
            "price-too-fine",
        ),
        (
            "service-api",
            "/v1/deliveries",
            '{"deal_id": "{absent}", "quality_as_agreed": true, "price": {"currency": "EUR", "amount": "1.005"}}',
            "invalid-request",
        ),
        ("metrics-api", "/v1/targets/revenue", '{"period": "month", "value": "1.005"}', "invalid-request"),
    ],
)
async def test_an_amount_finer_than_its_currency_is_refused(
    apis: Apis, api: str, path: str, body: str, slug: str
) -> None:
    method = "PUT" if api == "metrics-api" else "POST"
    assert_problem(await apis.send(api, method, path, apis.filled(body)), 422, slug)


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: f"{parameter.api} {parameter.address}")
async def test_a_good_parameter_is_taken(apis: Apis, parameter: Parameter) -> None:
    address = f"{parameter.address}{parameter.good}" if parameter.good else parameter.address.partition("?")[0]
    answer = await apis.send(parameter.api, "GET", address)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("parameter", "bad"),
    [
        pytest.param(parameter, bad, id=f"{parameter.api} {parameter.address}{shortened(bad)}")
        for parameter in PARAMETERS
        for bad in QUERIES[parameter.kind]
    ],
)
async def test_a_bad_parameter_is_refused(apis: Apis, parameter: Parameter, bad: str | bytes) -> None:
    value = quote_from_bytes(bad) if isinstance(bad, bytes) else quote(bad)
    problem = assert_problem(await apis.send(parameter.api, "GET", parameter.address + value), 422, "invalid-request")
    name = parameter.address.partition("?")[2].removesuffix("=")
    for error in problem.get("errors", ()):
        assert error["pointer"] == f"?{name}", problem


@pytest.mark.parametrize("operation", LISTINGS, ids=str)
def test_the_bounds_of_a_page_are_in_the_document(operation: Operation) -> None:
    (limit,) = (parameter["schema"] for parameter in operation.parameters if parameter["name"] == "limit")
    assert (limit["minimum"], limit["maximum"]) == (1, 200)


@each_api
@pytest.mark.parametrize("row", BROKEN)
async def test_a_broken_body_is_refused(apis: Apis, api: str, row: str) -> None:
    body, status, slug = BROKEN[row]
    assert_problem(await apis.send(api, "POST", WRITE[api], body), status, slug)


@each_api
async def test_a_body_over_the_limit_is_refused_when_chunked(apis: Apis, api: str) -> None:
    read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        while read < 100 * LIMIT:
            read += 65_536
            yield b" " * 65_536

    assert_problem(await apis.send(api, "POST", WRITE[api], chunks()), 413, "body-too-large")


@each_api
@pytest.mark.parametrize("key", ["x" * 256, "", "é", "a\tb"], ids=shortened)
async def test_a_bad_idempotency_key_is_refused(apis: Apis, api: str, key: str) -> None:
    answer = await apis.send(api, "POST", WRITE[api], b"{}", {"Idempotency-Key": key})
    assert_problem(answer, 422, "invalid-request")


@each_api
async def test_a_repeat_gets_the_first_answer_and_another_body_none(apis: Apis, api: str) -> None:
    key, body = {"Idempotency-Key": f"again-{api}"}, json.dumps(CREATION[api])
    first, again = [await apis.send(api, "POST", WRITE[api], body, key) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201), first.text
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
    other = await apis.send(api, "POST", WRITE[api], body.replace("}", " }"), key)
    assert_problem(other, 422, "idempotency-key-reused")


@each_api
async def test_repeats_at_the_same_moment_are_done_once(apis: Apis, api: str) -> None:
    key, body = {"Idempotency-Key": f"at-once-{api}"}, json.dumps(CREATION[api])
    answers = await asyncio.gather(*(apis.send(api, "POST", WRITE[api], body, key) for _ in range(10)))
    done = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.json()["id"] for answer in done}) == 1
    for answer in answers:
        if answer.status_code != 201:
            assert_problem(answer, 409, "idempotency-key-in-use")
            assert int(answer.headers["retry-after"]) > 0


@each_api
async def test_a_subject_over_its_rate_is_refused(api: str, tmp_path: Path) -> None:
    issuer = Issuer()
    nowhere, keys = "postgresql+asyncpg://nowhere/nothing", issuer.published_in(tmp_path)
    app = make_app(api, nowhere, keys, subject_burst=1, subject_requests_per_second=0.001)
    headers = {"Authorization": f"Bearer {issuer.token('admin')}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://tandem", headers=headers
    ) as client:
        # Refused for its query, before the database is asked, and counted.
        assert_problem(await client.get(f"{LISTS[api]}?made_up=1"), 422, "invalid-request")
        answer = await client.get(f"{LISTS[api]}?made_up=1")
        assert_problem(answer, 429, "rate-exceeded")
        assert int(answer.headers["retry-after"]) > 0
    await app.state.engine.dispose()


@each_api
@pytest.mark.parametrize(
    ("tag", "status", "slug"),
    [('"999"', 412, "stale-version"), ('W/"1"', 412, "stale-version"), ("1", 422, "invalid-request"),
     ('"' + "1" * 7_000, 422, "invalid-request")],
    ids=["stale", "weak", "no tag", "long"],
)  # fmt: skip
async def test_a_change_of_another_version_is_refused(apis: Apis, api: str, tag: str, status: int, slug: str) -> None:
    answer = await apis.send(api, "PATCH", VERSIONED[api], json.dumps(CHANGE[api]), {"If-Match": tag})
    assert_problem(answer, status, slug)


@each_api
async def test_an_unknown_host_is_refused(apis: Apis, api: str) -> None:
    assert_problem(await apis.send(api, "GET", LISTS[api], headers={"host": "evil.example"}), 400, "unknown-host")


@each_api
@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE", "MADE-UP"])
async def test_a_wrong_method_is_answered_with_the_right_ones(apis: Apis, api: str, method: str) -> None:
    answer = await apis.send(api, method, LISTS[api])
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"].split(", ")[0] == "GET"


@pytest.mark.parametrize(("api", "path"), [("sales-api", "/v1/accounts"), ("service-api", "/v1/customers")])
async def test_both_normal_forms_are_one_name_and_one_reference(apis: Apis, api: str, path: str) -> None:
    composed, decomposed = "Caf\u00e9", "Cafe\u0301"
    made = await apis.send(api, "POST", path, json.dumps({"name": decomposed, "external_ref": decomposed}))
    assert (made.status_code, made.json()["name"], made.json()["external_ref"]) == (201, composed, composed)
    again = await apis.send(api, "POST", path, json.dumps({"name": composed, "external_ref": composed}))
    assert assert_problem(again, 409, "external-ref-taken")["existing_id"] == made.json()["id"]
    for reference in (composed, decomposed):
        found = await apis.send(api, "GET", f"{path}?external_ref={quote(reference)}")
        assert [item["id"] for item in found.json()["items"]] == [made.json()["id"]]


def patterns() -> Iterator[Any]:
    """Yield every pattern that a module of a service or library keeps."""
    seen = set()
    for package in (service_kit, event_contracts, *PACKAGES.values()):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__") and ".migrations." not in module.name:
                for name, value in vars(importlib.import_module(module.name)).items():
                    if isinstance(value, re.Pattern) and value not in seen:
                        seen.add(value)
                        yield pytest.param(value, id=f"{module.name}.{name}")


PATTERNS = list(patterns())


def takes(content: Any, character: int) -> bool:
    """Return whether the content of a repeat may be this character; of what is no set, that is not known."""
    if len(content) != 1 or content[0][0] is not sre.IN:
        return True
    for code, argument in content[0][1]:
        low, high = argument if code is sre.RANGE else (argument, argument)
        if code not in (sre.LITERAL, sre.RANGE) or low <= character <= high:
            return True
    return False


_END = (None, None)


def repeats(parsed: Any, *, after: Any = _END, within: bool = False) -> Iterator[tuple[bool, bool]]:
    """Yield of each repeat without a bound whether it is within another, and whether its content varies in length.

    One that ends at a character which it cannot contain is left out: it divides a text in one way only.
    """
    for place, (code, argument) in enumerate(parsed):
        inner = within
        following = parsed[place + 1] if place + 1 < len(parsed) else after
        if code in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            _, most, content = argument
            inner = within or most > 1
            ends = following[0] is sre.LITERAL and not takes(content, following[1])
            if most == sre.MAXREPEAT and (within or not ends):
                low, high = content.getwidth()
                yield within, low != high
        for part in argument if isinstance(argument, tuple | list) else ():
            for option in part if isinstance(part, list) else (part,):
                if isinstance(option, sre_parser.SubPattern):
                    then = following if code is sre.SUBPATTERN else _END
                    yield from repeats(option, after=then, within=inner)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_pattern_takes_more_than_linear_time(pattern: re.Pattern[str]) -> None:
    parsed = sre_parser.parse(pattern.pattern, pattern.flags)
    code, argument = parsed[0]
    if code is sre.ASSERT and argument[1].getwidth()[1] <= 1_000 and argument[1][-1] == (sre.AT, sre.AT_END_STRING):
        # What is longer is refused before the rest is tried.
        return
    unbounded = list(repeats(parsed))
    assert len(unbounded) <= 1, "two repeats without a bound can divide a text in as many ways as it is long"
    assert unbounded in ([], [(False, False)]), "a repeat within a repeat doubles the ways with each character"


def test_slow_patterns_would_be_found() -> None:
    assert len(PATTERNS) > 15
    for slow in ("(a+)+b", "a*a*b", "(a|aa)*b", "[a-z]+([a-z0-9]+)?!", "(?:a+-?){0,9}b"):
        with pytest.raises(AssertionError):
            test_no_pattern_takes_more_than_linear_time(re.compile(slow))
