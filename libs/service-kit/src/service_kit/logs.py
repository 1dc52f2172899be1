"""Structured logs: one line an event, static names, ids rather than objects, everything escaped."""

import logging
import sys
from typing import Any, TextIO

import structlog

from service_kit.trace import current_request_id, current_traceparent


def _add_context(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if (request_id := current_request_id.get()) is not None:
        event["request_id"] = request_id
    if (traceparent := current_traceparent.get()) is not None:
        event["trace_id"] = traceparent.split("-")[1]
    return event


def _escape_event(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    # The messages of libraries have values in them.
    text = str(event["event"])
    if not text.isprintable():
        event["event"] = "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in text])
    return event


def configure(process: str, level: str, form: str, stream: TextIO | None = None) -> None:
    """Sends structlog's and the standard library's logs to stdout in one form (`json` or `console`).

    `stream` is where they go instead, for a command whose standard output is its result.
    """
    stream = stream or sys.stdout
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_context,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "json":
        render: list[structlog.typing.Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        # Values through repr: a line feed in a name must not forge a second log line.
        render = [
            _escape_event,
            structlog.dev.ConsoleRenderer(
                colors=False,
                pad_event_to=0,
                repr_native_str=True,
                # Where rich is installed, its tracebacks show local variables, passwords among them.
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
