"""The route class of every API: strict parsing, one transaction a request, idempotency, retries of deadlocks.

The order matters and is all here: authenticate, check the query, open the session, look for a stored answer, run
the use case, store the answer, commit, wake the relay, and only then answer. A client never sees 201 before a commit
that fails.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

import asyncpg
import structlog
from fastapi import APIRouter, Depends, Request, Response, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from service_kit import idempotency, strict_json
from service_kit.auth import Authenticator, Principal
from service_kit.dependencies import async_dependency
from service_kit.problems import BodyTooLarge, Unavailable, Unprocessable, UnsupportedMediaType, sqlstate_of

log = structlog.get_logger()

_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_DEADLOCK, _SERIALIZATION, _UNIQUE = "40P01", "40001", "23505"
_ATTEMPTS: Final = 4

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRequest(Request):
    """A request whose `json()` refuses what `strict_json` refuses; parsed once, however often it is tried."""

    async def body(self) -> bytes:
        """The body. Raises `BodyTooLarge` as soon as it is known to be, whatever Content-Length says."""
        if not hasattr(self, "_body"):
            limit: int = self.app.state.settings.max_body_bytes
            declared = self.headers.get("content-length", "")
            if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
                raise BodyTooLarge(f"Send at most {limit} bytes at once.")
            received = bytearray()
            async for chunk in self.stream():
                received += chunk
                if len(received) > limit:
                    raise BodyTooLarge(f"Send at most {limit} bytes at once.")
            self._body = bytes(received)
        return self._body

    async def json(self) -> Any:
        """The body's JSON value. Raises `MalformedBody` or `Unprocessable`."""
        if not hasattr(self, "_strict"):
            self._strict = strict_json.parse(await self.body())
        return self._strict


class StrictRoute(APIRoute):
    """Every route of the APIs. A route with `openapi_extra={"security": []}` is open to anyone."""

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
        is_public = self.is_public
        takes_body = self.body_field is not None

        async def run(plain: Request) -> Response:
            request = StrictRequest(plain.scope, plain.receive)
            if is_public:
                principal = Principal(subject="public", roles=frozenset(), expires_at=float("inf"))
            else:
                principal = await self.authenticate(request)
            request.state.principal = principal
            _check_query(request, known)
            if takes_body and await request.body():
                _require_json(request)
                # Before FastAPI does it: it would turn our problem into one of its own.
                await request.json()
            if not writes:
                return await _read(request, handle)
            return await _write(request, handle, principal.subject)

        return run


def media_type_of(request: Request) -> str:
    """What the body is by its header, in lower case and without parameters; empty where it does not say."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _require_json(request: Request) -> None:
    kind, _, form = media_type_of(request).partition("/")
    if kind != "application" or not (form == "json" or form.endswith("+json")):
        # Read as a mere text otherwise, which is then told to be no object.
        raise UnsupportedMediaType("Send the body as JSON, with Content-Type: application/json.")


def _check_query(request: Request, known: frozenset[str]) -> None:
    seen = set()
    for name, value in request.query_params.multi_items():
        if name not in known:
            shown = name.encode("ascii", "backslashreplace").decode()[:100]
            raise Unprocessable.at(f"?{shown}", "is not a parameter of this address")
        if name in seen:
            raise Unprocessable.at(f"?{name}", "is given twice")
        if "\x00" in value or "\ufffd" in value:
            raise Unprocessable.at(f"?{name}", "contains characters that are not text")
        seen.add(name)


async def _read(request: Request, handle: Handler) -> Response:
    sessions: async_sessionmaker[AsyncSession] = request.app.state.sessions
    async with sessions() as session:
        request.state.session = session
        return await handle(request)


async def _write(request: Request, handle: Handler, subject: str) -> Response:
    sessions: async_sessionmaker[AsyncSession] = request.app.state.sessions
    key = idempotency.key_of(request)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            async with sessions() as session:
                # Says so and no more, so it needs no detour by SQLAlchemy's greenlet.
                session.sync_session.begin()
                request.state.session = session
                if key is None:
                    response = await handle(request)
                else:
                    claimed = await idempotency.claim(session, request, key, subject)
                    if isinstance(claimed, Response):
                        return claimed
                    response = await handle(request)
                    if response.status_code < 400:
                        await idempotency.store(session, claimed, response)
                await session.commit()
            request.app.state.outbox_notifier.notify()
            return response
        except (DBAPIError, asyncpg.PostgresError) as error:
            if not _is_worth_another_try(error):
                raise
            log.info("transaction_retried", attempt=attempt, sqlstate=sqlstate_of(error))
    raise Unavailable("Too many writers met on the same record. Send the same request again shortly.")


def _is_worth_another_try(error: Exception) -> bool:
    state = sqlstate_of(error)
    # Two requests with one key, or one external_ref, at the same moment: every use case looks before it inserts, so
    # the second finds what the first one made when it tries again.
    return state in (_DEADLOCK, _SERIALIZATION, _UNIQUE)


def session_of(request: Request) -> AsyncSession:
    """The request's session; its transaction ends before the answer is sent."""
    session: AsyncSession = request.state.session
    return session


def principal_of(request: Request) -> Principal:
    """Who is asking."""
    principal: Principal = request.state.principal
    return principal


Session = Annotated[AsyncSession, Depends(async_dependency(session_of))]
By = Annotated[Principal, Depends(async_dependency(principal_of))]


def router(prefix: str, tag: str, *, route_class: type[StrictRoute] = StrictRoute) -> APIRouter:
    """The router of one noun. Each operation has its function's name, the use case, as its id."""
    return APIRouter(
        prefix=f"/v1{prefix}", tags=[tag], route_class=route_class, generate_unique_id_function=lambda route: route.name
    )
