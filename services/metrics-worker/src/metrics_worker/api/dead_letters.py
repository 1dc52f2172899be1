"""Records that the ledger could not process: listed, corrected, sent again, or discarded."""

from fastapi import Request

from metrics_worker.api.parameters import reporting_of
from metrics_worker.ledger import aggregate
from metrics_worker.ledger.directory import NAMES, decode_name
from metrics_worker.ledger.tables import CONSUMER
from service_kit.dead_letters.routes import dead_letter_routes
from service_kit.dead_letters.use_cases import Readable


async def _readable(request: Request) -> Readable:
    reporting = await reporting_of(request)

    def check(consumer: str, value: bytes | None) -> None:
        if consumer == NAMES:
            decode_name(value)
        else:
            aggregate.decode(value, reporting)

    return check


dead_letters = dead_letter_routes([CONSUMER, NAMES], readable=_readable, with_names=[NAMES])
