"""Runs a process, an API or a worker with its health endpoints, until SIGTERM; then ends it within its limit."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

import structlog
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.types import ASGIApp

from service_kit import logs
from service_kit.health import Check, health_routes
from service_kit.settings import ServiceSettings

log = structlog.get_logger()

API_COLLECTION_THRESHOLD: Final = 20_000
"""New objects before the garbage collector looks for cycles: at 700, the default, it takes a tenth of the time."""
WORKER_COLLECTION_THRESHOLD: Final = 250_000
"""The same of a worker: a consumer's batch makes 180,000 objects that the next one replaces, and no cycles. Looking for
some amid each batch takes a third of the time of decoding it."""

Work = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""Works until the event is set."""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the runner has them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """No handlers; see `_run`."""
        yield


def _server(app: ASGIApp, settings: ServiceSettings) -> _Server:
    config = uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        # The client's address is not used; its headers are a proxy's to write.
        proxy_headers=False,
        timeout_keep_alive=30,
        # uvicorn would wait for ever for an open connection (a stream of events).
        timeout_graceful_shutdown=settings.shutdown_seconds,
        h11_max_incomplete_event_size=64 * 1024,
        lifespan="on",
    )
    return _Server(config)


def serve(process: str, settings: ServiceSettings, app: ASGIApp, *, on_stop: Callable[[], None] | None = None) -> None:
    """Run an API until SIGTERM or SIGINT. `on_stop` is called first, to end streams."""
    logs.configure(process, settings.log_level, settings.log_format)
    tune_garbage_collector(API_COLLECTION_THRESHOLD)
    uvloop.run(_run(process, settings, app, None, on_stop))


def work(
    process: str, settings: ServiceSettings, work: Work, *, live: dict[str, Check], ready: dict[str, Check]
) -> None:
    """Run a worker, with `/healthz`, `/readyz` and `/metrics` beside it, until SIGTERM or SIGINT.

    When the work ends by itself with an exception, so does the process: the orchestrator has to see it.
    """
    logs.configure(process, settings.log_level, settings.log_format)
    tune_garbage_collector(WORKER_COLLECTION_THRESHOLD)
    uvloop.run(_run(process, settings, Starlette(routes=health_routes(live, ready)), work))


def tune_garbage_collector(threshold: int) -> None:
    """Look for cycles among new objects only, and only when there are many: for a process' main, after its imports."""
    gc.collect()
    # What is imported stays: the collector need not walk through it again and again.
    gc.freeze()
    gc.set_threshold(threshold)


async def _run(
    process: str,
    settings: ServiceSettings,
    app: ASGIApp,
    work: Work | None,
    on_stop: Callable[[], None] | None = None,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = _server(app, settings)
    serving = asyncio.create_task(server.serve(), name="http")
    working = asyncio.create_task(work(stop), name="work") if work is not None else None
    stopping = asyncio.create_task(stop.wait(), name="stop")
    log.info("started", process=process, port=settings.http_port)
    tasks = {task for task in (serving, working, stopping) if task is not None}
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    if on_stop is not None:
        on_stop()
    if working is not None:
        try:
            # Whatever hangs is cut off: what was not committed is done again by the next process.
            await asyncio.wait_for(working, settings.shutdown_seconds)
        finally:
            server.should_exit = True
            await serving
    else:
        server.should_exit = True
        await serving
    stopping.cancel()
    log.info("stopped", process=process)
