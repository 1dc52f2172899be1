"""Each rule of the kit on each route of each API, found by enumeration: a new route cannot be forgotten."""

import inspect
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant

import metrics_worker
import metrics_worker.app
import sales_api
import sales_api.app
import service_api
import service_api.app
from metrics_worker.settings import MetricsSettings
from sales_api.settings import SalesSettings
from service_api.settings import ServiceApiSettings
from service_kit.migrations import migrate
from service_kit.routing import StrictRoute
from service_kit.settings import DatabaseSettings
from tests.every_api.examples import Operation, leaves, operations, spoiled
from tests.service_kit.bad_tokens import bad_tokens
from tests.service_kit.conftest import assert_problem
from tests.service_kit.toy import Issuer

PACKAGES = {"sales-api": sales_api, "service-api": service_api, "metrics-api": metrics_worker}
JSON = {"content-type": "application/json"}


def make_app(api: str, url: str, jwks: str, **others: Any) -> FastAPI:
    common: dict[str, Any] = {"database_url": url, "auth_jwks": jwks, "allowed_hosts": ["tandem"], **others}
    if api == "sales-api":
        return sales_api.app.create(SalesSettings(**common))
    if api == "service-api":
        return service_api.app.create(ServiceApiSettings(**common, survey_link_secret="0" * 32))
    return metrics_worker.app.create(MetricsSettings(**common))


def every_operation() -> Iterator[Operation]:
    for api in PACKAGES:
        app = make_app(api, "postgresql+asyncpg://nowhere/nothing", "")
        yield from operations(api, app.openapi())


OPERATIONS = list(every_operation())
WRITES = [operation for operation in OPERATIONS if operation.writes]
WITH_BODY = [operation for operation in OPERATIONS if operation.fields]
OF_ONE_THING = [operation for operation in OPERATIONS if "{" in operation.template]
CREATIONS = [
    operation
    for operation in WITH_BODY
    if operation.method == "POST" and operation.template.count("/") == 2 and operation.api != "metrics-api"
]
LISTS = [operation for operation in OPERATIONS if any(each["name"] == "cursor" for each in operation.parameters)]

each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
each_write = pytest.mark.parametrize("operation", WRITES, ids=str)
each_with_body = pytest.mark.parametrize("operation", WITH_BODY, ids=str)
each_of_one_thing = pytest.mark.parametrize("operation", OF_ONE_THING, ids=str)
each_private_write = pytest.mark.parametrize(
    "operation", [operation for operation in WRITES if not operation.is_public], ids=str
)
each_versioned_write = pytest.mark.parametrize(
    "operation", [each for each in OF_ONE_THING if each.writes and not each.is_public], ids=str
)
each_list = pytest.mark.parametrize("operation", LISTS, ids=str)

Send = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
async def clients(
    new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory, issuer: Issuer
) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    jwks = issuer.published_in(tmp_path_factory.mktemp("issuer"))
    found = {}
    apps = []
    for api, package in PACKAGES.items():
        url = new_database("every")
        await migrate(package, DatabaseSettings(database_url=url))
        app = make_app(api, url, jwks)
        apps.append(app)
        found[api] = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tandem")
    yield found
    for client, app in zip(found.values(), apps, strict=True):
        await client.aclose()
        await app.state.engine.dispose()


@pytest.fixture
def send(clients: dict[str, httpx.AsyncClient], issuer: Issuer) -> Send:
    admin = {"Authorization": f"Bearer {issuer.token('admin')}"}

    async def send(operation: Operation, body: str | bytes = b"", *, query: str = "", **headers: str) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await clients[operation.api].request(
            operation.method, operation.path + query, content=body, headers=admin | JSON | given
        )

    return send


def good_body(operation: Operation) -> str:
    return json.dumps(operation.examples[0]) if operation.examples else "{}"


def test_there_are_routes_of_every_api() -> None:
    assert {operation.api for operation in WRITES} >= {"sales-api", "service-api"}
    assert {operation.api for operation in OPERATIONS} == set(PACKAGES)
    assert len(WITH_BODY) > 25


