"""The W3C trace that a piece of work belongs to, carried from the request through the outbox to every consumer."""

import re
import secrets
from contextvars import ContextVar

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)

current_traceparent: ContextVar[str | None] = ContextVar("current_traceparent", default=None)
current_request_id: ContextVar[str | None] = ContextVar("current_request_id", default=None)


def child_of(traceparent: str | None) -> str:
    """A new span under a given `traceparent`, or a new trace where there is none or it is not valid."""
    if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
        _, trace_id, _, flags = traceparent.split("-")
        return f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
