"""Records that a consumer of metrics could not process: listed, corrected, sent again, or discarded."""

from typing import Final

from fastapi import Request

from event_contracts import codec
from metrics_worker.api.parameters import reporting_of
from metrics_worker.ledger import aggregate
from metrics_worker.ledger.directory import NAMES, decode_name
from metrics_worker.ledger.tables import CONSUMER
from metrics_worker.webhooks.model import FEED
from service_kit.dead_letters.routes import dead_letters_of
from service_kit.dead_letters.use_cases import Readable

CONSUMERS: Final = (CONSUMER, NAMES, FEED)
"""Every consumer of metrics."""


async def _readable(request: Request) -> Readable:
    reporting = await reporting_of(request)

    def check(consumer: str, value: bytes | None) -> None:
        if consumer == NAMES:
            decode_name(value)
        elif consumer == FEED:
            codec.decode(value)
        else:
            aggregate.decode(value, reporting)

    return check


dead_letters = dead_letters_of(CONSUMERS, readable=_readable, with_names=[NAMES])
