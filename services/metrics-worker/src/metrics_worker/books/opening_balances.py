"""Opening balances: what stood at the beginning of a month by all dimensions, so that no level is summed from the very
first posting on.

They belong to the narrow copies: each is exact as far as its kind's copy goes, and changes in the transactions that
make the copy. One is made where it is worth it, out of the one before it and the copy; what comes late is added to
those after it; and those to which too much would be added are dropped, and made again.
"""

from datetime import date
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.books.codes import translated
from metrics_worker.books.tables import OPENING
from metrics_worker.domain.kinds import Kind
from metrics_worker.domain.posting import EARLIEST_DAY
from service_kit.compiled import driver_of

MOST_ADDED: Final = 100_000
"""Late postings times opening balances after them that are added in one transaction: about a second."""
NEWEST: Final = 10_000
"""Ids of postings whose recorded time tells how far the books have come: those of one batch are in no order of time."""
SECONDS: Final = 60.0
"""What making one may take, in the background."""


async def add_late(connection: AsyncConnection, kind: Kind, after: int, until: int) -> None:
    """Brings opening balances to where the kind's copy is about to come: postings of these ids are added to those that
    begin after their days, or these are dropped. The dimensions' values have their codes.
    """
    if kind not in OPENING:
        return
    ids = {"after": after, "until": until}
    added = 0
    for row in await connection.execute(_LATE[kind], ids):
        added += row.late
        if added > MOST_ADDED:
            await _drop(connection, kind, row.day)
            break
    if added:
        await connection.execute(_ADD[kind], ids)


async def make_one(connection: AsyncConnection, kind: Kind, worth: int) -> bool:
    """Makes the next opening balance that is worth it; False when there is none.

    Worth it are as many rows of the copy as what would be read in their place, and no fewer than `worth`. None begins
    after the month in which the newest postings were recorded. Nobody else makes copies meanwhile.
    """
    if kind not in OPENING:
        return False
    grown = (await connection.execute(_GROWN, {"kind": kind.name, "worth": worth})).scalar_one()
    if grown is not None:
        await _drop(connection, kind, grown)
    newest = (await connection.execute(_NEWEST, {"kind": kind.name})).one_or_none()
    before, rows = (EARLIEST_DAY, 0) if newest is None else newest
    following = {"before": before, "some": max(worth, rows)}
    day = (await connection.execute(_FOLLOWING[kind], following)).scalar_one_or_none()
    if day is None:
        return False
    driver = await driver_of(connection)
    made = await driver.execute(_MAKE[kind], before, day, timeout=SECONDS)
    await connection.execute(_NOTE, {"kind": kind.name, "day": day, "rows": int(made.split()[-1])})
    return True


async def misbrought(connection: AsyncConnection, kind: Kind) -> list[tuple[date, tuple[Any, ...], dict[str, int]]]:
    """Where a kind's opening balances are not what its postings come to: day, dimensions, and by how much.

    Each is held against the one before it and the postings between. The first hundred of each.
    """
    found: list[tuple[date, tuple[Any, ...], dict[str, int]]] = []
    before = EARLIEST_DAY
    for day in list((await connection.execute(_DAYS, {"kind": kind.name})).scalars()):
        for row in await connection.execute(_OFF[kind], {"before": before, "day": day}):
            dimensions, amounts = row[: -len(kind.levels)], row[-len(kind.levels) :]
            found.append((day, tuple(dimensions), dict(zip(kind.levels, map(int, amounts), strict=True))))
        before = day
    return found


async def _drop(connection: AsyncConnection, kind: Kind, since: date) -> None:
    await connection.execute(_DROP[kind], {"day": since})
    await connection.execute(_FORGET, {"kind": kind.name, "day": since})


_DAYS = sa.text("SELECT day FROM opening_balance WHERE kind = :kind ORDER BY day")
_NEWEST = sa.text("""
    SELECT day, rows_made + rows_added FROM opening_balance WHERE kind = :kind ORDER BY day DESC LIMIT 1
""")
_GROWN = sa.text("""
    SELECT min(day) FROM opening_balance WHERE kind = :kind AND rows_added > rows_made + :worth
""")
_NOTE = sa.text("INSERT INTO opening_balance (kind, day, rows_made, rows_added) VALUES (:kind, :day, :rows, 0)")
_FORGET = sa.text("DELETE FROM opening_balance WHERE kind = :kind AND day >= :day")


def _columns(kind: Kind) -> list[str]:
    return [*(["split"] if kind.split_by else []), *kind.dimensions]


def _any(kind: Kind, condition: str) -> str:
    return f"({' OR '.join(condition.format(name) for name in kind.levels)})"


def _sums(kind: Kind) -> str:
    return ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in kind.levels)


_NOT_ZERO = "coalesce(sum({0}), 0) <> 0"