NOT_PATCHED = {
    ("sales-api", "/v1/dead-letters/{letter_id}"): "a record of the log is mended, sent and discarded",
    ("service-api", "/v1/surveys/{survey_id}"): "the answer is the customer's, all else follows the ticket",
    ("service-api", "/v1/dead-letters/{letter_id}"): "a record of the log is mended, sent and discarded",
    ("metrics-api", "/v1/targets/{kpi}"): "PUT replaces it whole",
    ("metrics-api", "/v1/periods/{period}"): "what was closed stays as it was closed",
    ("metrics-api", "/v1/dead-letters/{letter_id}"): "a record of the log is mended, sent and discarded",
}
"""Records that cannot be corrected by PATCH, and why."""
ANSWERED = {"/v1/kpis/{name}", "/v1/exports/kpis/{name}", "/v1/events/{event_id}", "/v1/schemas/{name}"}
"""What is computed or was published, and no record."""


def test_every_record_is_corrected_by_patch_or_has_a_reason_why_not() -> None:
    ends_in_audit = "/audit"
    records = {
        (each.api, each.template.removesuffix(ends_in_audit))
        for each in OPERATIONS
        if each.method == "GET" and each.template.endswith(("}", ends_in_audit)) and "{" in each.template
    }
    patched = {(each.api, each.template) for each in OPERATIONS if each.method == "PATCH"}
    assert patched <= records
    assert {one for one in records - patched if one[1] not in ANSWERED} == NOT_PATCHED.keys()
    for each in OPERATIONS:
        if each.method == "PATCH":
            # With its version, so that no change is lost.
            assert "If-Match" in {one["name"] for one in each.parameters}, each


LACKS = ("export", "view", "sort", "history")
COMPUTED = dict.fromkeys(
    ("view", "sort", "history"), "computed when it is asked for, in its one order; its few filters are in its address"
)
WRITTEN_ONCE = dict.fromkeys(LACKS, "one record's own entries, which are read as they were written down")
WITHOUT: dict[str, dict[str, str]] = {
    "/v1/audit": dict.fromkeys(LACKS, "entries never change, but lose what is erased, which a file or view would keep"),
    "/v1/views": {
        "export": "what lists are asked for is no record of the business",
        "view": "it is the views' own list",
    },
    "/v1/accounts/{account_id}/timeline": WRITTEN_ONCE,
    "/v1/customers/{customer_id}/timeline": WRITTEN_ONCE,
    "/v1/kpis/{name}/explain": {**COMPUTED, "export": "GET /v1/exports/postings has all that is behind a KPI"},
    "/v1/alerts": COMPUTED,
    "/v1/waiting": COMPUTED,
    "/v1/periods/{period}/restatements": COMPUTED,
    "/v1/proofs": {"history": "a proof is stored once, by a command"},
    "/v1/webhooks/{webhook_id}/deliveries": {"history": "it has its tries, and the last answer"},
}
"""What a list lacks of what all others have, and why: its export, its saved views, the filters and orders that the kit
makes of a declaration, and the history of each record."""


def test_every_list_has_what_lists_have_or_a_reason_why_not() -> None:
    reads = {(each.api, each.template) for each in OPERATIONS if each.method == "GET"}
    without: dict[str, set[str]] = {}
    for each in LISTS:
        if each.template.endswith(("/audit", "/events")) and "{" in each.template:
            continue
        names = {one["name"] for one in each.parameters}
        one = re.compile(re.escape(each.template) + r"/\{[a-z_]+\}/(audit|events)")
        has = {
            "export": (each.api, f"{each.template}/export") in reads,
            "view": "view" in names,
            "sort": {"sort", "ids", "total"} <= names,
            "history": any(api == each.api and one.fullmatch(template) for api, template in reads),
        }
        if missing := {name for name, is_there in has.items() if not is_there}:
            without[each.template] = missing
    assert without == {template: set(reasons) for template, reasons in WITHOUT.items()}


NOT_IN_BULK = {
    "add_webhook_secret": "the secret is in the answer only",
    "close_period": "a period is addressed by its name",
    "change_product": "a product is addressed by its code",
}
"""Operations on one record that are not done with many, and why."""


