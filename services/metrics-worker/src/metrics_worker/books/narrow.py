"""Narrow copies of the postings, from which combinations of filters are answered: a third of the bytes to look through.

A copy is made in the background and costs the consumer nothing. It is complete up to one posting, which stands in
`narrowed`; whoever reads adds the postings after it. Nothing in it is ever changed, as nothing in the postings is.
Opening balances are made along with it.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from metrics_worker.books import opening_balances
from metrics_worker.books.codes import translated
from metrics_worker.books.tables import NARROW
from metrics_worker.domain.kinds import Kind
from service_kit.periodic import PeriodicJob

COPIED = Counter("tandem_narrow_postings_total", "Postings copied for combinations of filters.", ["kind"])

LOOK_SECONDS: Final = 15.0
ENOUGH: Final = 20_000
"""Postings of a kind that are worth a copy; so many may be left to a reader, which are a few milliseconds."""
PORTION: Final = 20_000
"""Ids that one transaction copies: a few tenths of a second."""
LOCK: Final = 0x7461_6E64_656D_0006
"""The advisory lock that lets one copy at a time be made."""


class _End(NamedTuple):
    """The newest posting of a kind at some moment. What was under way then may have written before it."""

    table: int
    """Which table it stands in: a rebuild puts another in its place."""
    posting_id: int
    transactions: int
    """All that were under way have lower numbers."""


class Narrower:
    """One process's maker of copies."""

    def __init__(self, engine: AsyncEngine, *, enough: int = ENOUGH) -> None:
        self._engine = engine
        self._enough = enough
        self._ends: dict[Kind, _End] = {}
        self.job = PeriodicJob("narrow copies", self.look, pause=LOOK_SECONDS, limit_seconds=180)

    async def look(self) -> int:
        """Copies what is settled, where it is enough to be worth it; returns how many ids were gone through.

        Settled is what stood there at an earlier look, as soon as all that was under way then has ended: ids are given
        out in order, but transactions end in any. Every writer has a number, by writing something else, before its
        first posting has an id.
        """
        done = 0
        for kind in NARROW:
            async with self._engine.begin() as connection:
                row = (await connection.execute(_END[kind])).one_or_none()
            if row is None:
                continue
            end = _End(row.stands_in, row.posting_id, row.transactions)
            seen = self._ends.get(kind)
            if seen is None or seen.table != end.table:
                self._ends[kind] = end
                await self._open(kind)
            elif row.oldest >= seen.transactions:
                self._ends[kind] = end
                if seen.posting_id - row.copied >= self._enough:
                    while await self._copy(kind, seen):
                        done += PORTION
                        self.job.heartbeat.beat()
                    await self._open(kind)
        return done

    async def _copy(self, kind: Kind, until: _End) -> bool:
        """Copies one portion of what comes before an end, that one included; False when there is none left to copy."""
        async with self._engine.begin() as connection:
            if not (await connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(LOCK)))).scalar_one():
                return False
            row = (await connection.execute(_END[kind])).one_or_none()
            # From here on the table keeps its place.
            if row is None or row.stands_in != until.table or row.copied >= until.posting_id:
                return False
            ids = {"after": row.copied, "until": min(row.copied + PORTION, until.posting_id)}
            await connection.execute(_VALUES[kind], ids)
            await opening_balances.add_late(connection, kind, **ids)
            copied = await connection.execute(_COPY[kind], ids)
            await connection.execute(_MARK, {"kind": kind.name, "until": ids["until"]})
        COPIED.labels(kind.name).inc(copied.rowcount)
        return True

    async def _open(self, kind: Kind) -> None:
        """Makes the opening balances that are worth it by now."""
        made = True
        while made:
            async with self._engine.begin() as connection:
                locked = (await connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(LOCK)))).scalar_one()
                made = locked and await opening_balances.make_one(connection, kind, self._enough)
            self.job.heartbeat.beat()


