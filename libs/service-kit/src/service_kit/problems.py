"""Errors that carry their HTTP status; one place turns every failure into problem+json (RFC 9457)."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

import asyncpg
import sqlalchemy.exc
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
REFUSAL: Final = "tandem.refusal"
"""The key in a request's scope of what its caller was refused: the problem's slug, and why, without personal data."""
_SEE_ERRORS = "See errors: each names the place and what is wrong."

log = structlog.get_logger()


class Problem(Exception):
    """A failure that a client can act on. Subclasses name it; `type` follows from `slug`.

    `detail` is what to do about it; `extra` is added to the JSON as further members.
    """

    status: ClassVar[int] = 400
    slug: ClassVar[str] = "bad-request"
    title: ClassVar[str] = "Bad request"
    forbids_replay: bool = False
    """Whether it is about who sends the request: they do not get an answer that is stored under their key either."""

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra

    def response(self) -> JSONResponse:
        """Return the problem+json answer."""
        return problem_response(self.status, self.slug, self.title, self.detail, headers=self.headers, **self.extra)

    def fields(self) -> dict[str, Any]:
        """Return the members of its JSON, for one among others in an answer."""
        return problem_fields(self.status, self.slug, self.title, self.detail, **self.extra)


class MalformedBody(Problem):
    """The body is not JSON at all."""

    status, slug, title = 400, "malformed-body", "The body is not JSON"


class Unauthenticated(Problem):
    """No token, or one that is not valid."""

    status, slug, title = 401, "unauthenticated", "A valid bearer token is needed"

    def __init__(self, detail: str, *, error: str | None = None) -> None:
        challenge = 'Bearer realm="tandem"' + (f', error="{error}"' if error else "")
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class Forbidden(Problem):
    """The token is good, its roles are not enough."""

    status, slug, title = 403, "forbidden", "The role does not allow this"
    forbids_replay = True


class NotFound(Problem):
    """Absent, or not to be seen by this role: the same answer for both."""

    status, slug, title = 404, "not-found", "There is no such thing"


class Conflict(Problem):
    """The request is fine, the state it meets is not. Subclass it with a slug for each rule."""

    status, slug, title = 409, "conflict", "The state does not allow this"


class PreconditionFailed(Problem):
    """`If-Match` names a version that is no longer current."""

    status, slug, title = 412, "stale-version", "The record was changed in the meantime"


class BodyTooLarge(Problem):
    """More bytes than this service takes at once."""

    status, slug, title = 413, "body-too-large", "The body is too large"


class UnsupportedMediaType(Problem):
    """The body is in no form that is read here."""

    status, slug, title = 415, "unsupported-media-type", "The body is in a form that is not read here"


class Unprocessable(Problem):
    """The body is JSON and means nothing that can be done."""

    status, slug, title = 422, "invalid-request", "The request is not valid"

    @classmethod
    def at(cls, pointer: str, detail: str) -> "Unprocessable":
        """Return one field's error, in the form of all validation errors."""
        return cls.several([(pointer, detail)])

    @classmethod
    def several(cls, errors: Iterable[tuple[str, str]]) -> "Unprocessable":
        """Return the errors of several fields, each with its pointer."""
        return cls(_SEE_ERRORS, errors=[{"pointer": pointer, "detail": detail} for pointer, detail in errors])


class Unavailable(Problem):
    """A dependency is down; the same request may be sent again."""

    status, slug, title = 503, "unavailable", "A part this needs is not available"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


class Overloaded(Unavailable):
    """More is asked than can be answered in time; the same request may be sent again."""

    slug, title = "overloaded", "The service has too much to do"


def problem_fields(status: int, slug: str, title: str, detail: str, **extra: Any) -> dict[str, Any]:
    """Return the members of a problem's JSON."""
    return {"type": f"urn:tandem:problem:{slug}", "title": title, "status": status, "detail": detail, **extra}


