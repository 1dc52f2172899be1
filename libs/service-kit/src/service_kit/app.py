"""Builds an API: what every one of them has in common, in one place that fits on a screen."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import deepcopy
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.middleware.gzip import GZipMiddleware

from service_kit import problems
from service_kit.access import AccessTable
from service_kit.admission import Admission, RouteClass
from service_kit.audit.routes import AUDIT_TAG, audit_routes
from service_kit.auth import Authenticator
from service_kit.cors import add_cors
from service_kit.docs import docs_routes
from service_kit.event_schemas import SCHEMAS_TAG, schema_routes
from service_kit.health import Check, database_check, health_routes
from service_kit.middleware import RequestContext
from service_kit.openapi import complete
from service_kit.openapi_answers import add_answers, add_parameters
from service_kit.outbox import outbox_measure
from service_kit.outbox_notify import OutboxNotifier
from service_kit.rate_limit import RateLimit
from service_kit.roles import ROLES
from service_kit.routing import StrictRoute
from service_kit.settings import ServiceSettings
from service_kit.unit_of_work import units_of_work

Webhooks = Callable[[], tuple[dict[str, Any], dict[str, Any]]]
"""Returns the webhooks of a document, and the schemas that they refer to."""
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    *,
    title: str,
    summary: str,
    description: str,
    settings: ServiceSettings,
    engine: AsyncEngine,
    routers: Sequence[APIRouter],
    access: AccessTable,
    ready: dict[str, Check] | None = None,
    lifespan: Lifespan | None = None,
    tags: Mapping[str, str],
    classes: Mapping[str, RouteClass] | None = None,
    webhooks: Webhooks | None = None,
) -> FastAPI:
    """Return an API with problem+json errors, tokens, strict parsing, health and OpenAPI 3.1.

    `GET /v1/audit` and `GET /v1/schemas` are added to the routers. Raise ValueError unless `access` names every
    operation. `app.state` holds `access`, `settings`, `engine`, `begin`, `authenticator`, `routes`, `literal_paths`,
    `keys_under_way`, `rates_of_subjects`, `tags` and `webhooks`. The engine is disposed of at the end. `tags` describes
    the groups of operations, `webhooks` the messages that the service sends. `classes` are the route classes of
    addresses that are neither plain reads nor plain writes.
    """

    notifier = OutboxNotifier(engine)

    @asynccontextmanager
    async def whole_lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with notifier.running(), lifespan(app) if lifespan else _nothing(app):
            yield
        await engine.dispose()

    app = FastAPI(
        title=title,
        summary=summary,
        description=description,
        version="1",
        lifespan=whole_lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.api_docs else None,
    )
    app.state.settings = settings
    app.state.access = access
    app.state.tags = {**tags, **AUDIT_TAG, **SCHEMAS_TAG}
    app.state.webhooks = webhooks
    app.state.engine = engine
    app.state.begin = units_of_work(engine, on_commit=notifier.notify)
    app.state.authenticator = Authenticator(settings)
    app.state.keys_under_way = set()
    app.state.rates_of_subjects = RateLimit("subject", settings.subject_requests_per_second, settings.subject_burst)
    routers = [*routers, audit_routes(), schema_routes()]
    app.state.routes = [route for one in routers for route in one.routes if isinstance(route, APIRoute)]
    app.state.literal_paths = frozenset(route.path for route in app.state.routes if not route.param_convertors)
    access.check(route.name for route in app.state.routes if not (isinstance(route, StrictRoute) and route.is_public))
    # Directly: an included router would be searched, and its context made, by each request anew.
    app.router.routes.extend(route for one in routers for route in one.routes)
    app.state.measures = {"outbox": outbox_measure(engine)}
    checks = {"database": database_check(engine)} | (ready or {})
    app.router.routes.extend(health_routes({}, checks, app.state.measures))
    if settings.api_docs:
        app.router.routes.extend(docs_routes(title))
    problems.install(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    app.add_middleware(GZipMiddleware, minimum_size=2048, compresslevel=1)
    app.add_middleware(
        Admission,
        settings=settings,
        classes={"/v1/imports": RouteClass.BULK, "/v1/bulk": RouteClass.BULK, **(classes or {})},
    )
    app.add_middleware(RequestContext, settings=settings)
    add_cors(app, settings.cors_origins)
    return app


@asynccontextmanager
async def _nothing(_: FastAPI) -> AsyncIterator[None]:
    yield


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document, with what the kit adds to every route: tokens, problems, idempotency, versions."""
    if app.openapi_schema:
        return app.openapi_schema
    # A copy: what routes say of themselves is in it as they hold it, and is completed for each document.
    state = app.state
    document = deepcopy(
        get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description + _OF_ALL,
            routes=app.routes,
            tags=[{"name": name, "description": text} for name, text in state.tags.items()],
            servers=[{"url": state.settings.api_url or f"http://127.0.0.1:{state.settings.http_port}"}],
            contact={"name": "Tandem maintainers"},
            license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
            openapi_version="3.1.0",
        )
    )
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"bearer": _BEARER}
    document["security"] = [{"bearer": []}]
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    if state.webhooks is not None:
        document["webhooks"], its_schemas = state.webhooks()
        schemas |= its_schemas
    schemas |= {"Problem": deepcopy(_PROBLEM), "ProblemError": deepcopy(_PROBLEM_ERROR)}
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            if operation.get("security") != []:
                _document_access(operation, state.access)
    add_parameters(document, state.routes)
    complete(document)
    add_answers(document, state.routes)
    _document_limited_fields(document, state.access)
    app.openapi_schema = document
    return document


