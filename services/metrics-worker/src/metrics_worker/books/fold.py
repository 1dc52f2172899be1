"""The arithmetic of the books: which subjects an event tells of, and what a change of state adds to the sums."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from operator import add, neg, sub
from typing import Any, Literal, NamedTuple
from uuid import UUID

from event_contracts import codec
from event_contracts.codec import CloudEvent, UndecodableEvent
from event_contracts.service import InteractionLogged
from metrics_worker.domain.customer_facts import Fact
from metrics_worker.domain.kinds import KIND_BY_NAME, KIND_OF_SUBJECT, Kind
from metrics_worker.domain.posting import EARLIEST_DAY, LATEST_DAY, Posting, Reporting

ALL = "all"
"""The dimension under which a balance holds the total."""
EARLIEST = datetime.combine(EARLIEST_DAY, time.min, UTC)
END = datetime.combine(LATEST_DAY + timedelta(days=1), time.min, UTC)
NO_VALUE = ""
"""How a balance's key holds a missing value: a code is never empty, so it is distinct from every code."""


class Entry(NamedTuple):
    """One subject's state as one event tells it, with the whole contribution that it makes to the books."""

    kind: Kind
    subject_id: UUID
    sequence: int
    event_id: UUID
    time: datetime
    recorded_time: datetime
    state: Any
    postings: list[Posting]
    fact: Fact | None = None
    """What of the state matters to the customer's story."""


Span = Literal["day", "month", "year"]
"""What a balance sums over: one day, or all days of a calendar month or year, so that no read has to add up years of
days. Histograms are of months and years."""
BalanceKey = tuple[str, Span, date, str]
"""Dimension, span, the span's first day, and value (`NO_VALUE` for none)."""
Sums = tuple[int, ...]
HistogramKey = tuple[str, str, Span, date, str, int]
"""Duration, dimension, span, the span's first day, value (`NO_VALUE` for none) and bucket."""
SEGMENT_BUCKETS = 32
"""Buckets that one row of a histogram holds, so that one more duration rewrites a short array and not a long one."""
NOT_IN_BALANCES = "customer"
"""The dimension that balances are not kept by: a customer has hardly more than one posting a day, so that balances
would be as many rows as the postings, and dearer ones. What is asked about customers is read from the postings."""


def entries_of(event: CloudEvent, reporting: Reporting) -> list[Entry]:
    """The states that an event tells: none when no books are kept of its kind, two for an interaction logged.

    Raises ValueError when a state cannot be booked.
    """
    for moment in (event.time, event.recorded_time):
        if not EARLIEST <= moment < END:
            raise ValueError(f"{moment.isoformat()} is not between 1970 and 2199")
    told: list[tuple[Kind, Any]] = []
    kind = KIND_OF_SUBJECT.get(event.event_type.subject_kind)
    if kind is not None:
        told.append((kind, event.data))
    if isinstance(event.data, InteractionLogged):
        told.append((KIND_BY_NAME["interaction"], event.data.change))
    return [
        Entry(
            kind=kind,
            subject_id=state.id,
            sequence=event.sequence,
            event_id=event.id,
            time=event.time,
            recorded_time=event.recorded_time,
            state=state,
            postings=kind.postings_for(state, reporting),
            fact=None if kind.fact_of is None else kind.fact_of(state, reporting),
        )
        for kind, state in told
    ]


def decode(record: bytes | None, reporting: Reporting) -> list[Entry]:
    """One Kafka record's value as entries. Raises `UndecodableEvent`, also for what cannot be booked.

    Everything that a record's content can get wrong is found here, before a transaction depends on it.
    """
    event = codec.decode(record)
    try:
        return entries_of(event, reporting)
    except (ValueError, OverflowError) as error:
        raise UndecodableEvent("invalid-data", str(error)) from error


def steps_of(entries: Iterable[Entry]) -> dict[Kind, dict[int, list[Entry]]]:
    """What each subject went through, by its id as a number: its entries by rising sequence, each sequence once."""
    # As numbers: hashing a UUID costs a call of Python.
    found: dict[Kind, dict[int, list[Entry]]] = defaultdict(dict)
    for entry in entries:
        of_kind, number = found[entry.kind], entry.subject_id.int
        steps = of_kind.get(number)
        if steps is None:
            of_kind[number] = [entry]
        else:
            steps.append(entry)
    for of_kind in found.values():
        for number, steps in of_kind.items():
            if len(steps) > 1:
                by_sequence = {entry.sequence: entry for entry in reversed(steps)}
                of_kind[number] = [by_sequence[sequence] for sequence in sorted(by_sequence)]
    return found


