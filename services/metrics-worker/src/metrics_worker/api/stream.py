"""GET /v1/stream: KPI values as server-sent events, and POST /v1/stream-tickets for browsers."""

import asyncio
import base64
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Annotated, Final, Literal

from fastapi import Query, Request, Response
from starlette.types import Receive, Scope, Send

from metrics_worker.api.limits import limits_of
from metrics_worker.api.names import Named
from metrics_worker.api.parameters import Filters, LedgerReporting
from metrics_worker.api.stream_hub import DIGEST_BYTES, AlertsWatch, Hub, Reader, TooManyReaders, Watch, Watched
from metrics_worker.api.stream_tickets import MAX_LENGTH, Tickets
from metrics_worker.domain.period import Interval
from metrics_worker.ledger.tables import CUSTOMER
from metrics_worker.queries.query import filters_of, kpi_named, variant_of
from service_kit.auth import Authenticator, Principal
from service_kit.fields import Day, Flag, Moment, ReadModel, described
from service_kit.problems import Unprocessable
from service_kit.routing import By, CallersAccess, StrictRoute, Work, router
from service_kit.streaming import Streamed

MAX_KPIS: Final = 24
HEARTBEAT_SECONDS: Final = 5.0
SLOWEST_SECONDS: Final = 30.0
"""A reader that takes nothing for this long is cut off; it may come back and go on where it was."""
RECONNECT_MILLISECONDS: Final = 2000
_SHOWN: Final = {"event": "fresh", "data": '"2026-03-31T21:00:00.120000Z"'}
_EVENT: Final = {
    "type": "object",
    "description": "One event of the stream.",
    "properties": {
        "event": {"type": "string"},
        "id": {"type": "string", "description": "The position to resume from, as Last-Event-ID."},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}


class StreamRoute(StrictRoute):
    """Accepts a ticket in the place of the header."""

    async def authenticate(self, request: Request) -> Principal:
        """Return who sends the request. Raise `Unauthenticated`."""
        ticket = request.query_params.get("ticket")
        if ticket is None or "authorization" in request.headers:
            return await super().authenticate(request)
        tickets: Tickets = request.app.state.tickets
        return await tickets.redeem(ticket[:MAX_LENGTH])


stream = router("/stream", "push", route_class=StreamRoute)
stream_tickets = router("/stream-tickets", "push")


class StreamTicketRead(ReadModel):
    """Opens streams until it expires: `GET /v1/stream?ticket=…`."""

    ticket: Annotated[str, described("Opaque; for the query parameter `ticket`.", "eyJzdWJqZWN0Ijoi.mF0c3Vb7yqQ")]
    expires_at: Moment
    """Until when it opens streams: 30 seconds from now."""


@stream_tickets.post("", status_code=201)
async def issue_stream_ticket(request: Request, by: By) -> StreamTicketRead:
    """Issue a short-lived ticket for an EventSource, which cannot send the token in a header."""
    tickets: Tickets = request.app.state.tickets
    ticket = await tickets.issue(by)
    return StreamTicketRead(ticket=ticket.text, expires_at=ticket.expires_at)


@stream.get(
    "",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {"schema": _EVENT, "example": _SHOWN}}}, 404: {}},
)
async def stream_kpis(
    request: Request,
    by: By,
    work: Work,
    reporting: LedgerReporting,
    given: Filters,
    access: CallersAccess,
    named: Named,
    kpis: Annotated[
        str,
        Query(
            min_length=1,
            max_length=2000,
            description=f"KPI names, comma-separated, at most {MAX_KPIS}; `name:variant` selects another variant.",
            examples=["revenue,win_rate"],
        ),
    ],
    start: Annotated[Day | None, Query(alias="from", description="First day; by default the last 30 days.")] = None,
    end: Annotated[Day | None, Query(alias="to", description="Last day; today by default.")] = None,
    interval: Annotated[Interval | None, Query(description="Adds a series; weeks begin on Monday.")] = None,
    compare: Annotated[
        Literal["previous"] | None, Query(description="Adds the same number of days directly before.")
    ] = None,
    alerts: Annotated[Flag, Query(description="Adds the alerts, as the event `alerts`.")] = False,
    last_event_id: Annotated[
        str | None,
        Query(
            max_length=400,
            description="The value of Last-Event-ID, for clients that cannot send the header.",
            examples=["mF0c3Vb7yqQ="],
        ),
    ] = None,
    ticket: Annotated[
        str | None,
        Query(
            max_length=MAX_LENGTH,
            description="A ticket of POST /v1/stream-tickets, instead of a token.",
            examples=["eyJzdWJqZWN0Ijoi.mF0c3Vb7yqQ"],
        ),
    ] = None,
) -> Response:
    """Send each KPI's answer now and whenever it changes, as the event `kpi`; filters apply to all of them.

    With `alerts`, also send the number of alerts and the first of them, as the event `alerts`, within some seconds.

    `fresh` events in between hold the time up to which the ledger is complete.
    """
    limits = await limits_of(access, work)
    watches: list[Watched] = []
    for name, _, variant in (text.partition(":") for text in dict.fromkeys(kpis.split(","))):
        kpi = kpi_named(name)
        filters = limits.filters(kpi, filters_of(kpi, given))
        watch = Watch(
            kpi=kpi.name,
            variant=variant_of(kpi, variant or None),
            start=start,
            end=end,
            interval=interval,
            filters=tuple(sorted(filters.items())),
            with_previous=compare is not None,
            is_limited=limits.are_set,
            shows_customers=named.shows_customers and CUSTOMER in filters,
        )
        watch.query(reporting)  # refuses days that cannot be asked for
        watches.append(watch)
    if len(watches) > MAX_KPIS:
        raise Unprocessable.at("?kpis", f"at most {MAX_KPIS} KPIs in one stream")
    if alerts:
        watches.append(AlertsWatch(limits, named.shows_customers))
    seen = _position_read(last_event_id or request.headers.get("last-event-id", ""), len(watches))
    hub: Hub = request.app.state.hub
    authenticator: Authenticator = request.app.state.authenticator
    return EventStream(hub, Reader(watches, seen), still_holds=partial(authenticator.still_holds, by))


