"""The swap: the rebuilt tables take the place of the live ones in one transaction."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from metrics_worker.maintenance.shadow_schema import REBUILT, SHADOW
from service_kit.compiled import driver_of

FORMER: Final = "ledger_before"
"""The schema of the tables that were replaced."""
VACUUM_LOCK_MILLISECONDS: Final = 5_000
"""Over PostgreSQL's deadlock time-out, after which its own vacuums give way to a waiting lock."""


class Follower(NamedTuple):
    """What belongs to some of the live tables: a grant, or a view over them."""

    tables: Sequence[str]
    statement: str
    """Gives it to the tables that replace them."""


async def keep_vacuum_away(connection: AsyncConnection) -> None:
    """Keep vacuum and analyze from the tables until the transaction ends. Reads and writes go on.

    They would hold the tables for longer than anyone should wait for their lock.
    """
    await connection.execute(sa.text(f"SET LOCAL lock_timeout = {VACUUM_LOCK_MILLISECONDS}"))
    tables = ", ".join(f"{schema}.{name}" for schema in ("public", SHADOW) for name in REBUILT)
    await connection.execute(sa.text(f"LOCK TABLE {tables} IN SHARE UPDATE EXCLUSIVE MODE"))


async def swap_tables(connection: AsyncConnection, followers: Sequence[Follower]) -> None:
    """Put the rebuilt tables in the place of the live ones, within the caller's transaction."""
    # `ledger` first, as in every read: a reader that has it has the others too, and no cycle of waits can form.
    in_order = sorted(REBUILT, key=lambda name: (name != "ledger", name))
    await connection.execute(sa.text("LOCK TABLE " + ", ".join(f"public.{name}" for name in in_order)))
    # Of kinds that the company does not use, both are empty: each table that stays saves a third of a millisecond.
    rows = await connection.execute(_EVER_USED, {"shadow": SHADOW, "names": list(REBUILT)})
    moved = set(rows.scalars())
    moves = [
        f"ALTER TABLE {schema}.{name} SET SCHEMA {target}"
        for name in in_order
        if name in moved
        for schema, target in (("public", FORMER), (SHADOW, "public"))
    ]
    follow = [each.statement.rstrip(";") for each in followers if not moved.isdisjoint(each.tables)]
    # In one message: the consumer and every reader wait meanwhile.
    driver = await driver_of(connection)
    await driver.execute(";".join([f"CREATE SCHEMA {FORMER}", *moves, *follow]))


_EVER_USED: Final = sa.text("""
    SELECT DISTINCT relname FROM pg_class
    WHERE relnamespace IN ('public'::regnamespace, CAST(:shadow AS regnamespace)) AND relname = ANY(:names)
        AND pg_relation_size(oid) > 0
""")


async def followers_of_tables(connection: AsyncConnection) -> list[Follower]:
    """Return the grants on the live tables and the views over them."""
    return [*await _grants(connection), *await _views(connection)]


async def _grants(connection: AsyncConnection) -> list[Follower]:
    """Return the grants: tables that are created like others do not inherit them."""
    rows = await connection.execute(
        sa.text("""
            SELECT ARRAY[c.relname], format('GRANT %s ON public.%I TO %s', acl.privilege_type, c.relname,
                          CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END)
            FROM pg_class AS c, aclexplode(c.relacl) AS acl
            WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY(:names) AND acl.grantee <> c.relowner
        """),
        {"names": list(REBUILT)},
    )
    return [Follower(*row) for row in rows]


async def _views(connection: AsyncConnection) -> list[Follower]:
    """Return what creates each view again: a view refers to a table, whatever its name becomes."""
    before = (await connection.execute(sa.text("SHOW search_path"))).scalar_one()
    # With nothing on the path, every name in a definition is qualified.
    await connection.execute(sa.text("SET LOCAL search_path = ''"))
    rows = await connection.execute(
        sa.text("""
            SELECT array_agg(DISTINCT t.relname),
                   format('CREATE OR REPLACE VIEW %s AS %s', v.oid::regclass, pg_get_viewdef(v.oid))
            FROM pg_depend AS d
            JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
            JOIN pg_class AS v ON v.oid = r.ev_class AND v.relkind = 'v'
            JOIN pg_class AS t ON d.refclassid = 'pg_class'::regclass AND t.oid = d.refobjid AND t.oid <> v.oid
            WHERE t.relnamespace = 'public'::regnamespace AND t.relname = ANY(:names)
            GROUP BY v.oid
        """),
        {"names": list(REBUILT)},
    )
    followers = [Follower(*row) for row in rows]
    await connection.execute(sa.text("SELECT set_config('search_path', :path, true)"), {"path": before})
    return followers