def _document_access(operation: dict[str, Any], table: AccessTable) -> None:
    cell = table.described(operation["operationId"])
    operation["x-access"] = cell
    words = "; ".join(f"{role} ({', '.join(whose)})" for role, whose in cell.items())
    operation["description"] = f"{operation.get('description', '')}\n\nRoles, and with whose records: {words}.".strip()


def _document_limited_fields(document: dict[str, Any], table: AccessTable) -> None:
    schemas = document["components"]["schemas"]
    operations = {each["operationId"]: each for methods in document["paths"].values() for each in methods.values()}
    for noun in table.nouns:
        for mark, fields, roles in (
            ("x-personal", noun.personal, noun.served_by),
            ("x-secret", noun.secret, noun.secret_to),
        ):
            shown_to = ", ".join(role for role in ROLES if role in roles)
            for name in noun.read.operations if fields else ():
                content = operations[name]["responses"]["200"]["content"]
                if "application/json" not in content:
                    continue
                answer = content["application/json"]["schema"]
                properties = schemas[answer["$ref"].rpartition("/")[2]]["properties"]
                # A list's answer has the fields in its items.
                for field in properties.keys() & set(fields):
                    said = properties[field].get("description", "")
                    properties[field]["description"] = f"{said} Null to roles other than {shown_to}.".strip()
                    properties[field][mark] = True


_OF_ALL = """

Times are RFC 3339, days `2026-03-31`, amounts decimal strings. Unknown fields and parameters are refused. Errors are
`application/problem+json` (RFC 9457): switch on `type`, show `detail`. Send an `Idempotency-Key` with each write, so
that it can be repeated; send the `ETag` of what a change is based on as `If-Match`. Lists are paged: follow
`next_cursor` until it is null. What breaks a limit of the connection itself is answered 408, 414 or 431."""
_BEARER: dict[str, Any] = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "An access token of the company's OpenID provider, with the roles in its claim `roles`.",
}
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {
            "type": "string",
            "description": "What went wrong, for programs: the same for every request that fails in this way.",
            "examples": ["urn:tandem:problem:invalid-request"],
        },
        "title": {
            "type": "string",
            "description": "What went wrong, for people: the same words for every problem of this type.",
            "examples": ["The request is not valid"],
        },
        "status": {"type": "integer", "description": "The HTTP status of the answer.", "examples": [422]},
        "detail": {
            "type": "string",
            "description": "What went wrong this time, and what to do.",
            "examples": ["See errors: each names the place and what is wrong."],
        },
        "errors": {
            "type": "array",
            "description": "The places in the request that are not valid; only with 422.",
            "items": {"$ref": "#/components/schemas/ProblemError"},
        },
    },
}
_PROBLEM_ERROR: dict[str, Any] = {
    "type": "object",
    "description": "A place in the request that is not valid.",
    "required": ["pointer", "detail"],
    "properties": {
        "pointer": {
            "type": "string",
            "description": "Where it is: `#/…` in the body, `?…` in the query, `path:…` in the address.",
            "examples": ["#/lines/0/quantity"],
        },
        "detail": {
            "type": "string",
            "description": "What is wrong with it.",
            "examples": ["Input should be greater than or equal to 1"],
        },
    },
}
