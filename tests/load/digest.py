"""All sums of the ledger as a hash for each kind, dimension and span: two systems that make the same sums can be
compared by it, and a difference be found.

A hash is the md5 of sorted lines: `day|value|measure,measure,…` of sums, `day|value|bucket|count` of histograms. Zeros
are left out: they come and go with how a log is cut into batches.
"""

import hashlib
from collections import defaultdict
from datetime import date

import asyncpg

from metrics_worker.domain.kinds import KIND_BY_NAME
from metrics_worker.ledger.blocks import BUCKET_BITS, DAY_BITS, Block, BlockKey, block_of


async def digest_of(database: asyncpg.Connection) -> dict[str, str]:
    """Return the hashes, by `kind dimension span` of sums and by `kind duration dimension span` of histograms."""
    blocks: defaultdict[BlockKey, Block] = defaultdict(Block)
    rows = await database.fetch(
        "SELECT kind, dimension, span, start, value, sums, cells, amounts, buckets, counts FROM block"
    )
    for *parts, sums, cells, amounts, buckets, counts in rows:
        name = BlockKey(*parts)
        blocks[name].add(block_of(name.span, sums, cells, amounts, buckets, counts))
    lines: defaultdict[str, list[str]] = defaultdict(list)
    for key, block in blocks.items():
        _add_sums(lines, key, block)
        durations = KIND_BY_NAME[key.kind].durations
        for number, count in block.buckets.items():
            if count:
                duration, bucket = durations[number >> BUCKET_BITS], number & ((1 << BUCKET_BITS) - 1)
                lines[f"{key.kind} {duration} {key.dimension} {key.span}"].append(
                    f"{key.start}|{key.value}|{bucket}|{count}"
                )
    return {
        group: hashlib.md5("\n".join(sorted(found)).encode(), usedforsecurity=False).hexdigest()
        for group, found in lines.items()
    }


def _add_sums(lines: dict[str, list[str]], key: BlockKey, block: Block) -> None:
    measures = len(KIND_BY_NAME[key.kind].measures)
    days: defaultdict[tuple[str, date], list[int]] = defaultdict(lambda: [0] * measures)
    for number, amount in block.cells.items():
        measure, day = number >> DAY_BITS, number & ((1 << DAY_BITS) - 1)
        days[key.span, key.start][measure] += amount
        if key.span == "month":
            days["day", key.start.replace(day=day)][measure] += amount
    for (span, day_), sums in days.items():
        if any(sums):
            lines[f"{key.kind} {key.dimension} {span}"].append(f"{day_}|{key.value}|{','.join(map(str, sums))}")
