"""HTTP/1.1 with limits: uvicorn's protocol, which by itself reads heads of any size and waits for bodies for ever.

What exceeds a limit is answered where an answer is still possible, and its connection is closed.
"""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Any, ClassVar, Final, NamedTuple

import msgspec
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service_kit import telemetry
from service_kit.cors import is_allowed, refusal_headers
from service_kit.health import HEALTH_PATHS
from service_kit.identifiers import new_id
from service_kit.problems import MEDIA_TYPE, RETRY_AFTER_SECONDS, problem_fields
from service_kit.settings import ServiceSettings

log = structlog.get_logger()

RATE_INTERVAL: Final = 5.0
"""Seconds over which a body's rate is measured."""
STALLED_SECONDS: Final = 30.0
"""How long a client may leave an answer unread."""
LINGER_SECONDS: Final = 2.0
"""How long what is still on its way is dropped after a refusal: a reset would take the answer from the client."""
MAX_PIPELINED: Final = 16
SURPLUS: Final = 64
"""Connections beyond the limit that are still answered: health checks as ever, everything else by a refusal."""


class Refusal(NamedTuple):
    """Why a connection is cut off."""

    status: int
    reason: str
    """Its label in the metrics, and the problem's slug."""
    title: str
    detail: str

    def response(self, request_id: str, shown_to: str) -> bytes:
        """Return the whole answer, with the lines that show it to a browser; the connection ends with it."""
        body = msgspec.json.encode(problem_fields(self.status, self.reason, self.title, self.detail))
        retry = f"retry-after: {RETRY_AFTER_SECONDS}\r\n" if self.status in (429, 503) else ""
        head = (
            f"HTTP/1.1 {self.status} {self.title}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            f"cache-control: no-store\r\nx-content-type-options: nosniff\r\n{retry}"
            f"x-request-id: {request_id}\r\n{shown_to}connection: close\r\n\r\n"
        )
        return head.encode() + body


class Limits(NamedTuple):
    """What a connection may take. Bytes and seconds."""

    url_bytes: int
    header_bytes: int
    headers: int
    head_seconds: float
    body_bytes: int
    body_seconds: float
    body_bytes_per_second: int
    idle_seconds: float
    connections: int
    connections_per_address: int
    trusted_proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    cors_origins: frozenset[str]

    @classmethod
    def of(cls, settings: ServiceSettings) -> "Limits":
        """Return the limits that are set."""
        return cls(
            url_bytes=settings.max_url_bytes,
            header_bytes=settings.max_header_bytes,
            headers=settings.max_headers,
            head_seconds=settings.head_seconds,
            body_bytes=settings.max_body_bytes,
            body_seconds=settings.body_seconds,
            body_bytes_per_second=settings.min_body_bytes_per_second,
            idle_seconds=settings.keep_alive_seconds,
            connections=settings.max_connections,
            connections_per_address=settings.max_connections_per_address,
            trusted_proxies=tuple(ipaddress.ip_network(one) for one in settings.trusted_proxies),
            cors_origins=frozenset(settings.cors_origins),
        )

    def is_proxy(self, address: str) -> bool:
        """Return whether the address is that of a proxy, which forwards many clients."""
        if not self.trusted_proxies:
            return False
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self.trusted_proxies)


def client_of(address: str) -> str:
    """Return whom an address belongs to: an IPv6 client has a /64 network of them."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))


def limited(limits: Limits) -> type["LimitedProtocol"]:
    """Return the protocol of one server."""
    return type("ServerProtocol", (LimitedProtocol,), {"limits": limits, "by_address": Counter()})


class _CutOff(Exception):
    """Ends the parser's work; the connection has the `Refusal`."""


class _Phase(Enum):
    BETWEEN = auto()
    HEAD = auto()
    BODY = auto()


