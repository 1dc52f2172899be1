"""The dead letters of the consumers of sales."""

from event_contracts import codec
from service_api.customers.from_sales import ACCOUNTS, NAMES
from service_api.timeline import CONSUMER as TIMELINE
from service_kit.dead_letters.routes import dead_letter_routes
from service_kit.dead_letters.use_cases import Readable


def _check(_: str, value: bytes | None) -> None:
    codec.decode(value)


async def _readable() -> Readable:
    return _check


dead_letters = dead_letter_routes([ACCOUNTS, NAMES, TIMELINE], readable=_readable)
