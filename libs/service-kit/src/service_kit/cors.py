"""Which frontends on other origins may read answers: what a browser asks for before it shows them an answer."""

from collections.abc import Collection
from typing import Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_REQUEST_HEADERS: Final = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "X-Request-Id",
    "traceparent",
)
"""What a frontend may send beside the headers that are always allowed, such as Accept."""
EXPOSED: Final = (
    "Content-Disposition",
    "ETag",
    "Idempotent-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-Id",
)
"""What a frontend may read of an answer beside its body."""
_PREFLIGHT_SECONDS: Final = 600


def add_cors(app: FastAPI, origins: Collection[str]) -> None:
    """Let frontends of these origins read answers. Outermost of all, or a browser would hide refusals from them.

    No credentials: a token is sent as a header, which a browser never adds by itself.
    """
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_REQUEST_HEADERS,
            expose_headers=EXPOSED,
            max_age=_PREFLIGHT_SECONDS,
        )


def is_allowed(origin: bytes | None, origins: Collection[str]) -> bool:
    """Return whether a frontend of this origin may read answers."""
    return origin is not None and ("*" in origins or origin.decode("latin-1") in origins)


def refusal_headers(origin: bytes | None, origins: Collection[str]) -> str:
    """Return the lines of an answer's head that show it to this origin, for refusals that no middleware sees."""
    if origin is None or not is_allowed(origin, origins):
        return ""
    shown_to = "*" if "*" in origins else origin.decode("latin-1")
    exposed = ", ".join(EXPOSED)
    return f"access-control-allow-origin: {shown_to}\r\naccess-control-expose-headers: {exposed}\r\nvary: Origin\r\n"
