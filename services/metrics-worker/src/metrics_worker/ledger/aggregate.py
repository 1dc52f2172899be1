"""The pure step from events to net postings: which subjects an event describes, and what a change of state adds."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from operator import add, neg, sub
from typing import Any, NamedTuple
from uuid import UUID

from event_contracts import codec
from event_contracts.codec import CloudEvent, UndecodableEvent
from event_contracts.service import InteractionAmended, InteractionLogged, InteractionWithdrawn
from metrics_worker.domain.customer_facts import Fact
from metrics_worker.domain.kinds import KIND_BY_NAME, KIND_BY_SUBJECT_KIND, Kind
from metrics_worker.domain.posting import Posting, Reporting
from metrics_worker.domain.waiting import OpenWait


class SubjectState(NamedTuple):
    """One subject's state as one event carries it, with its whole contribution to the ledger."""

    kind: Kind
    subject_id: UUID
    sequence: int
    event_id: UUID
    time: datetime
    recorded_time: datetime
    state: Any
    postings: list[Posting]
    fact: Fact | None = None
    """What of the state matters to the customer's timeline."""
    waits: Sequence[OpenWait] = ()
    """The waits of its customer that are not over."""
    epoch: int = 1
    is_withdrawn: bool = False
    """Whether the subject was lost by its service: it has a state no more, and contributes nothing."""

    @property
    def version(self) -> tuple[int, int]:
        """Return its epoch and sequence: the highest of a subject counts."""
        return self.epoch, self.sequence


def subject_states(event: CloudEvent, reporting: Reporting) -> list[SubjectState]:
    """Return the states that an event carries: none of a kind without a ledger, two for an interaction.

    Raise ValueError when a state cannot be posted.
    """
    carried: list[tuple[Kind, Any, bool]] = []
    kind = KIND_BY_SUBJECT_KIND.get(event.event_type.subject_kind)
    if kind is not None:
        carried.append((kind, event.data, event.event_type.correction == "withdrawn"))
    if isinstance(event.data, InteractionLogged | InteractionWithdrawn):
        is_withdrawn = isinstance(event.data, InteractionWithdrawn)
        carried.append((KIND_BY_NAME["interaction"], event.data.change, is_withdrawn))
    elif isinstance(event.data, InteractionAmended):
        carried.append((KIND_BY_NAME["interaction"], event.data.change.interaction, False))
    return [
        SubjectState(
            kind=kind,
            subject_id=state.id,
            sequence=event.sequence,
            event_id=event.id,
            time=event.time,
            recorded_time=event.recorded_time,
            state=state,
            postings=[] if is_withdrawn else kind.postings_for(state, reporting),
            fact=None if is_withdrawn or kind.fact_of is None else kind.fact_of(state, reporting),
            waits=() if is_withdrawn or kind.open_waits is None else kind.open_waits(state, reporting),
            epoch=event.epoch,
            is_withdrawn=is_withdrawn,
        )
        for kind, state, is_withdrawn in carried
    ]


def decode(record: bytes | None, reporting: Reporting) -> list[SubjectState]:
    """Return the states in one Kafka record's value. Raise `UndecodableEvent`, also for what cannot be posted.

    Everything that a record's content can get wrong is found here, before a transaction depends on it.
    """
    event = codec.decode(record)
    try:
        return subject_states(event, reporting)
    except (ValueError, OverflowError) as error:
        raise UndecodableEvent("invalid-data", str(error)) from error


def group_by_subject(states: Iterable[SubjectState]) -> dict[Kind, dict[int, list[SubjectState]]]:
    """Return each subject's states by rising version, each version once, by kind and the subject's id as a number."""
    # As numbers: hashing a UUID costs a call of Python.
    found: dict[Kind, dict[int, list[SubjectState]]] = defaultdict(dict)
    for state in states:
        of_kind, number = found[state.kind], state.subject_id.int
        steps = of_kind.get(number)
        if steps is None:
            of_kind[number] = [state]
        else:
            steps.append(state)
    for of_kind in found.values():
        for number, steps in of_kind.items():
            if len(steps) > 1:
                by_version = {state.version: state for state in reversed(steps)}
                of_kind[number] = [by_version[version] for version in sorted(by_version)]
    return found


def net_postings(before: list[Posting], after: list[Posting]) -> list[Posting]:
    """Return what turns one contribution into another: the reversal of the first and the second, netted.

    What both have under the same day and dimensions cancels out and leaves no posting.
    """
    # A step changes one or two postings of many: the equal ones at either end are skipped.
    same, shorter = 0, min(len(before), len(after))
    while same < shorter and before[same] == after[same]:
        same += 1
    until = 0
    while until < shorter - same and before[-1 - until] == after[-1 - until]:
        until += 1
    gone, come = before[same : len(before) - until], after[same : len(after) - until]
    if not gone and len(come) == 1:
        return come if any(come[0].measures) else []
    net: dict[tuple[date, tuple[str | None, ...], bool, tuple[int | None, ...]], tuple[int, ...]] = {}
    for day, dimensions, measures, split, buckets in come:
        key = (day, dimensions, split, buckets)
        sums = net.get(key)
        net[key] = measures if sums is None else tuple(map(add, sums, measures))
    for day, dimensions, measures, split, buckets in gone:
        key = (day, dimensions, split, buckets)
        sums = net.get(key)
        net[key] = tuple(map(neg, measures)) if sums is None else tuple(map(sub, sums, measures))
    return [
        Posting(day, dimensions, measures, split, buckets)
        for (day, dimensions, split, buckets), measures in net.items()
        if any(measures)
    ]