class Narrowed(NamedTuple):
    """How far a kind's copy goes."""

    posting_id: int
    """The posting up to which it is complete, that one included."""
    openings: list[date]
    """The days of which there are opening balances, in order."""


async def narrowed_until(connection: AsyncConnection) -> Mapping[str, Narrowed]:
    """By kind, how far its copy goes in this snapshot; a kind without a copy is left out."""
    return {kind: Narrowed(*rest) for kind, *rest in await connection.execute(_NARROWED)}


async def strayed(connection: AsyncConnection, kind: Kind) -> list[tuple[str, tuple[Any, ...]]]:
    """What only a kind's postings tell, or only their copy, as far as it goes: which of the two, and the row.

    The first hundred.
    """
    return [(row[0], tuple(row[1:])) for row in await connection.execute(_STRAYED[kind])]


_NARROWED = sa.text("""
    SELECT kind, posting_id,
           ARRAY(SELECT day FROM opening_balance AS opening WHERE opening.kind = narrowed.kind ORDER BY day)
    FROM narrowed
""")
_MARK = sa.text("""
    INSERT INTO narrowed (kind, posting_id) VALUES (:kind, :until)
    ON CONFLICT (kind) DO UPDATE SET posting_id = excluded.posting_id
""")


def _end(kind: Kind) -> sa.TextClause:
    return sa.text(f"""
        SELECT CAST(tableoid AS bigint) AS stands_in, id AS posting_id,
               CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint) AS transactions,
               CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) AS oldest,
               coalesce((SELECT posting_id FROM narrowed WHERE kind = '{kind.name}'), 0) AS copied
        FROM {kind.name}_posting ORDER BY id DESC LIMIT 1
    """)  # noqa: S608 -- names of ours, no input


def _values(kind: Kind) -> sa.TextClause:
    return sa.text(f"""
        INSERT INTO dimension_value (value)
        SELECT DISTINCT told.value
        FROM {kind.name}_posting CROSS JOIN LATERAL (VALUES ({"), (".join(kind.dimensions)})) AS told (value)
        WHERE id > :after AND id <= :until AND told.value IS NOT NULL
            AND NOT EXISTS (SELECT FROM dimension_value AS known WHERE known.value = told.value)
    """)  # noqa: S608 -- names of ours, no input


def _columns(kind: Kind) -> list[str]:
    return [column.name for column in NARROW[kind].columns]


def _copy(kind: Kind) -> sa.TextClause:
    told, joins = translated(kind, _columns(kind), "posting", "code")
    return sa.text(f"""
        INSERT INTO {kind.name}_narrow ({", ".join(_columns(kind))})
        SELECT {told} FROM {kind.name}_posting AS posting {joins}
        WHERE posting.id > :after AND posting.id <= :until ORDER BY posting.day
    """)  # noqa: S608 -- names of ours, no input


def _strayed(kind: Kind) -> sa.TextClause:
    told, joins = translated(kind, _columns(kind), "narrow", "value")
    return sa.text(f"""
        WITH posted AS (
            SELECT {", ".join(_columns(kind))} FROM {kind.name}_posting
            WHERE id <= (SELECT posting_id FROM narrowed WHERE kind = '{kind.name}')
        ), copied AS (
            SELECT {told} FROM {kind.name}_narrow AS narrow {joins}
        )
        SELECT 'postings', * FROM (TABLE posted EXCEPT ALL TABLE copied) AS posted_only
        UNION ALL
        SELECT 'copied', * FROM (TABLE copied EXCEPT ALL TABLE posted) AS copied_only
        LIMIT 100
    """)  # noqa: S608 -- names of ours, no input


_STRAYED: Final = {kind: _strayed(kind) for kind in NARROW}
_END: Final = {kind: _end(kind) for kind in NARROW}
_VALUES: Final = {kind: _values(kind) for kind in NARROW}
_COPY: Final = {kind: _copy(kind) for kind in NARROW}
