"""The dead letters of the consumers of service's events."""

from event_contracts import codec
from sales_api.from_service import CONSUMER
from sales_api.timeline import CONSUMER as TIMELINE_CONSUMER
from service_kit.dead_letters.routes import dead_letter_routes
from service_kit.dead_letters.use_cases import Readable


def _check(_: str, value: bytes | None) -> None:
    codec.decode(value)


async def _readable() -> Readable:
    return _check


dead_letters = dead_letter_routes([CONSUMER, TIMELINE_CONSUMER], readable=_readable)
