"""Documents every operation's answers: the headers and examples of what succeeds, and each problem that can occur."""

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final, get_args

from fastapi import Response

from service_kit import problems
from service_kit.idempotency import IdempotencyKeyInUse, IdempotencyKeyReused
from service_kit.imports.rows import CSV, NDJSON
from service_kit.occurrence import OccurredTooEarly
from service_kit.openapi import Examples, Schema
from service_kit.problems import Problem
from service_kit.rate_limit import RateExceeded
from service_kit.references import ExternalRefTaken, UnknownReference
from service_kit.routing import StrictRoute
from service_kit.versions import ExpectedVersion

_JSON: Final = "application/json"
_SAID_BY_FASTAPI: Final = "Successful Response"
_WRITES: Final = frozenset({"post", "put", "patch", "delete"})

_IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a repeat of this request give the first answer again; kept for 7 days.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[ -~]+$",
        "examples": ["6f0c1f2e-5f0e-4d0b-9a58-2f6b3d6f4a11"],
    },
}
_IF_MATCH: Final[dict[str, Any]] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag that the change is based on; 412 when another client was faster.",
    "schema": {"type": "string", "examples": ['"3"']},
}
_IF_NONE_MATCH: Final[dict[str, Any]] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of what is known already; 304 when nothing is new.",
    "schema": {"type": "string", "examples": ['"3"']},
}

_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "ETag": {
        "description": "The version of the record, for If-Match and If-None-Match.",
        "required": True,
        "schema": {"type": "string", "examples": ['"3"']},
    },
    "Location": {
        "description": "The address of the new record, below the API's own.",
        "required": True,
        "schema": {"type": "string", "examples": ["/v1/deals/01980c8e-7a33-7d60-8f3c-5b1f3b0c9a10"]},
    },
    "Idempotent-Replayed": {
        "description": "`true` where the answer is that of an earlier request with this Idempotency-Key.",
        "schema": {"type": "string", "enum": ["true"], "examples": ["true"]},
    },
    "X-Request-Id": {
        "description": "Identifies the request in the logs: the one that it came with, or a new one.",
        "required": True,
        "schema": {"type": "string", "examples": ["01980c8e-7a33-7d60-8f3c-5b1f3b0c9a30"]},
    },
    "RateLimit": {
        "description": "What is left of the rate (`r`), and the seconds until all of it is there again (`t`).",
        "schema": {"type": "string", "examples": ['"subject";r=4999;t=1']},
    },
    "RateLimit-Policy": {
        "description": "How many requests (`q`) may come within how many seconds (`w`).",
        "schema": {"type": "string", "examples": ['"subject";q=5000;w=10']},
    },
    "Retry-After": {
        "description": "The seconds after which the same request may be sent again.",
        "schema": {"type": "string", "pattern": "^[0-9]+$", "examples": ["2"]},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate, and what was wrong with the token.",
        "required": True,
        "schema": {"type": "string", "examples": ['Bearer realm="tandem", error="invalid_token"']},
    },
}
_OF_EVERY_ANSWER: Final = ("X-Request-Id", "RateLimit", "RateLimit-Policy")

_SHARED: Final[dict[str, tuple[str, str, tuple[type[Problem], ...], tuple[str, ...]]]] = {
    "400": ("BadRequest", "The request cannot be read.", (problems.MalformedBody,), ()),
    "401": ("Unauthenticated", "A valid bearer token is needed.", (problems.Unauthenticated,), ("WWW-Authenticate",)),
    "403": ("Forbidden", "The role does not allow this.", (problems.Forbidden,), ()),
    "404": ("NotFound", "There is no such record, or not for this role.", (problems.NotFound,), ()),
    "410": (
        "Gone",
        "The request was done before, and its answer was erased with whom it was about; or the link has expired. "
        "Do not send it again.",
        (),
        (),
    ),
    "412": ("StaleVersion", "If-Match names a version that is no longer current.", (problems.PreconditionFailed,), ()),
    "413": ("BodyTooLarge", "The body is too large.", (problems.BodyTooLarge,), ()),
    "415": ("UnsupportedMediaType", "The body is not of a type that is read.", (problems.UnsupportedMediaType,), ()),
    "422": ("InvalidRequest", "The request is not valid; `errors` names each place.", (problems.Unprocessable,), ()),
    "429": (
        "RateExceeded",
        "The subject or the address sends too much; try again after Retry-After.",
        (RateExceeded,),
        ("Retry-After",),
    ),
    "503": (
        "Unavailable",
        "The service has too much to do, or a part that this needs is away; try again after Retry-After.",
        (problems.Overloaded, problems.Unavailable),
        ("Retry-After",),
    ),
}
"""By status: the name of the shared answer, its description, its problems, and its headers beside those of all."""

