"""The route class of every API: strict parsing, one unit of work a request, idempotency, retries of deadlocks.

The order matters and is all here: authenticate, check the role, check the query, begin the unit of work, run the use
case, store the answer, commit, and only then answer. A client never sees 201 before a commit that
fails. What meets another request's changes, or an answer stored under its own key, is tried again, and looks for that
answer first. A repeat of a request that is under way is refused: at once where this process has it, with its first
write elsewhere.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any, Final

import asyncpg
import structlog
from fastapi import APIRouter, Depends, Request, Response, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from sqlalchemy.exc import DBAPIError
from starlette.routing import Match
from starlette.types import Scope

from service_kit import idempotency, strict_json
from service_kit.access import Access, AccessTable
from service_kit.admission import ALLOWANCE
from service_kit.audit import entries as audit
from service_kit.audit.entries import Actor
from service_kit.auth import Authenticator, Principal
from service_kit.dependencies import (
    RequestDependency,
    async_dependency,
    request_dependency,
    without_request_dependencies,
)
from service_kit.problems import (
    Problem,
    Unavailable,
    Unprocessable,
    UnsupportedMediaType,
    sqlstate_of,
)
from service_kit.rate_limit import RateLimit
from service_kit.suggestions import known_names
from service_kit.unit_of_work import ClaimTaken, StaleEntity, UnitOfWork

log = structlog.get_logger()

_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_DEADLOCK, _SERIALIZATION, _UNIQUE = "40P01", "40001", "23505"
_ATTEMPTS: Final = 4
_EXPORT: Final = "/export"

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Begin = Callable[..., UnitOfWork]
"""Begins a unit of work; takes its options."""


class StrictRequest(Request):
    """A request whose `json()` refuses what `strict_json` refuses; parsed once, however often it is tried."""

    async def json(self) -> Any:
        """The body's JSON value. Raises `MalformedBody` or `Unprocessable`."""
        if not hasattr(self, "_strict"):
            self._strict = strict_json.parse(await self.body())
        return self._strict