class EventStream(Streamed):
    """The open stream. It ends with the process, with the token or its key, or with a reader that does not read."""

    def __init__(self, hub: Hub, reader: Reader, *, still_holds: Callable[[], Awaitable[bool]]) -> None:
        super().__init__(
            self._frames(),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
            slowest_seconds=SLOWEST_SECONDS,
        )
        self._hub = hub
        self._reader = reader
        self._still_holds = still_holds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until one side ends it."""
        try:
            self._hub.join(self._reader)
        except TooManyReaders as problem:
            await problem.response()(scope, receive, send)
            return
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.leave(self._reader)

    async def _frames(self) -> AsyncGenerator[bytes, None]:
        reader = self._reader
        yield f"retry: {RECONNECT_MILLISECONDS}\n\n".encode()
        while not self._hub.closed and await self._still_holds():
            reader.woken.clear()
            sent = False
            for number, value in self._hub.changed(reader):
                reader.sent[number] = value.digest
                sent = True
                name = "alerts" if isinstance(reader.watches[number], AlertsWatch) else "kpi"
                yield f"event: {name}\nid: {_position_written(reader.sent)}\ndata: {value.json}\n\n".encode()
            if sent:
                continue
            try:
                await asyncio.wait_for(reader.woken.wait(), HEARTBEAT_SECONDS)
            except TimeoutError:
                # A comment keeps proxies from closing a silent connection; the event has no id, so none is lost by it.
                yield f": alive\nevent: fresh\ndata: {_fresh(self._hub)}\n\n".encode()


def _fresh(hub: Hub) -> str:
    moment = hub.fresh_as_of
    return "null" if moment is None else f'"{moment.isoformat().replace("+00:00", "Z")}"'


def _position_written(sent: list[bytes]) -> str:
    """Return the digests of what was sent: any process can continue from them, and none has to remember anything."""
    return base64.urlsafe_b64encode(b"".join(each or bytes(DIGEST_BYTES) for each in sent)).decode()


def _position_read(text: str, count: int) -> list[bytes]:
    """Return what a reader has received; nothing when the text is no position of so many KPIs."""
    try:
        raw = base64.b64decode(text, b"-_", validate=True)
    except ValueError:
        raw = b""
    if len(raw) != count * DIGEST_BYTES:
        return [b""] * count
    return [raw[at : at + DIGEST_BYTES] for at in range(0, len(raw), DIGEST_BYTES)]