_DETAILS: Final[Mapping[type[Problem], str]] = {
    problems.MalformedBody: "The body is not JSON. Correct it and send it again.",
    problems.Unauthenticated: "The token has expired. Sign in again.",
    problems.Forbidden: "This needs one of the roles: sales-manager, admin.",
    problems.NotFound: "There is no such record. Check its id.",
    problems.PreconditionFailed: "Read it again, merge your change, and send it with the new ETag.",
    problems.BodyTooLarge: "Send at most 1048576 bytes.",
    problems.UnsupportedMediaType: "Send the body as JSON, with Content-Type: application/json.",
    RateExceeded: "Send at most 500 requests a second, 5000 at once; the next in 2 s.",
    problems.Overloaded: (
        "More is under way than the service can answer in time. Send the same request again shortly."
    ),
    problems.Unavailable: "The database did not answer in time. Send the same request again shortly.",
}
_ERRORS_SHOWN: Final = [{"pointer": "#/lines/0/quantity", "detail": "Input should be greater than or equal to 1"}]


def add_answers(document: dict[str, Any], routes: Sequence[StrictRoute]) -> None:
    """Add what the kit answers to the operations of a completed document: headers, examples, and every problem."""
    components: dict[str, Any] = document["components"]
    components["headers"] = deepcopy(_HEADERS)
    components["responses"] = {
        name: _problem_answer(text, [_shown(one) for one in kinds], headers)
        for name, text, kinds, headers in _SHARED.values()
    }
    # Refused by the connection, before the application sees it.
    too_long = problems.problem_fields(414, "url-too-long", "URI Too Long", "Send an address of at most 8192 bytes.")
    components["responses"]["UrlTooLong"] = _problem_answer("The address is too long.", [too_long], ())
    examples = Examples(document)
    by_name = {route.name: route for route in routes}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            route = by_name[operation["operationId"]]
            _show_request(operation, document, examples)
            _show_success(operation, document, examples, is_write=method in _WRITES)
            for status in _shared_statuses(path, method, operation, route):
                operation["responses"][status] = {"$ref": f"#/components/responses/{_SHARED[status][0]}"}
            if any(one["in"] == "query" for one in operation.get("parameters", ())):
                operation["responses"]["414"] = {"$ref": "#/components/responses/UrlTooLong"}
            _show_rules(path, method, operation, route, document)
            operation["responses"] = dict(sorted(operation["responses"].items()))


def add_parameters(document: Mapping[str, Any], routes: Sequence[StrictRoute]) -> None:
    """Add the headers of requests that the kit reads: idempotency keys, and versions where they are compared."""
    by_name = {route.name: route for route in routes}
    for operations in document["paths"].values():
        for method, operation in operations.items():
            added = [deepcopy(_IDEMPOTENCY_KEY)] if method in _WRITES else []
            route = by_name[operation["operationId"]]
            if method in _WRITES and _compares_versions(route):
                added.append(deepcopy(_IF_MATCH))
            if method == "get" and _has_version(operation, document) and _may_be_unchanged(route):
                added.append(deepcopy(_IF_NONE_MATCH))
                operation["responses"]["304"] = {"description": "The record is still of the version in If-None-Match."}
            if added:
                operation.setdefault("parameters", []).extend(added)


def _shared_statuses(path: str, method: str, operation: Mapping[str, Any], route: StrictRoute) -> Iterator[str]:
    yield from ("400", "422", "429", "503")
    if not route.is_public:
        yield from ("401", "403")
    if "{" in path or "404" in operation["responses"]:
        yield "404"
    if "requestBody" in operation:
        yield from ("413", "415")
    if method in _WRITES:
        yield "410"
        if _compares_versions(route):
            yield "412"


def _compares_versions(route: StrictRoute) -> bool:
    return any(
        ExpectedVersion in get_args(one.annotation) for one in inspect.signature(route.operation).parameters.values()
    )


def _may_be_unchanged(route: StrictRoute) -> bool:
    return Response in get_args(inspect.signature(route.operation).return_annotation)