class StrictRoute(APIRoute):
    """Every route of the APIs. A route with `openapi_extra={"security": []}` is open to anyone."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        dependencies: Sequence[params.Depends] = (),
        **options: Any,
    ) -> None:
        reduced = without_request_dependencies(endpoint)
        self.operation = endpoint
        self.given: dict[str, RequestDependency] = reduced.given
        """The operation's dependencies that need the request only, by the name of their parameter."""
        self.checks = [call for one in dependencies if (call := request_dependency(one)) is not None]
        """The same of the route, whose values are not passed on."""
        others = [one for one in dependencies if request_dependency(one) is None]
        super().__init__(path, reduced.call, dependencies=others, **options)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a request is for this route. An address of its own is none with a parameter, by any method."""
        match, child = super().matches(scope)
        if self.param_convertors and match is not Match.NONE:
            path: str = scope["path"]
            is_of_another = path in scope["app"].state.literal_paths
            # That of a list within a record has the record's parameter.
            if is_of_another or (path.endswith(_EXPORT) and not self.path.endswith(_EXPORT)):
                return Match.NONE, {}
        return match, child

    @property
    def is_public(self) -> bool:
        """True for the few routes that need no token (a customer answering a survey)."""
        return bool(self.openapi_extra) and self.openapi_extra.get("security") == []  # type: ignore[union-attr]

    async def authenticate(self, request: Request) -> Principal:
        """Who is asking. Raises `Unauthenticated`."""
        authenticator: Authenticator = request.app.state.authenticator
        return await authenticator.authenticate(request.headers.get("authorization"))

    def get_route_handler(self) -> Handler:
        """FastAPI's handler inside our transaction."""
        handle = super().get_route_handler()
        writes = bool((self.methods or set()) & _WRITES)
        known = frozenset(
            field.alias for field in get_flat_params(self.dependant) if isinstance(field.field_info, params.Query)
        )
        # Those that a dependency reads by itself, repeated ones too.
        read_apart = frozenset(
            name for one in (*self.given.values(), *self.checks) for name in getattr(one, "parameters", ())
        )
        prefixes = tuple(prefix for one in self.given.values() if (prefix := getattr(one, "prefix", None)))
        is_public = self.is_public
        takes_body = self.body_field is not None
        checks, given, name = self.checks, self.given, self.name

        async def handle_with_dependencies(request: Request) -> Response:
            for check in checks:
                await check(request)
            request.state.dependencies = {name: await dependency(request) for name, dependency in given.items()}
            return await handle(request)

        async def run(plain: Request) -> Response:
            request = StrictRequest(plain.scope, plain.receive)
            access: Access | None = None
            if is_public:
                principal = Principal(subject="public", roles=frozenset(), expires_at=float("inf"))
                request.state.principal = principal
            else:
                # Before anything is refused: the log names who was.
                principal = request.state.principal = await self.authenticate(request)
                rates: RateLimit = request.app.state.rates_of_subjects
                request.scope[ALLOWANCE] = rates.take(principal.subject)
                table: AccessTable = request.app.state.access
                # Before an answer that is stored under an idempotency key can be found: the role may be lost since.
                access = table.access(name, principal)
            request.state.access = access
            _check_query(request, known, read_apart, prefixes)
            if takes_body and await request.body():
                _require_json(request)
                # Before FastAPI does it: it would turn our problem into one of its own.
                await request.json()
            request.state.actor = audit.caller(principal, name, is_public=is_public)
            if not writes:
                return await _read(request, handle_with_dependencies)
            # Idempotency keys of people without an account are those of the address, such as one survey's link.
            owner = f"public {request.url.path}" if is_public else principal.subject
            return await _write(request, handle_with_dependencies, owner)

        return run


