"""A log-scale histogram of durations: additive, hence mergeable and reversible, and at most 2 % off in any quantile.

Bucket 0 holds the duration 0. Every later bucket holds the whole seconds after the end of the one before it, up to
4 % more; so the shortest ones hold one value each and are exact. All in whole numbers: every machine agrees.
"""

from bisect import bisect_left
from collections.abc import Mapping

GROWTH_PERCENT = 4
LONGEST_SECONDS = 300 * 366 * 86_400
"""Durations longer than the ledger's calendar fall into the last bucket."""


def _ends() -> tuple[int, ...]:
    ends = [0]
    while ends[-1] < LONGEST_SECONDS:
        ends.append(max(ends[-1] + 1, ends[-1] * (100 + GROWTH_PERCENT) // 100))
    return tuple(ends)


ENDS = _ends()
"""The longest duration of each bucket, in seconds."""


def bucket_of(seconds: int) -> int:
    """Return the number of the bucket that a duration falls into. Raise ValueError for a negative one."""
    if seconds < 0:
        raise ValueError(f"a duration of {seconds} seconds")
    return min(bisect_left(ENDS, seconds), len(ENDS) - 1)


def seconds_of(bucket: int) -> int:
    """Return the value of a bucket: within 2 % of all in it. Raise IndexError for a bucket that does not exist."""
    return 0 if bucket == 0 else (ENDS[bucket - 1] + 1 + ENDS[bucket]) // 2


def quantile(counts: Mapping[int, int], percent: int) -> int | None:
    """Return the shortest duration, in seconds, that at least `percent` of all do not exceed (the nearest rank).

    None when nothing is counted.
    """
    total = sum(counts.values())
    if total <= 0:
        return None
    rank = -(-total * percent // 100)
    for bucket in sorted(counts):
        rank -= counts[bucket]
        if rank <= 0:
            return seconds_of(bucket)
    raise AssertionError("the counts sum to more than themselves")
