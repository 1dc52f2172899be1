"""Reads one customer's story."""

from typing import NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from metrics_worker.books.stories import story_of
from metrics_worker.books.tables import SUBJECT, account_merge, relationship_fact
from metrics_worker.domain.customer_merges import survivor_of
from metrics_worker.domain.customer_timeline import TimelineEntry, by_survivor
from metrics_worker.domain.kinds import KIND_BY_NAME
from metrics_worker.domain.posting import Reporting
from metrics_worker.domain.relationship import Relationship

_VERSION = msgspec.json.Decoder(TimelineEntry)


class Found(NamedTuple):
    """A customer's relationship, and who they are."""

    survivor: UUID
    """The customer itself, unless it was merged."""
    known: bool
    """False for an id that no event has told of as a customer's."""
    relationship: Relationship


async def relationship_of(session: AsyncSession, customer: UUID, reporting: Reporting) -> Found:
    """What the books know of a customer and of all that were merged into it."""
    survivor = await _survivor(session, customer)
    told = (
        await session.execute(sa.select(relationship_fact.c.told).where(relationship_fact.c.customer == survivor))
    ).scalars()
    story = story_of(map(_VERSION.decode, told))
    of_survivor = by_survivor(story.values()).get(survivor, [])
    known = bool(story) or await _is_known(session, survivor)
    return Found(survivor, known, Relationship(survivor, of_survivor, reporting))


async def _survivor(session: AsyncSession, customer: UUID) -> UUID:
    onward = account_merge.alias()
    chain = (
        sa.select(account_merge.c.customer, account_merge.c.merged_into)
        .where(account_merge.c.customer == customer)
        .cte(recursive=True)
    )
    chain = chain.union(
        sa.select(onward.c.customer, onward.c.merged_into).where(onward.c.customer == chain.c.merged_into)
    )
    links = {row.customer: row.merged_into for row in await session.execute(sa.select(chain))}
    survivor: UUID = survivor_of(customer, links)
    return survivor


async def _is_known(session: AsyncSession, customer: UUID) -> bool:
    tables = [SUBJECT[KIND_BY_NAME[name]] for name in ("account", "customer")]
    query = sa.select(sa.or_(*(sa.exists().where(table.c.id == customer) for table in tables)))
    return bool((await session.execute(query)).scalar_one())