def difference(before: list[Posting], after: list[Posting]) -> list[Posting]:
    """What has to be posted for a contribution to become another: the reversal of the one and the other, netted.

    What stays the same under the same day and dimensions cancels out and leaves no posting.
    """
    # A step changes one or two postings of many: those that stand as they stood, at either end, are passed over.
    same, shorter = 0, min(len(before), len(after))
    while same < shorter and before[same] == after[same]:
        same += 1
    until = 0
    while until < shorter - same and before[-1 - until] == after[-1 - until]:
        until += 1
    gone, come = before[same : len(before) - until], after[same : len(after) - until]
    if not gone and len(come) == 1:
        return come if any(come[0].measures) else []
    net: dict[tuple[date, tuple[str | None, ...], bool, tuple[int | None, ...]], Sums] = {}
    for day, dimensions, measures, split, buckets in come:
        key = (day, dimensions, split, buckets)
        standing = net.get(key)
        net[key] = measures if standing is None else tuple(map(add, standing, measures))
    for day, dimensions, measures, split, buckets in gone:
        key = (day, dimensions, split, buckets)
        standing = net.get(key)
        net[key] = tuple(map(neg, measures)) if standing is None else tuple(map(sub, standing, measures))
    return [
        Posting(day, dimensions, measures, split, buckets)
        for (day, dimensions, split, buckets), measures in net.items()
        if any(measures)
    ]


def balances_of(kind: Kind, postings: Iterable[Posting]) -> dict[BalanceKey, Sums]:
    """The sums of postings by balance; what sums to zero is left out."""
    wholes, shares = _counted(kind)
    # By day, then dimension, then value: hashing all three together for each would cost more than the sums.
    days: dict[date, dict[str, dict[str | None, list[int]]]] = {}
    nothing = [0] * len(kind.measures)
    for day, dimensions, measures, split, _ in postings:
        of_day = days.get(day)
        if of_day is None:
            of_day = days[day] = {name: {} for name, _ in (*wholes, *shares)}
        # Of the many measures of a kind a posting has a few.
        told = [(position, amount) for position, amount in enumerate(measures) if amount]
        for name, at in shares if split else wholes:
            value = None if at is None else dimensions[at]
            of_dimension = of_day[name]
            standing = of_dimension.get(value)
            if standing is None:
                standing = of_dimension[value] = nothing.copy()
            for position, amount in told:
                standing[position] += amount
    sums: dict[BalanceKey, Sums] = {}
    for day, of_day in days.items():
        firsts: tuple[tuple[Span, date], ...] = (
            ("day", day), ("month", day.replace(day=1)), ("year", day.replace(month=1, day=1)),
        )  # fmt: skip
        for name, of_dimension in of_day.items():
            for value, amounts in of_dimension.items():
                if any(amounts):
                    for span, first in firsts:
                        key = (name, span, first, value or NO_VALUE)
                        stood = sums.get(key)
                        sums[key] = tuple(amounts if stood is None else map(add, stood, amounts))
    return {key: amounts for key, amounts in sums.items() if any(amounts)}


def histograms_of(kind: Kind, postings: Iterable[Posting]) -> dict[HistogramKey, int]:
    """How many durations fall into each bucket, by duration and balance; what counts to zero is left out."""
    counted = _counted(kind)
    months: dict[tuple[str, date, str], dict[tuple[str | None, int], int]] = {}
    for day, dimensions, measures, split, buckets in postings:
        for duration, counting, bucket in zip(kind.durations, kind.counting, buckets, strict=False):
            if bucket is None or not (count := measures[counting]):
                continue
            month = day.replace(day=1)
            for name, at in counted[split]:
                of_month = months.setdefault((duration, month, name), {})
                bar = (None if at is None else dimensions[at], bucket)
                of_month[bar] = of_month.get(bar, 0) + count
    counts: dict[HistogramKey, int] = defaultdict(int)
    for (duration, month, name), of_month in months.items():
        year = month.replace(month=1)
        for (value, bucket), count in of_month.items():
            counts[duration, name, "month", month, value or NO_VALUE, bucket] += count
            counts[duration, name, "year", year, value or NO_VALUE, bucket] += count
    return {key: count for key, count in counts.items() if count}


def _counted(kind: Kind) -> tuple[list[tuple[str, int | None]], list[tuple[str, int | None]]]:
    """The dimensions whose balances a posting counts in, and where its value stands among the posting's: of a whole
    the total and each dimension but the split one, of a share the split one only."""
    at = [(name, position) for position, name in enumerate(kind.dimensions) if name != NOT_IN_BALANCES]
    wholes = [(name, position) for name, position in at if name != kind.split_by]
    return [(ALL, None), *wholes], [(name, position) for name, position in at if name == kind.split_by]