def _has_version(operation: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    return any("version" in _properties(answer, document) for answer in _successes(operation))


def _successes(operation: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [answer for status, answer in operation["responses"].items() if status.startswith("2")]


def _properties(answer: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = answer.get("content", {}).get(_JSON, {}).get("schema", {}).get("$ref", "")
    schema: Schema = document["components"]["schemas"].get(reference.rpartition("/")[2], {})
    properties: Mapping[str, Any] = schema.get("properties", {})
    return properties


def _show_success(
    operation: dict[str, Any], document: Mapping[str, Any], examples: Examples, *, is_write: bool
) -> None:
    for status, answer in operation["responses"].items():
        if status[0] not in "23":
            continue
        properties = _properties(answer, document)
        headers = list(_OF_EVERY_ANSWER)
        if "version" in properties or status == "304":
            headers.append("ETag")
        if status == "201" and {"id", "version"} <= properties.keys():
            headers.append("Location")
        if is_write:
            headers.append("Idempotent-Replayed")
        answer["headers"] = _references(headers) | answer.get("headers", {})
        shown = answer.get("content", {}).get(_JSON)
        if answer["description"] == _SAID_BY_FASTAPI:
            answer["description"] = "It is done." if shown is None else _said_of(shown["schema"], document)
        if shown is not None:
            shown["example"] = examples.of(shown["schema"])


def _said_of(schema: Schema, document: Mapping[str, Any]) -> str:
    named: Schema = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], {})
    return str(named.get("description", "")).replace("\n", " ").partition(". ")[0].rstrip(".") + "."


def _show_request(operation: dict[str, Any], document: Mapping[str, Any], examples: Examples) -> None:
    bodies = operation.get("requestBody", {}).get("content", {})
    if operation["operationId"] == "import_records":
        _show_rows(bodies, document, examples)
    body = bodies.get(_JSON)
    if body is None:
        return
    declared = document["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]].get("examples", ())
    if len(declared) > 1:
        body["examples"] = {f"example{number}": {"value": one} for number, one in enumerate(declared, 1)}
    else:
        body["example"] = examples.of(body["schema"])


def _show_rows(bodies: Mapping[str, Any], document: Mapping[str, Any], examples: Examples) -> None:
    """Show rows of an import: a record of the first resource that can be imported, as it is created by itself."""
    resource = min(bodies[NDJSON]["schema"].pop("x-resources"))
    schema = document["paths"][f"/v1/{resource}"]["post"]["requestBody"]["content"][_JSON]["schema"]
    record: dict[str, Any] = examples.of(schema)
    bodies[NDJSON]["example"] = json.dumps({"resource": resource, "record": record}, ensure_ascii=False)
    plain = {name: value for name, value in record.items() if isinstance(value, str)}
    bodies[CSV]["example"] = f"{','.join(plain)}\r\n{','.join(plain.values())}\r\n"


def _show_rules(
    path: str, method: str, operation: dict[str, Any], route: StrictRoute, document: Mapping[str, Any]
) -> None:
    """Name the problems that are one noun's own, each with an example."""
    if method not in _WRITES:
        return
    kinds: list[type[Problem]] = _of_noun(_noun_of(route.operation.__module__))
    kinds += [IdempotencyKeyInUse, IdempotencyKeyReused]
    body = operation.get("requestBody", {}).get("content", {}).get(_JSON, {}).get("schema", {}).get("$ref", "")
    fields = document["components"]["schemas"].get(body.rpartition("/")[2], {}).get("properties", {})
    if "external_ref" in fields:
        kinds.append(ExternalRefTaken)
    if "occurred_at" in fields and "{" in path:
        kinds.append(OccurredTooEarly)
    if any(name.endswith("_id") for name in fields):
        kinds.append(UnknownReference)
    conflicts = [kind for kind in kinds if kind.status == 409]
    text = "The state does not allow this; or a request with this Idempotency-Key is under way, then with Retry-After."
    operation["responses"]["409"] = _problem_answer(text, map(_shown, conflicts), ("Retry-After",))
    invalid: list[type[Problem]] = [problems.Unprocessable, *(kind for kind in kinds if kind.status == 422)]
    operation["responses"]["422"] = _problem_answer(_SHARED["422"][1], map(_shown, invalid), ())


def _of_noun(noun: str) -> list[type[Problem]]:
    found = [kind for kind in _subclasses(Problem) if _noun_of(kind.__module__) == noun]
    return sorted(found, key=lambda kind: kind.slug)


def _subclasses(kind: type[Problem]) -> Iterator[type[Problem]]:
    for one in kind.__subclasses__():
        yield one
        yield from _subclasses(one)


def _noun_of(module: str) -> str:
    """Return the folder or the module that holds a noun: `sales_api.deals` of `sales_api.deals.routes`."""
    parts = [part for part in module.split(".") if part != "api"]
    return ".".join(parts[:2])


def _shown(kind: type[Problem]) -> dict[str, Any]:
    """Return an example of a problem. Of a rule, the detail is what its class says of itself."""
    detail = _DETAILS.get(kind) or inspect.cleandoc(kind.__doc__ or kind.title).partition("\n\n")[0].replace("\n", " ")
    if kind is problems.Unprocessable:
        detail = "See errors: each names the place and what is wrong."
        return problems.problem_fields(kind.status, kind.slug, kind.title, detail, errors=_ERRORS_SHOWN)
    return problems.problem_fields(kind.status, kind.slug, kind.title, detail)


def _problem_answer(text: str, shown: Iterable[dict[str, Any]], headers: Iterable[str]) -> dict[str, Any]:
    examples = {one["type"].rpartition(":")[2]: {"summary": one["title"], "value": one} for one in shown}
    content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if examples:
        content["examples"] = examples
    return {
        "description": text,
        "headers": _references((*_OF_EVERY_ANSWER, *headers)),
        "content": {problems.MEDIA_TYPE: content},
    }


def _references(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