class LimitedProtocol(HttpToolsProtocol):
    """One connection. uvicorn parses and answers; this one measures, and cuts off.

    Most requests arrive in one piece, and cost a few comparisons; only what is incomplete starts a timer.
    """

    limits: ClassVar[Limits]
    by_address: ClassVar[Counter[str]]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._phase = _Phase.BETWEEN
        self._timed: _Phase | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._address: str | None = None
        self._surplus: Refusal | None = None
        self._is_cut_off = False
        self._refusal: Refusal | None = None
        self._head_bytes = 0
        self._body_bytes = 0
        self._bytes_without_body = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit the connection, or mark it for a refusal."""
        super().connection_made(transport)
        limits = self.limits
        if self.client is not None and not limits.is_proxy(self.client[0]):
            self._address = client_of(self.client[0])
            self.by_address[self._address] += 1
            excess = self.by_address[self._address] - limits.connections_per_address
            if excess > 0:
                self._surplus = _address_has_too_many(limits)
            if excess > SURPLUS:
                transport.abort()
        if (excess := len(self.connections) - limits.connections) > 0:
            self._surplus = _NO_CONNECTION_TO_SPARE
            if excess > SURPLUS:
                transport.abort()
        self._start_timer(_Phase.BETWEEN, self.limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give everything back."""
        self._stop_timer()
        if self._stall is not None:
            self._stall.cancel()
        if self._address is not None:
            self.by_address[self._address] -= 1
            if not self.by_address[self._address]:
                del self.by_address[self._address]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and see what it leaves incomplete."""
        if self._is_cut_off:
            return
        before = self._phase
        self._bytes_without_body += len(data)
        super().data_received(data)
        if self._phase is _Phase.BETWEEN:
            if self.cycle is None or self.cycle.response_complete:
                # Line feeds before a request, or the rest of a body whose answer is long sent: neither is progress.
                self._start_timer(_Phase.BETWEEN, self.limits.idle_seconds)
            elif self._timed is not None:
                self._stop_timer()
        elif self._phase is _Phase.HEAD:
            # In a chunk that began in a body, the parser does not report where the head begins.
            self._head_bytes += len(data) if before is not _Phase.BODY else 0
            self._check_head()
            self._start_timer(_Phase.HEAD, self.limits.head_seconds)
        else:
            self._check_body()

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        if self._timed is not None:
            # It was the request's before, whose end came in the same chunk.
            self._stop_timer()
        self._phase = _Phase.HEAD
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Refuse a head that is too large, or one too many, before the application sees it."""
        limits = self.limits
        if len(self.url) > limits.url_bytes:
            raise self._refused(_url_too_long(limits))
        headers = self.headers
        size = len(self.url) + sum([len(name) + len(value) for name, value in headers])
        if len(headers) > limits.headers or size > limits.header_bytes:
            raise self._refused(_head_too_large(limits))
        if len(self.pipeline) >= MAX_PIPELINED:
            raise self._refused(_TOO_MANY_PIPELINED)
        if self._surplus is not None and not self._costs_nothing():
            raise self._refused(self._surplus)
        self._phase = _Phase.BODY
        self._body_bytes = self._bytes_without_body = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count the bytes of a body."""
        self._body_bytes += len(body)
        self._bytes_without_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._phase = _Phase.BETWEEN
        self._bytes_without_body = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser, or a callback of this class, refused. `msg` is uvicorn's for all of it."""
        self._cut_off(self._refusal or _MALFORMED)

    def pause_writing(self) -> None:
        """Give the client a while to read what is buffered for it."""
        super().pause_writing()
        self._stall = self.loop.call_later(STALLED_SECONDS, self._stalled)

    def resume_writing(self) -> None:
        """Go on writing."""
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        super().resume_writing()

    def _costs_nothing(self) -> bool:
        """Return whether a request is answered even when there are too many: health checks, and a browser's questions.

        Without an answer to that, a browser would show its page a failed connection instead of the refusal.
        """
        if self.url.partition(b"?")[0].decode("latin-1") in HEALTH_PATHS:
            return True
        return self.parser.get_method() == b"OPTIONS" and is_allowed(self._origin(), self.limits.cors_origins)

    def _origin(self) -> bytes | None:
        # None before the first head.
        return next((value for name, value in self.headers or () if name == b"origin"), None)

    def _stalled(self) -> None:
        telemetry.HTTP_CUT_OFF.labels("unread-answer").inc()
        self.transport.abort()

    def _check_head(self) -> None:
        if len(self.url) > self.limits.url_bytes:
            self._cut_off(_url_too_long(self.limits))
        elif self._head_bytes > self.limits.header_bytes:
            self._cut_off(_head_too_large(self.limits))

    def _check_body(self) -> None:
        if self._bytes_without_body > self.limits.header_bytes:
            # Trailers, or extensions of chunks: the parser keeps them, and nothing reads them.
            self._cut_off(_head_too_large(self.limits))
        elif self._body_bytes > self.limits.body_bytes and self.cycle.response_complete:
            self._cut_off(_BODY_GOES_ON)
        elif self._timed is not _Phase.BODY:
            self._time_body(self.limits.body_seconds)

    def _time_body(self, seconds_left: float) -> None:
        interval = min(RATE_INTERVAL, self.limits.body_seconds)
        self._start_timer(
            _Phase.BODY, interval, partial(self._check_rate, self._body_bytes, interval, seconds_left - interval)
        )

    def _check_rate(self, bytes_before: int, interval: float, seconds_left: float) -> None:
        self._timed = None
        if self.flow.read_paused:
            # The client is not slow: the application lets it wait.
            self._time_body(seconds_left + interval)
        elif seconds_left <= 0 or self._body_bytes - bytes_before < self.limits.body_bytes_per_second * interval:
            self._cut_off(_body_too_slow(self.limits))
        else:
            self._time_body(seconds_left)

    def _start_timer(self, phase: _Phase, seconds: float, then: Callable[[], None] | None = None) -> None:
        if self._timed is phase or self._is_cut_off:
            return
        self._stop_timer()
        self._timed = phase
        self._timer = self.loop.call_later(seconds, then or self._head_too_slow)

    def _stop_timer(self) -> None:
        self._timed = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_too_slow(self) -> None:
        if self._phase is _Phase.BETWEEN:
            # It never began a request.
            telemetry.HTTP_CUT_OFF.labels("idle").inc()
            self.transport.close()
            return
        self._cut_off(_head_too_slow(self.limits))

    def _refused(self, refusal: Refusal) -> _CutOff:
        """Return what is raised within the parser; uvicorn then calls `send_400_response`."""
        self._refusal = refusal
        return _CutOff()

    def _cut_off(self, refusal: Refusal) -> None:
        if self._is_cut_off:
            return
        self._is_cut_off = True
        self._stop_timer()
        self._unset_keepalive_if_required()
        telemetry.HTTP_CUT_OFF.labels(refusal.reason).inc()
        if self._phase is _Phase.BODY:
            is_answerable = not self.pipeline and not self.cycle.response_started
            if not self.cycle.response_complete:
                # The application learns that no more will come; its own answer is dropped.
                self.cycle.disconnected = True
                self.cycle.message_event.set()
        else:
            is_answerable = not self.pipeline and (self.cycle is None or self.cycle.response_complete)
        if is_answerable and not self.transport.is_closing():
            request_id = str(new_id())
            log.info("connection_cut_off", reason=refusal.reason, status=refusal.status, request_id=request_id)
            shown_to = refusal_headers(self._origin(), self.limits.cors_origins)
            self.transport.write(refusal.response(request_id, shown_to))
            if self.transport.can_write_eof():
                self.flow.resume_reading()
                self.transport.write_eof()
                self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)
                return
        self.transport.close()


