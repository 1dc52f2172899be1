"""The dead letters of the consumers of service's events."""

from fastapi import Request

from event_contracts import codec
from sales_api.from_service import CONSUMER
from sales_api.timeline import CONSUMER as TIMELINE_CONSUMER
from service_kit.dead_letters.routes import dead_letters_of
from service_kit.dead_letters.use_cases import Readable


def _check(_: str, value: bytes | None) -> None:
    codec.decode(value)


async def _readable(_: Request) -> Readable:
    return _check


dead_letters = dead_letters_of([CONSUMER, TIMELINE_CONSUMER], readable=_readable)