async def test_every_operation_on_one_record_is_done_with_many_or_has_a_reason_why_not(
    clients: dict[str, httpx.AsyncClient], issuer: Issuer
) -> None:
    admin = {"Authorization": f"Bearer {issuer.token('admin')}"} | JSON
    refused = set()
    for each in OPERATIONS:
        is_on_one = re.fullmatch(r"/v1/[a-z-]+/\{[a-z_]+\}(/[a-z-]+)?", each.template)
        if each.is_public or each.method not in ("PATCH", "POST") or not is_on_one:
            continue
        body = {"operation": each.id, "records": [{"id": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"}], "body": {}}
        answer = await clients[each.api].post("/v1/bulk", headers=admin, content=json.dumps(body))
        problem = assert_problem(answer, 422)
        if "is no operation on one record" in answer.text:
            refused.add(each.id)
        else:
            assert problem["type"].endswith("bulk-refused"), answer.text
    assert refused == NOT_IN_BULK.keys()


@each_with_body
def test_the_examples_show_every_field(operation: Operation) -> None:
    shown = {pointer for example in operation.examples for pointer, _ in leaves(example)}
    assert operation.fields - shown == set(), "these fields are in no example, so that no rule is tried on them"


@each_operation
async def test_a_request_without_a_token_is_refused(operation: Operation, send: Send) -> None:
    answer = await send(operation, good_body(operation), Authorization="")
    if operation.is_public:
        assert answer.status_code in (404, 422) or operation.template == "/v1/schemas"
    else:
        assert_problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("api", PACKAGES)
@pytest.mark.parametrize("name", sorted(bad_tokens(Issuer())))
async def test_a_token_that_is_not_valid_is_refused(
    api: str, name: str, clients: dict[str, httpx.AsyncClient], issuer: Issuer
) -> None:
    operation = next(each for each in OPERATIONS if each.api == api and not each.is_public)
    headers = {"Authorization": f"Bearer {bad_tokens(issuer)[name]}"}
    answer = await clients[api].request(operation.method, operation.path, headers=headers)
    assert_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("api", PACKAGES)
@pytest.mark.parametrize("keys", ["", "garbage", '{"keys": []}', None], ids=["empty", "garbage", "no keys", "no file"])
async def test_an_issuer_without_usable_keys_is_unavailable(
    api: str, keys: str | None, tmp_path: Path, issuer: Issuer
) -> None:
    file = tmp_path / "jwks.json"
    if keys is not None:
        file.write_text(keys)
    app = make_app(api, "postgresql+asyncpg://nowhere/nothing", file.as_uri())
    operation = next(each for each in OPERATIONS if each.api == api and not each.is_public)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tandem") as client:
        headers = {"Authorization": f"Bearer {issuer.token('admin')}"}
        answer = await client.request(operation.method, operation.path, headers=headers)
    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


@each_with_body
async def test_a_body_that_is_not_json_by_its_type_is_refused(operation: Operation, send: Send) -> None:
    answer = await send(operation, good_body(operation), content_type="text/plain")
    assert_problem(answer, 415, "unsupported-media-type")
    assert "Content-Type" in answer.json()["detail"]


@each_private_write
async def test_a_token_without_roles_may_not_write(operation: Operation, send: Send, issuer: Issuer) -> None:
    answer = await send(operation, good_body(operation), Authorization=f"Bearer {issuer.token()}")
    assert_problem(answer, 403, "forbidden")


@each_with_body
async def test_a_spoiled_field_is_refused(operation: Operation, send: Send) -> None:
    for example in operation.examples:
        for body, what in spoiled(example):
            answer = await send(operation, body)
            assert answer.status_code == 422, f"{what}: {answer.status_code} {answer.text}"
            assert_problem(answer, 422)
            place = f"#{what.partition(' = ')[0]}/"
            for error in answer.json().get("errors", ()):
                # The place itself, or what holds it.
                assert place.startswith(error["pointer"].removesuffix("/") + "/"), f"{what}: {answer.text}"


@pytest.mark.parametrize("operation", CREATIONS, ids=str)
async def test_a_spoiled_field_is_refused_in_a_bulk_import_too(
    operation: Operation, clients: dict[str, httpx.AsyncClient], issuer: Issuer
) -> None:
    resource = operation.template.removeprefix("/v1/")
    bad = [body for example in operation.examples for body, _ in spoiled(example)]
    answer = await clients[operation.api].post(
        "/v1/imports?mode=best-effort",
        content="\n".join(f'{{"resource": "{resource}", "record": {record}}}' for record in bad),
        headers={"Authorization": f"Bearer {issuer.token('admin')}", "content-type": "application/x-ndjson"},
    )
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["rows"]) == len(bad) > 0
    for row, record in zip(answer.json()["rows"], bad, strict=True):
        assert (row["status"], row["problem"]["status"]) == ("failed", 422), record


@each_with_body
async def test_an_unknown_key_is_refused(operation: Operation, send: Send) -> None:
    for key in ("is_admin", "status", "version"):
        if f"/{key}" in operation.fields:
            continue
        body = json.dumps(operation.examples[0] | {key: "won"})
        assert_problem(await send(operation, body), 422, "invalid-request")


@each_with_body
async def test_a_key_given_twice_is_refused(operation: Operation, send: Send) -> None:
    example = operation.examples[0]
    name, value = next(iter(example.items()), ("occurred_at", "2026-03-31T21:00:00Z"))
    member = f"{json.dumps(name)}: {json.dumps(value)}"
    twice = f"{{{member}, {member}}}"
    assert_problem(await send(operation, twice), 422, "invalid-request")


@each_with_body
@pytest.mark.parametrize(
    "body",
    [b'{"x": "\xff"}', b'{"x": ' + b"1" * 5000 + b"}", b"[" * 100_000, b"{"],
    ids=["not UTF-8", "5,000 digits", "nested deep", "cut short"],
)
async def test_what_is_not_json_is_refused(operation: Operation, send: Send, body: bytes) -> None:
    assert_problem(await send(operation, body), 400, "malformed-body")


@each_with_body
async def test_a_body_over_the_limit_is_refused(operation: Operation, send: Send) -> None:
    assert_problem(await send(operation, b" " * (1024 * 1024 + 1)), 413, "body-too-large")


@each_operation
@pytest.mark.parametrize("query", ["?made_up=1", "?limit=%00&made_up=1"])
async def test_an_unknown_parameter_is_refused(operation: Operation, send: Send, query: str) -> None:
    answer = await send(operation, good_body(operation), query=query)
    assert_problem(answer, 422, "invalid-request")


@each_operation
async def test_a_parameter_that_is_not_text_is_refused(operation: Operation, send: Send) -> None:
    for parameter in operation.parameters:
        if parameter["in"] == "query":
            for value in ("%00", "%ff", "\ud800".encode("utf-8", "surrogatepass").hex("%").join(("%", ""))):
                answer = await send(operation, query=f"?{parameter['name']}={value}")
                assert_problem(answer, 422)


def booleans(operation: Operation) -> list[str]:
    """Return the names of an operation's query parameters that are booleans."""
    found = []
    for parameter in operation.parameters:
        options = [parameter["schema"], *parameter["schema"].get("anyOf", [])]
        if parameter["in"] == "query" and any(option.get("type") == "boolean" for option in options):
            found.append(parameter["name"])
    return found


def test_there_are_boolean_parameters_in_every_api() -> None:
    assert {operation.api for operation in OPERATIONS if booleans(operation)} == set(PACKAGES)


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if booleans(each)], ids=str)
async def test_a_boolean_parameter_is_true_or_false(operation: Operation, send: Send) -> None:
    for name in booleans(operation):
        for value in ("yes", "no", "on", "off", "1", "0", "t", "True", "FALSE", "%20true", ""):
            problem = assert_problem(await send(operation, query=f"?{name}={value}"), 422, "invalid-request")
            assert {"pointer": f"?{name}", "detail": "must be true or false"} in list(problem["errors"]), value
        for value in ("true", "false"):
            answer = await send(operation, query=f"?{name}={value}")
            # The stream has another parameter, which is required; and there is no ticket whose contacts are listed.
            taken = f"?{name}" not in answer.text if answer.status_code == 422 else answer.status_code in (200, 404)
            assert taken, value


