"""Adds names to answers, as far as the caller may see them."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.alerts.schemas import AlertRead
from metrics_worker.api.access import CUSTOMER_NAMES
from metrics_worker.queries.names import KINDS_OF, Names, Values, names_of
from metrics_worker.queries.schemas import AnswerRead, GroupRead
from metrics_worker.queries.sql import AT_ONCE
from service_kit.concurrency import cooperative_chunks
from service_kit.dependencies import async_dependency
from service_kit.routing import principal_of


class NameReader:
    """Reads the names that a caller may see."""

    def __init__(self, *, shows_customers: bool) -> None:
        self.shows_customers: Final = shows_customers

    async def of(self, connection: AsyncConnection, wanted: Iterable[Values]) -> Names:
        """Return the names of these values."""
        return await names_of(connection, wanted, with_customers=self.shows_customers)

    async def added_to(self, connection: AsyncConnection, answer: AnswerRead) -> AnswerRead:
        """Return an answer with the names of its filters and groups. Other tasks run in between."""
        groups = answer.groups or []
        dimensions = {*answer.filters, *(groups[0].keys or () if groups else ())}
        if dimensions.isdisjoint(KINDS_OF):
            return answer
        names = await self.of(connection, [answer.filters, *(each.keys or {} for each in groups)])
        named: list[GroupRead] = []
        async for some in cooperative_chunks(groups, AT_ONCE):
            named += [each.model_copy(update={"names": names.of(each.keys or {})}) for each in some]
        update: Mapping[str, Any] = {"names": names.of(answer.filters), "groups": named if groups else answer.groups}
        return answer.model_copy(update=update)

    async def added_to_alerts(self, connection: AsyncConnection, alerts: list[AlertRead]) -> list[AlertRead]:
        """Return alerts with the names of whom they are about: what their `explain` filters by."""
        filters = [dict(parse_qsl(urlsplit(each.explain).query)) for each in alerts]
        names = await self.of(connection, filters)
        return [
            each.model_copy(update={"names": names.of(of_alert)})
            for each, of_alert in zip(alerts, filters, strict=True)
        ]


def name_reader(request: Request) -> NameReader:
    """Return the reader of what the caller's roles may see."""
    return NameReader(shows_customers=not principal_of(request).roles.isdisjoint(CUSTOMER_NAMES))


Named = Annotated[NameReader, Depends(async_dependency(name_reader))]
