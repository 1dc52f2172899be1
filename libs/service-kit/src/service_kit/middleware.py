"""What surrounds every request: host check, request id, trace, safe headers, one log line, one measurement."""

import re
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit import telemetry
from service_kit.admission import REFUSED
from service_kit.health import HEALTH_PATHS
from service_kit.identifiers import new_id
from service_kit.problems import REFUSAL, problem_response, unexpected
from service_kit.settings import ServiceSettings
from service_kit.trace import child_of, current_request_id, current_traceparent

log = structlog.get_logger()

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}", re.ASCII)
_JSON = ("application/json", "application/problem+json")
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestContext:
    """Plain ASGI, outermost of all, so that even a refused request has an id."""

    def __init__(self, app: ASGIApp, *, settings: ServiceSettings) -> None:
        self._app = app
        self._allowed_hosts = frozenset(settings.allowed_hosts)
        self._https_required = settings.https_required
        self._hsts = f"max-age={settings.hsts_seconds}; includeSubDomains" if settings.hsts_seconds else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(new_id())
        id_token = current_request_id.set(request_id)
        trace_token = current_traceparent.set(child_of(headers.get("traceparent")))
        # By uvicorn: of the connection, or what a trusted proxy says.
        is_https = scope["scheme"] == "https"
        # As nginx counts it: the client has gone before it had an answer.
        status = 499
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                started = True
                status = message["status"]
                answer = MutableHeaders(scope=message)
                answer["X-Request-Id"] = request_id
                answer.setdefault("X-Content-Type-Options", "nosniff")
                answer.setdefault("Cache-Control", "no-store")
                answer.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
                answer.setdefault("Referrer-Policy", "no-referrer")
                if answer.get("content-type", "").startswith(_JSON):
                    # A browser that is led to an answer saves it instead of showing it.
                    answer.setdefault("Content-Disposition", 'attachment; filename="answer.json"')
                if is_https and self._hsts is not None:
                    answer["Strict-Transport-Security"] = self._hsts
            await send(message)

        try:
            if not self._host_is_known(headers.get("host", "")):
                refusal = problem_response(400, "unknown-host", "Unknown host", "Address the service by its own name.")
                await refusal(scope, receive, send_with_headers)
            elif self._https_required and not is_https and scope["path"] not in HEALTH_PATHS:
                # No redirect: a client would send its token in clear again and again, and never notice.
                detail = "Use https. If this request carried a token, get a new one: it crossed the network in clear."
                refusal = problem_response(403, "https-required", "HTTPS is required", detail)
                await refusal(scope, receive, send_with_headers)
            else:
                await self._app(scope, receive, send_with_headers)
        except Exception as error:
            # Here, so that this answer has its id and headers too: the framework's own handler is outside of this.
            if started:
                raise
            await unexpected(error)(scope, receive, send_with_headers)
        finally:
            elapsed = time.perf_counter() - began
            matched = scope.get("route")
            route = getattr(matched, "path", "unmatched")
            telemetry.HTTP_SECONDS.labels(scope["method"][:10], route, status).observe(elapsed)
            if scope["path"] not in _QUIET and REFUSED not in scope:
                principal = scope.get("state", {}).get("principal")
                problem, reason = scope.get(REFUSAL, (None, None))
                log.info(
                    "request",
                    method=scope["method"],
                    # The address of a public route is a secret: it is open to anyone who has it.
                    path=route if getattr(matched, "is_public", False) else scope["path"],
                    status=status,
                    milliseconds=round(elapsed * 1000, 1),
                    **({} if principal is None else {"subject": principal.subject}),
                    **({} if problem is None else {"problem": problem, "reason": reason}),
                )
            current_request_id.reset(id_token)
            current_traceparent.reset(trace_token)

    def _host_is_known(self, host: str) -> bool:
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        return "*" in self._allowed_hosts or name.lower() in self._allowed_hosts
