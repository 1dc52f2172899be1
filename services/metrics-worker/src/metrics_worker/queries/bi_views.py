"""The read-only SQL views of schema `bi`: the public form of the ledger, which stays when its tables change."""

import hashlib
from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from event_contracts.fields import DECIMAL_PLACES
from metrics_worker.domain.kinds import KINDS, Kind
from metrics_worker.ledger.blocks import NOT_IN_BLOCKS
from metrics_worker.ledger.tables import POSTING
from metrics_worker.queries.export import exported
from metrics_worker.queries.sql import DAY_OF_CELL, sum_of_days

SCHEMA = "bi"

_USUAL_PLACES = 2


def make_views(connection: sa.Connection, *, anew: bool = False) -> None:
    """Makes the views that the code describes, unless they are there already; `anew` when their tables were replaced.

    It waits for transactions that are reading a view. Rights that were given by ALTER DEFAULT PRIVILEGES hold for the
    new views; those given for single views have to be given again.
    """
    statements = [f"CREATE VIEW {SCHEMA}.{name} AS {query}" for name, query in views()]
    version = hashlib.sha256("\n".join(statements).encode()).hexdigest()[:16]
    connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    made = connection.execute(sa.text(f"SELECT obj_description('{SCHEMA}'::regnamespace)")).scalar_one()
    # Where the ledger's tables were dropped, the views went with them.
    if made == _comment(version) and len(_existing_views(connection)) == len(statements) and not anew:
        return
    drop_views(connection)
    for statement in statements:
        connection.execute(sa.text(statement))
    connection.execute(sa.text(f"COMMENT ON SCHEMA {SCHEMA} IS '{_comment(version)}'"))


def drop_views(connection: sa.Connection) -> None:
    """Takes every view away: PostgreSQL changes no column that a view reads."""
    names = _existing_views(connection)
    for name in names:
        connection.execute(sa.text(f'DROP VIEW {SCHEMA}."{name}"'))
    if names:
        connection.execute(sa.text(f"COMMENT ON SCHEMA {SCHEMA} IS NULL"))


def _existing_views(connection: sa.Connection) -> Sequence[str]:
    existing = "SELECT viewname FROM pg_views WHERE schemaname = :schema"
    return connection.execute(sa.text(existing), {"schema": SCHEMA}).scalars().all()


def views() -> Iterator[tuple[str, str]]:
    """Name and query of every view."""
    yield "books", _ledger()
    for kind in KINDS:
        if kind.has_postings:
            yield f"{kind.name}_postings", _postings(kind)
            yield f"{kind.name}_daily", _daily(kind)


def _comment(version: str) -> str:
    return f"Public and read-only, see docs/bi.md. Made by metrics-migrate, version {version}."


def _ledger() -> str:
    by_places: dict[int, list[str]] = {}
    for currency, places in DECIMAL_PLACES.items():
        by_places.setdefault(places, []).append(currency)
    cases = " ".join(
        f"WHEN currency IN ({', '.join(repr(each) for each in sorted(currencies))}) THEN {places}"
        for places, currencies in sorted(by_places.items())
        if places != _USUAL_PLACES
    )
    return (
        f"SELECT timezone, currency, CASE {cases} ELSE {_USUAL_PLACES} END AS currency_places,"  # noqa: S608 -- codes of ours
        " (SELECT min(complete_until) FROM public.freshness) AS fresh_as_of FROM public.ledger"
    )


def _postings(kind: Kind) -> str:
    query = exported(kind).compile(
        dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]
        schema_translate_map={None: "public"},
        render_schema_translate=True,
    )
    return str(query)


def _daily(kind: Kind) -> str:
    types = {name: POSTING[kind].c[name].type.compile() for name in kind.measures}
    summed = ", ".join(f"CAST({sum_of_days(kind, name)} AS {type_}) AS {name}" for name, type_ in types.items())
    blocks = (
        f"SELECT {DAY_OF_CELL} AS day, dimension, nullif(value, '') AS value, {summed} "  # noqa: S608 -- names of ours
        "FROM public.block CROSS JOIN LATERAL unnest(cells, amounts) AS summed (cell, amount) "
        f"WHERE kind = '{kind.name}' AND span = 'month' GROUP BY 1, 2, 3"
    )
    if NOT_IN_BLOCKS not in kind.dimensions:
        return blocks
    sums = ", ".join(f"CAST(coalesce(sum({name}), 0) AS {type_}) AS {name}" for name, type_ in types.items())
    wholes = "WHERE NOT split" if kind.split_by else ""
    return (
        f"{blocks} UNION ALL SELECT day, '{NOT_IN_BLOCKS}' AS dimension, {NOT_IN_BLOCKS}::text AS value, {sums}"  # noqa: S608 -- names of ours
        f" FROM public.{kind.name}_posting {wholes} GROUP BY day, {NOT_IN_BLOCKS}"
    )