@each_list
@pytest.mark.parametrize(
    "query", ["?limit=-1", "?limit=0", "?limit=1000000000", "?limit=1.5", "?cursor=made-up", f"?cursor={'A' * 40}"]
)
async def test_a_page_that_cannot_be_is_refused(operation: Operation, send: Send, query: str) -> None:
    answer = await send(operation, query=query)
    assert answer.status_code == (404 if "{" in operation.template and answer.status_code == 404 else 422)


@each_write
async def test_an_idempotency_key_is_bounded(operation: Operation, send: Send) -> None:
    answer = await send(operation, good_body(operation), Idempotency_Key="x" * 256)
    assert_problem(answer, 422, "invalid-request")


@each_versioned_write
async def test_an_if_match_must_be_an_etag(operation: Operation, send: Send) -> None:
    answer = await send(operation, good_body(operation), If_Match="not-an-etag")
    assert answer.status_code in (404, 422), answer.text


@each_of_one_thing
async def test_what_is_not_there_is_not_found(operation: Operation, send: Send) -> None:
    answer = await send(operation, good_body(operation))
    assert_problem(answer, 404)


@each_operation
async def test_a_wrong_method_is_answered_with_the_allowed_ones(
    operation: Operation, clients: dict[str, httpx.AsyncClient]
) -> None:
    answer = await clients[operation.api].request("TRACE", operation.path)
    assert_problem(answer, 405, "method-not-allowed")
    assert operation.method in answer.headers["allow"].split(", ")


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.path.endswith("/export")], ids=str)
async def test_the_address_of_an_export_takes_no_method_of_a_record(
    operation: Operation, clients: dict[str, httpx.AsyncClient]
) -> None:
    for method in ("PATCH", "PUT", "DELETE", "OPTIONS"):
        answer = await clients[operation.api].request(method, operation.path)
        assert_problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize("api", ["sales-api", "service-api"])