def problem_response(
    status: int, slug: str, title: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
) -> JSONResponse:
    """Return a problem+json answer from its parts."""
    body = problem_fields(status, slug, title, detail, **extra)
    return JSONResponse(body, status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def _pointer(location: tuple[Any, ...]) -> str:
    """Return FastAPI's location as an RFC 9457 pointer: `#/lines/0/quantity` in the body, `?limit` in the query."""
    where, *path = location or ("body",)
    steps = [str(step).encode("ascii", "backslashreplace").decode()[:100] for step in path]
    if where == "body":
        return "#/" + "/".join(steps)
    return f"{'?' if where == 'query' else where + ':'}{'/'.join(steps)}"


def _errors(found: Iterable[Mapping[str, Any]], *, inside: tuple[str, ...] = ()) -> list[dict[str, str]]:
    # Never the input: it may hold what JSON cannot carry back (NaN, lone surrogates), or a secret.
    return [
        {
            "pointer": _pointer((*inside, *item["loc"])),
            "detail": str(item["msg"]).removeprefix("Value error, ").encode("ascii", "backslashreplace").decode(),
        }
        for item in found
    ]


def invalid(error: ValidationError) -> Unprocessable:
    """Return what is wrong with a value that a model was given, as if it had been a request's body."""
    return Unprocessable(_SEE_ERRORS, errors=_errors(error.errors(), inside=("body",)))


async def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)  # noqa: S101 -- the handler is registered for this type only
    if error.status in (401, 403):
        request.scope[REFUSAL] = error.slug, error.detail
    elif error.forbids_replay:
        # What is answered does not say that there is such a record.
        request.scope[REFUSAL] = error.slug, "out of the caller's scope"
    return error.response()


async def _validation_failed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- the handler is registered for this type only
    return Unprocessable(_SEE_ERRORS, errors=_errors(error.errors())).response()


_SLUGS = {
    400: ("bad-request", "Bad request"),
    404: ("not-found", NotFound.title),
    405: ("method-not-allowed", "This address does not take that method"),
}


async def _http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 -- the handler is registered for this type only
    slug, title = _SLUGS.get(error.status_code, ("http-error", "The request failed"))
    headers = dict(error.headers or {})
    if error.status_code == 405:
        # The framework names the methods of the first route with this address only.
        headers["Allow"] = ", ".join(sorted(_methods_of(request)))
    return problem_response(error.status_code, slug, title, str(error.detail), headers=headers)


def _methods_of(request: Request) -> set[str]:
    routes: list[APIRoute] = request.app.state.routes
    matching = (route for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in matching for method in (route.methods or ())}


LOCK_TIMEOUT: Final = "55P03"
"""PostgreSQL's code for a lock that another session kept for too long."""

_TRANSIENT_SQLSTATES = frozenset(
    {
        "53000", "53100", "53200", "53300",  # out of a resource: disk, memory, connections
        "57P01", "57P02", "57P03", "57P05",  # shutting down, starting up, idle time-out
        "57014",  # statement time-out
        LOCK_TIMEOUT,
        "40001", "40P01",  # serialization, deadlock: retried already where this is seen
        "25006",  # read-only: a standby that has not been promoted yet
    }
)  # fmt: skip


# The driver's own confusion: it reads that the connection was cut while it sends the next statement.
_OF_A_CONNECTION: Final = OSError | TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError


def sqlstate_of(error: BaseException) -> str | None:
    """Return PostgreSQL's five-character code behind an exception, if it is one of PostgreSQL's."""
    original = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    code = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    return code if isinstance(code, str) else None


def is_transient(error: BaseException) -> bool:
    """Return whether a dependency failed rather than the request: trying again later may succeed."""
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.connection_invalidated:
        return True
    code = sqlstate_of(error)
    if code is not None:
        return code in _TRANSIENT_SQLSTATES or code.startswith("08")
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig is not None:
        cause = error.orig.__cause__
        return isinstance(cause, _OF_A_CONNECTION | asyncpg.PostgresConnectionError)
    return isinstance(error, _OF_A_CONNECTION | sqlalchemy.exc.TimeoutError)


def unexpected(error: Exception) -> JSONResponse:
    """Return the answer to a failure that is no problem of the request's: 503 when a dependency failed, else 500."""
    if is_transient(error):
        log.warning("dependency_unavailable", error=type(error).__name__)
        return Unavailable("The database did not answer in time. Send the same request again shortly.").response()
    log.error("unhandled_error", exc_info=error)
    return problem_response(
        500, "internal-error", "Something went wrong here", "The failure was logged under this request's id."
    )


def install(app: FastAPI) -> None:
    """Make every error of the application problem+json, without stack, SQL or secret.

    Unexpected ones reach `middleware.RequestContext`, so that they too are answered under the request's id. The
    handlers are coroutines: any other would cost a thread.
    """
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _validation_failed)
    app.add_exception_handler(HTTPException, _http_exception)