def _late(kind: Kind) -> str:
    """What postings of some ids tell of levels, beside each opening balance that begins after their day."""
    names = [*_columns(kind), *kind.levels]
    told, joins = translated(kind, names, "posting", "code")
    return f"""
        (
            SELECT posting.day, {told} FROM {kind.name}_posting AS posting {joins}
            WHERE posting.id > :after AND posting.id <= :until AND {_any(kind, "posting.{} IS NOT NULL")}
                AND posting.day < (SELECT max(day) FROM opening_balance WHERE kind = '{kind.name}')
        ) AS late (told_on, {", ".join(names)})
        JOIN opening_balance AS balance ON balance.kind = '{kind.name}' AND told_on < balance.day
    """  # noqa: S608 -- names of ours, no input


def _count(kind: Kind) -> sa.TextClause:
    return sa.text(f"""
        SELECT balance.day, count(*) AS late FROM {_late(kind)} GROUP BY balance.day ORDER BY balance.day
    """)  # noqa: S608 -- names of ours, no input


def _add(kind: Kind) -> sa.TextClause:
    columns = [f"late.{name}" for name in _columns(kind)]
    return sa.text(f"""
        WITH added AS (
            INSERT INTO {kind.name}_opening (day, {", ".join([*_columns(kind), *kind.levels])})
            SELECT balance.day, {", ".join(columns)}, {_sums(kind)} FROM {_late(kind)}
            GROUP BY balance.day, {", ".join(columns)} HAVING {_any(kind, _NOT_ZERO)}
            RETURNING day
        )
        UPDATE opening_balance AS balance SET rows_added = rows_added + of_day.rows
        FROM (SELECT day, count(*) AS rows FROM added GROUP BY day) AS of_day
        WHERE balance.kind = '{kind.name}' AND balance.day = of_day.day
    """)  # noqa: S608 -- names of ours, no input


def _following(kind: Kind) -> sa.TextClause:
    return sa.text(f"""
        SELECT CAST(date_trunc('month', CAST(day AS timestamp)) + interval '1 month' AS date)
        FROM {kind.name}_narrow
        WHERE day >= :before AND day < (
            SELECT CAST(date_trunc('month', max(recorded_time)) AS date)
            FROM {kind.name}_posting AS posting JOIN narrowed ON narrowed.kind = '{kind.name}'
            WHERE id BETWEEN posting_id - {NEWEST} AND posting_id
        )
        ORDER BY day OFFSET :some - 1 LIMIT 1
    """)  # noqa: S608 -- names of ours, no input


def _make(kind: Kind) -> str:
    columns, levels = ", ".join(_columns(kind)), ", ".join(kind.levels)
    return f"""
        INSERT INTO {kind.name}_opening (day, {columns}, {levels})
        SELECT $2, {columns}, {_sums(kind)}
        FROM (
            SELECT {columns}, {levels} FROM {kind.name}_opening WHERE day = $1
            UNION ALL
            SELECT {columns}, {levels} FROM {kind.name}_narrow WHERE day >= $1 AND day < $2
        ) AS stood
        GROUP BY {columns} HAVING {_any(kind, _NOT_ZERO)}
    """  # noqa: S608 -- names of ours, no input


def _off(kind: Kind) -> sa.TextClause:
    columns = ", ".join(_columns(kind))
    told, joins = translated(kind, _columns(kind), "opening", "value")
    signed = ", ".join(
        f"CASE WHEN opening.day = :day THEN opening.{name} ELSE -opening.{name} END" for name in kind.levels
    )
    return sa.text(f"""
        SELECT {columns}, {_sums(kind)}
        FROM (
            SELECT {told}, {signed} FROM {kind.name}_opening AS opening {joins} WHERE opening.day IN (:before, :day)
            UNION ALL
            SELECT {columns}, {", ".join(f"-{name}" for name in kind.levels)} FROM {kind.name}_posting
            WHERE day >= :before AND day < :day
                AND id <= (SELECT posting_id FROM narrowed WHERE kind = '{kind.name}')
        ) AS owed ({columns}, {", ".join(kind.levels)})
        GROUP BY {columns} HAVING {_any(kind, _NOT_ZERO)} LIMIT 100
    """)  # noqa: S608 -- names of ours, no input


_LATE: Final = {kind: _count(kind) for kind in OPENING}
_ADD: Final = {kind: _add(kind) for kind in OPENING}
_FOLLOWING: Final = {kind: _following(kind) for kind in OPENING}
_MAKE: Final = {kind: _make(kind) for kind in OPENING}
_OFF: Final = {kind: _off(kind) for kind in OPENING}
_DROP: Final = {kind: sa.text(f"DELETE FROM {kind.name}_opening WHERE day >= :day") for kind in OPENING}  # noqa: S608 -- names of ours