def test_schemas_are_named_by_one_scheme(api: str) -> None:
    document = make_app(api, "postgresql+asyncpg://nowhere/nothing", "").openapi()
    scheme = {"post": r"Create|\w+Request", "patch": "Update", "put": "Update"}
    for path, methods in document["paths"].items():
        if path == "/v1/imports":
            continue
        for method, operation in methods.items():
            if method == "delete":
                continue
            answer = next(
                operation["responses"][status] for status in ("200", "201") if status in operation["responses"]
            )
            if "application/json" not in answer["content"]:
                assert path.endswith("/export") or path.startswith("/v1/schemas/"), path
                continue
            shown = answer["content"]["application/json"]["schema"]["$ref"]
            is_list = any(each["name"] == "cursor" for each in operation.get("parameters", ()))
            assert re.fullmatch(r"#/components/schemas/\w+" + ("Page" if is_list else "Read"), shown), path
            if "requestBody" in operation:
                body = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                assert re.fullmatch(rf"#/components/schemas/\w+({scheme[method]})", body), path


async def test_no_refused_request_wrote_an_event(clients: dict[str, httpx.AsyncClient]) -> None:
    for api, client in clients.items():
        app: FastAPI = client._transport.app  # type: ignore[attr-defined]
        async with app.state.engine.connect() as connection:
            if await connection.scalar(sa.text("select to_regclass('outbox')")) is not None:
                written = (await connection.execute(sa.text("select type from outbox"))).scalars().all()
                assert written == [], f"{api} wrote events while refusing everything"


def dependencies_of(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    for each in dependant.dependencies:
        assert each.call is not None
        yield each.call
        yield from dependencies_of(each)


@pytest.mark.parametrize("api", PACKAGES)
def test_no_dependency_costs_a_thread(api: str) -> None:
    routes: list[StrictRoute] = make_app(api, "postgresql+asyncpg://nowhere/nothing", "").state.routes
    calls: list[Callable[..., Any]] = [call for route in routes for call in dependencies_of(route.dependant)]
    calls += [call for route in routes for call in (*route.given.values(), *route.checks)]
    assert calls
    for call in calls:
        assert inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__), call