_MALFORMED: Final = Refusal(400, "malformed-request", "Bad Request", "It is not valid HTTP/1.1. Correct the request.")
_BODY_GOES_ON: Final = Refusal(413, "body-too-large", "Content Too Large", "The body goes on after its answer.")
_TOO_MANY_PIPELINED: Final = Refusal(
    429, "too-many-pipelined", "Too Many Requests", f"Wait for answers after {MAX_PIPELINED} requests."
)
_NO_CONNECTION_TO_SPARE: Final = Refusal(
    503,
    "too-many-connections",
    "Service Unavailable",
    "No connection is to spare. Send the same request again shortly.",
)


def _address_has_too_many(limits: Limits) -> Refusal:
    detail = f"Your address has {limits.connections_per_address} connections open. Send requests through those."
    return Refusal(429, "too-many-connections", "Too Many Requests", detail)


def _url_too_long(limits: Limits) -> Refusal:
    return Refusal(414, "url-too-long", "URI Too Long", f"Send an address of at most {limits.url_bytes} bytes.")


def _head_too_large(limits: Limits) -> Refusal:
    detail = f"Send at most {limits.headers} headers, and {limits.header_bytes} bytes of address and headers in all."
    return Refusal(431, "head-too-large", "Request Header Fields Too Large", detail)


def _head_too_slow(limits: Limits) -> Refusal:
    detail = f"The head of the request did not arrive within {limits.head_seconds:g} s. Send the request again."
    return Refusal(408, "head-too-slow", "Request Timeout", detail)


def _body_too_slow(limits: Limits) -> Refusal:
    detail = (
        f"The body has to arrive within {limits.body_seconds:g} s, and {limits.body_bytes_per_second} bytes of it"
        " each second. Send the request again."
    )
    return Refusal(408, "body-too-slow", "Request Timeout", detail)
