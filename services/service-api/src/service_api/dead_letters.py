"""The dead letters of the consumers of sales."""

from fastapi import Request

from event_contracts import codec
from service_api.customers.from_sales import ACCOUNTS, NAMES
from service_api.timeline import CONSUMER as TIMELINE
from service_kit.dead_letters.routes import dead_letters_of
from service_kit.dead_letters.use_cases import Readable


def _check(_: str, value: bytes | None) -> None:
    codec.decode(value)


async def _readable(_: Request) -> Readable:
    return _check


dead_letters = dead_letters_of([ACCOUNTS, NAMES, TIMELINE], readable=_readable)
