"""Runs a process, an API or a worker with its health endpoints, until SIGTERM; then ends it within its limit."""

import asyncio
import contextlib
import gc
import resource
import signal
import socket
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

import structlog
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.types import ASGIApp

from service_kit import logs
from service_kit.health import NO_MEASURES, Check, health_routes, metrics_route
from service_kit.http_protocol import SURPLUS, Limits, limited
from service_kit.periodic import check_jobs
from service_kit.settings import ServiceSettings

log = structlog.get_logger()

API_COLLECTION_THRESHOLD: Final = 20_000
"""New objects before the garbage collector looks for cycles: at 700, the default, it takes a tenth of the time."""
WORKER_COLLECTION_THRESHOLD: Final = 250_000
"""The same of a worker: a consumer's batch makes 180,000 objects that the next one replaces, and no cycles. A search
for some amid each batch takes a third of the time of decoding it."""

OTHER_FILES: Final = 200
"""Files of a process beside its clients' connections: those of the database and Kafka, and its own."""

ACCEPTED_AT_ONCE: Final = 8
"""New connections that a turn of the event loop accepts."""

Work = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""Works until the event is set."""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the runner has them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """No handlers; see `_run`."""
        yield


def http_server(app: ASGIApp, settings: ServiceSettings, *, port: int | None = None) -> uvicorn.Server:
    """Return a server, within the limits that are set, that installs no signal handlers."""
    config = uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port if port is None else port,
        http=limited(Limits.of(settings)),
        ws="none",
        log_config=None,
        # Its warnings are about what clients send: they would fill the log, and are counted by the protocol.
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=True,
        # Anyone else could write them.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        ssl_certfile=settings.http_tls_cert_file,
        ssl_keyfile=settings.http_tls_key_file,
        timeout_keep_alive=settings.keep_alive_seconds,
        # uvicorn would wait for ever for an open connection (a stream of events).
        timeout_graceful_shutdown=settings.shutdown_seconds,
        lifespan="on",
    )
    return _Server(config)


def _listening(config: uvicorn.Config) -> list[socket.socket]:
    """Return the server's socket several times: of each, uvloop accepts one connection in a turn of its loop.

    Under load a turn takes tens of milliseconds, and new connections would wait for seconds.
    """
    first = config.bind_socket()
    return [first, *(first.dup() for _ in range(ACCEPTED_AT_ONCE - 1))]


def serve(process: str, settings: ServiceSettings, app: ASGIApp, *, on_stop: Callable[[], None] | None = None) -> None:
    """Run an API until SIGTERM or SIGINT, and its `/metrics` at a port of its own if one is set.

    `on_stop` is called first, to end streams.
    """
    logs.configure(process, settings.log_level, settings.log_format)
    if not settings.auth_issuer:
        raise SystemExit(f"{process}: set AUTH_ISSUER to the issuer of the tokens to be taken")
    tune_garbage_collector(API_COLLECTION_THRESHOLD)
    uvloop.run(_run(process, settings, app, None, on_stop))


def work(
    process: str, settings: ServiceSettings, work: Work, *, live: dict[str, Check], ready: dict[str, Check]
) -> None:
    """Run a worker, with `/healthz`, `/readyz` and `/metrics` beside it, until SIGTERM or SIGINT.

    When the work ends by itself with an exception, so does the process: the orchestrator has to see it. It is not ready
    while one of its periodic jobs fails at every run.
    """
    logs.configure(process, settings.log_level, settings.log_format)
    tune_garbage_collector(WORKER_COLLECTION_THRESHOLD)
    uvloop.run(
        _run(
            process,
            settings,
            Starlette(routes=[*health_routes(live, ready | {"jobs": check_jobs}), metrics_route()]),
            work,
        )
    )


def tune_garbage_collector(threshold: int) -> None:
    """Look for cycles among new objects only, and only when there are many: for a process' main, after its imports."""
    gc.collect()
    # What is imported stays: the collector need not walk through it again and again.
    gc.freeze()
    gc.set_threshold(threshold)


def _allow_files(number: int) -> None:
    """Let the process open so many files, if it may: 1,024 are usual, and a server without one accepts nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _run(
    process: str,
    settings: ServiceSettings,
    app: ASGIApp,
    work: Work | None,
    on_stop: Callable[[], None] | None = None,
) -> None:
    _allow_files(settings.max_connections + SURPLUS + OTHER_FILES)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    servers = [http_server(app, settings)]
    if work is None and settings.prometheus_port is not None:
        measures = getattr(app.state, "measures", NO_MEASURES) if isinstance(app, Starlette) else NO_MEASURES
        route = metrics_route(measures)
        servers.append(http_server(Starlette(routes=[route]), settings, port=settings.prometheus_port))
    serving = asyncio.gather(*(server.serve(_listening(server.config)) for server in servers))
    working = asyncio.create_task(work(stop), name="work") if work is not None else None
    stopping = asyncio.create_task(stop.wait(), name="stop")
    log.info("started", process=process, port=settings.http_port)
    tasks: set[asyncio.Future[Any]] = {task for task in (serving, working, stopping) if task is not None}
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    if on_stop is not None:
        on_stop()
    try:
        if working is not None:
            # Whatever hangs is cut off: what was not committed is done again by the next process.
            await asyncio.wait_for(working, settings.shutdown_seconds)
    finally:
        for server in servers:
            server.should_exit = True
        await serving
    stopping.cancel()
    log.info("stopped", process=process)
