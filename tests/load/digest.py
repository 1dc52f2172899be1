"""All sums of the books as a hash for each kind, dimension and span: whoever makes the same sums can be compared with
them, and a difference be found.

A hash is the md5 of sorted lines: `day|value|measure,measure,…` of balances, `day|value|bucket|count` of histograms.
Zeros are left out: they come and go with how a log is cut into batches.
"""

import asyncpg

from metrics_worker.books.fold import SEGMENT_BUCKETS
from metrics_worker.books.tables import BALANCE, HISTOGRAM
from metrics_worker.domain.kinds import Kind


async def digest_of(database: asyncpg.Connection) -> dict[str, str]:
    """The hashes, by `kind dimension span` of balances and by `kind duration dimension span` of histograms."""
    statements = [*map(_balances, BALANCE), *map(_histograms, HISTOGRAM)]
    return {group: hashed for statement in statements for group, hashed in await database.fetch(statement)}


def _balances(kind: Kind) -> str:
    measures = ", ".join(kind.measures)
    return f"""
        SELECT concat_ws(' ', '{kind.name}', dimension, span), {_hash("concat_ws('|', day, value, told)")}
        FROM {kind.name}_balance CROSS JOIN LATERAL concat_ws(',', {measures}) AS told
        WHERE ({measures}) <> ({", ".join("0" for _ in kind.measures)})
        GROUP BY dimension, span
    """


def _histograms(kind: Kind) -> str:
    line = f"concat_ws('|', day, value, segment * {SEGMENT_BUCKETS} + position - 1, count)"
    return f"""
        SELECT concat_ws(' ', '{kind.name}', duration, dimension, span), {_hash(line)}
        FROM {kind.name}_histogram CROSS JOIN unnest(counts) WITH ORDINALITY AS bar (count, position)
        WHERE count <> 0
        GROUP BY duration, dimension, span
    """


def _hash(line: str) -> str:
    return f"""md5(string_agg({line}, E'\\n' ORDER BY {line} COLLATE "C"))"""