def media_type_of(request: Request) -> str:
    """Return the body's media type in lower case, without parameters; empty when the header is missing."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _require_json(request: Request) -> None:
    kind, _, form = media_type_of(request).partition("/")
    if kind != "application" or not (form == "json" or form.endswith("+json")):
        # FastAPI would take it for a text, and answer that it is no object.
        raise UnsupportedMediaType("Send the body as JSON, with Content-Type: application/json.")


def _check_query(
    request: Request, known: frozenset[str], read_apart: frozenset[str], prefixes: tuple[str, ...]
) -> None:
    seen = set()
    for name, value in request.query_params.multi_items():
        is_read_apart = name in read_apart or name.startswith(prefixes)
        if name not in known and not is_read_apart:
            shown = name.encode("ascii", "backslashreplace").decode()[:100]
            names = known_names(name, known | read_apart)
            raise Unprocessable.at(f"?{shown}", f"is not a parameter of this address; {names}")
        if name in seen and not is_read_apart:
            raise Unprocessable.at(f"?{name}", "is given twice")
        if "\x00" in value or "\ufffd" in value:
            raise Unprocessable.at(f"?{name}", "contains characters that are not text")
        seen.add(name)


async def _read(request: Request, handle: Handler) -> Response:
    begin: Begin = request.app.state.begin
    async with begin(only_reads=True) as work:
        _give(request, work)
        return await handle(request)


def _give(request: Request, work: UnitOfWork) -> None:
    request.state.work = work
    work.access, work.actor = access_of(request), request.state.actor


async def _write(request: Request, handle: Handler, owner: str) -> Response:
    key = idempotency.key_of(request)
    if key is None:
        return await _commit(request, handle, None)
    claim = await idempotency.claim_of(request, key, owner)
    under_way: set[bytes] = request.app.state.keys_under_way
    if claim.digest in under_way:
        return await _repeat(request, claim)
    under_way.add(claim.digest)
    try:
        return await _commit(request, handle, claim)
    except ClaimTaken:
        return await _repeat(request, claim)
    finally:
        under_way.remove(claim.digest)


async def _repeat(request: Request, claim: idempotency.Claim) -> Response:
    """Return the answer of the request that has the same key. Raises `IdempotencyKeyInUse` (409) until there is one."""
    begin: Begin = request.app.state.begin
    async with begin(only_reads=True) as work:
        stored = await idempotency.stored_answer(work, claim)
    if stored is None:
        raise idempotency.IdempotencyKeyInUse
    return stored


async def _commit(request: Request, handle: Handler, claim: idempotency.Claim | None) -> Response:
    begin: Begin = request.app.state.begin
    lock = None if claim is None else claim.lock
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            async with begin(is_contended=attempt > 1, claim=lock) as work:
                _give(request, work)
                response = await _answer(request, handle, work, claim, is_first=attempt == 1)
                await work.commit()
            return response
        except (DBAPIError, asyncpg.PostgresError, StaleEntity) as error:
            if not _is_worth_another_try(error):
                raise
            log.info("transaction_retried", attempt=attempt, sqlstate=sqlstate_of(error))
    raise Unavailable("Too many writers met on the same record. Send the same request again shortly.")


async def _answer(
    request: Request, handle: Handler, work: UnitOfWork, claim: idempotency.Claim | None, *, is_first: bool
) -> Response:
    if claim is None:
        return await _handle(request, handle, work)
    # Few requests are repeats: the first try does not look, and a repeat meets its key when it stores its own answer.
    if not is_first and (stored := await idempotency.stored_answer(work, claim)) is not None:
        return stored
    try:
        response = await _handle(request, handle, work)
    except Problem as problem:
        # What forbids a repeat may be the effect of the first request. But what was allowed once is not shown again to
        # who may not do it any more.
        if not problem.forbids_replay and (stored := await idempotency.stored_answer(work, claim)) is not None:
            return stored
        raise
    if response.status_code < 400:
        idempotency.store(work, claim, response)
    return response


async def _handle(request: Request, handle: Handler, work: UnitOfWork) -> Response:
    access = access_of(request)
    if access is not None:
        # Of the try before.
        access.forget_touched()
    response = await handle(request)
    if access is not None:
        await access.check_touched(work)
    return response


def _is_worth_another_try(error: Exception) -> bool:
    # Two requests with one key, or one external_ref at the same moment: every use case reads before it inserts, so the
    # second finds what the first one made when it tries again.
    return isinstance(error, StaleEntity) or sqlstate_of(error) in (_DEADLOCK, _SERIALIZATION, _UNIQUE)


def work_of(request: Request) -> UnitOfWork:
    """Return the request's unit of work, which is committed before the answer is sent."""
    work: UnitOfWork = request.state.work
    return work


def principal_of(request: Request) -> Principal:
    """Return who is asking."""
    principal: Principal = request.state.principal
    return principal


def actor_of(request: Request) -> Actor:
    """Return who is asking, for the audit."""
    actor: Actor = request.state.actor
    return actor


def access_of(request: Request) -> Access | None:
    """Return what the caller may do with whose records; None on a public route."""
    access: Access | None = request.state.access
    return access


def _callers_access(request: Request) -> Access:
    access = access_of(request)
    assert access is not None  # noqa: S101 -- no public route asks for it
    return access


Work = Annotated[UnitOfWork, Depends(async_dependency(work_of))]
By = Annotated[Principal, Depends(async_dependency(principal_of))]
CallersAccess = Annotated[Access, Depends(async_dependency(_callers_access))]


def router(prefix: str, tag: str, *, route_class: type[StrictRoute] = StrictRoute) -> APIRouter:
    """The router of one noun. Each operation has its function's name, the use case, as its id."""
    return APIRouter(
        prefix=f"/v1{prefix}", tags=[tag], route_class=route_class, generate_unique_id_function=lambda route: route.name
    )
