"""Made-up histories of subjects, and ways in which a log may deliver them: late, shuffled, repeated, in any batches."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import strategies as st

from event_contracts.catalogue import State
from event_contracts.sales import StageEntry
from event_contracts.service import Wait
from tests.metrics_worker.facts import (
    CUSTOMER,
    OTHER_REP,
    REP,
    account,
    deal,
    eur,
    interaction,
    lead,
    line,
    logged,
    own_customer,
    quota,
)
from tests.metrics_worker.facts import step as step_fact
from tests.metrics_worker.facts import survey as survey_fact
from tests.metrics_worker.facts import ticket as ticket_fact

# Around the night in which Vilnius sets its clocks forward: days of 23 hours, and midnight that is not UTC's.
EVE = datetime(2026, 3, 28, 20, tzinfo=UTC)
moments = st.integers(0, 48 * 4).map(lambda quarters: EVE + timedelta(minutes=15 * quarters))
maybe_moments = st.none() | moments
codes = st.sampled_from([None, "A", "B", "unknown"])
people = st.sampled_from([None, REP, OTHER_REP])
CUSTOMERS = [UUID(int=1000), UUID(int=1010), UUID(int=1020), CUSTOMER]
"""The first three have accounts where a history has any: subjects are numbered alike."""
customers = st.sampled_from([*[CUSTOMERS[0]] * 4, *CUSTOMERS])
"""Mostly the same one: most of what can go wrong takes several facts of a customer."""
amounts = st.integers(0, 10**7).map(lambda cents: f"{cents // 100}.{cents % 100:02}")
lines = st.builds(line, st.sampled_from(["desk", "chair", "lamp"]), st.integers(1, 5), amounts)

Delivery = tuple[State, int]
"""A state and its sequence."""
Recorded = tuple[State, int, int]
"""A state, its sequence, and the minute in which it was recorded."""


def _accounts(subject_id: UUID) -> st.SearchStrategy[State]:
    return st.builds(
        account, id=st.just(subject_id), region=codes, segment=codes, owner_id=people, registered_at=moments
    )


def _own_customers(subject_id: UUID) -> st.SearchStrategy[State]:
    return st.builds(own_customer, id=st.just(subject_id), region=codes, segment=codes, registered_at=moments)


def _leads(subject_id: UUID) -> st.SearchStrategy[State]:
    return st.builds(
        lead,
        id=st.just(subject_id),
        channel=codes,
        region=codes,
        owner_id=people,
        created_at=moments,
        contacted_at=maybe_moments,
        qualified_at=maybe_moments,
        converted_at=maybe_moments,
    )


entries = st.builds(StageEntry, stage=st.sampled_from(["prospecting", "proposal", "won", "lost"]), entered_at=moments)


def _deals(subject_id: UUID) -> st.SearchStrategy[State]:
    return st.lists(lines, max_size=4).flatmap(
        lambda some: st.sampled_from(["won", "lost", "negotiation"]).flatmap(
            lambda stage: st.builds(
                lambda closed_at, **fields: deal(
                    *some, stage=stage, closed_at=closed_at if stage in ("won", "lost") else None, **fields
                ),
                id=st.just(subject_id),
                closed_at=moments,
                stage_entries=st.lists(entries, max_size=3),
                region=codes,
                owner_id=people,
                account_id=customers,
            )
        )
    )


def _quotas(subject_id: UUID) -> st.SearchStrategy[State]:
    return st.builds(
        lambda first, days, amount, **fields: quota(first, first + timedelta(days=days), eur(amount), **fields),
        first=st.sampled_from([date(2026, 3, 1), date(2026, 3, 28)]),
        days=st.integers(0, 10),
        amount=amounts,
        id=st.just(subject_id),
        rep_id=st.sampled_from([REP, OTHER_REP]),
    )


def _tickets(subject_id: UUID) -> st.SearchStrategy[State]:
    fields: dict[str, Any] = {
        "priority": st.sampled_from(["low", "urgent"]),
        "product": codes,
        "agent_id": people,
        "customer_id": customers,
        "kind": st.sampled_from(["problem", "presales_question"]),
        "opened_at": moments,
        "sla_breached_at": maybe_moments,
        "reopened_at": maybe_moments,
        "first_responded_at": maybe_moments,
        "resolution_business_seconds": st.none() | st.integers(0, 90_000),
        "merged_into": st.sampled_from([None, None, REP]),
        "resolved_at": maybe_moments,
        "reopen_count": st.integers(0, 2),
        "inbound_count": st.integers(0, 2),
        "waits": st.none() | st.lists(st.builds(Wait, since=moments, until=maybe_moments), max_size=3),
    }
    contacts = st.builds(
        interaction,
        id=st.just(UUID(int=subject_id.int + 1)),
        ticket_id=st.just(subject_id),
        agent_id=people,
        talk_seconds=st.integers(0, 600),
        occurred_at=moments,
    )
    plain: st.SearchStrategy[State] = st.builds(ticket_fact, id=st.just(subject_id), **fields)
    with_contact: st.SearchStrategy[State] = st.builds(logged, contacts, **fields)
    return plain | with_contact


def _surveys(subject_id: UUID) -> st.SearchStrategy[State]:
    answers = st.none() | st.tuples(moments, st.integers(1, 5))
    return st.builds(
        lambda answer, **fields: survey_fact(
            answered_at=answer and answer[0], score=answer and answer[1], id=subject_id, **fields
        ),
        answers,
        region=codes,
        agent_id=people,
        customer_id=customers,
        sent_at=moments,
    )


def _steps(subject_id: UUID) -> st.SearchStrategy[State]:
    return st.builds(
        lambda completed_at, **fields: (
            step_fact(status="planned" if completed_at is None else "done", completed_at=completed_at, **fields)
            if fields["promised"] or completed_at
            else step_fact(status="cancelled", cancelled_at=EVE, **fields)
        ),
        completed_at=maybe_moments,
        id=st.just(subject_id),
        promised=st.booleans(),
        due_on=st.integers(-2, 2).map(lambda days: EVE.date() + timedelta(days=days)),
        region=codes,
        agent_id=people,
        customer_id=customers,
    )


Kinds = list[Callable[[UUID], st.SearchStrategy[State]]]
_KINDS: Kinds = [_accounts, _own_customers, _leads, _deals, _deals, _quotas, _tickets, _surveys, _steps]
DEALS_AND_ONE_RISK: list[Kinds] = [[_deals, _tickets], [_deals, _surveys], [_deals, _steps]]
"""What one kind of risk decides is hidden by the others where there are all of them."""


@st.composite
def histories(
    draw: st.DrawFn, accounts: int = 0, kinds: Kinds = _KINDS, fewest: int = 1, *, unmerged: bool = True
) -> list[list[Delivery]]:
    """For each of some subjects of these kinds, `fewest` to six, its states by rising sequence.

    The first `accounts` of them are accounts, and then none are merged in a circle. Where none is `unmerged`, a merge
    stays once it is there.
    """
    subjects = []
    for number in range(draw(st.integers(max(accounts, fewest), 6))):
        kind = _accounts if number < accounts else draw(st.sampled_from(kinds))
        states = draw(st.lists(kind(UUID(int=1000 + 10 * number)), min_size=1, max_size=4))
        targets = [each for each in CUSTOMERS if not accounts or each == CUSTOMER or each.int > 1000 + 10 * number]
        # Accounts merged in a circle, or into themselves, are a mistake that may happen.
        if kind in (_accounts, _own_customers) and unmerged:
            drawn = [draw(st.sampled_from([None, *targets])) for _ in states]
            states = [
                msgspec.structs.replace(state, merged_into=target) for state, target in zip(states, drawn, strict=True)
            ]
        elif kind in (_accounts, _own_customers) and (target := draw(st.sampled_from(targets) | st.none())) is not None:
            since = draw(st.integers(0, len(states) - 1))
            states[since:] = [msgspec.structs.replace(state, merged_into=target) for state in states[since:]]
        subjects.append([(state, sequence) for sequence, state in enumerate(states, start=1)])
    return subjects


@st.composite
def interleavings(draw: st.DrawFn, kinds: Kinds = _KINDS, fewest: int = 1) -> list[list[Recorded]]:
    """A history in batches: each subject's states by rising sequence, but subjects in any order, as the partitions of
    two topics are read; each with the minute in which it was recorded, which rises within a subject only."""
    waiting: list[list[Recorded]] = []
    for subject in draw(histories(accounts=2, kinds=kinds, fewest=fewest, unmerged=False)):
        minutes = sorted(draw(st.lists(st.integers(0, 5), min_size=len(subject), max_size=len(subject))))
        waiting.append([(*fact, minute) for fact, minute in zip(subject, minutes, strict=True)])
    batches: list[list[Recorded]] = [[]]
    while waiting:
        batches[-1].append(draw(st.sampled_from(waiting)).pop(0))
        waiting = [each for each in waiting if each]
        if draw(st.booleans()):
            batches.append([])
    return [batch for batch in batches if batch]


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[list[Delivery]], list[list[Delivery]]]:
    """A history, and the batches that it arrives in: any order, some of it more than once, all of it at least once."""
    history = draw(histories())
    facts: Sequence[Delivery] = [fact for subject in history for fact in subject]
    repeats = draw(st.lists(st.sampled_from(facts), max_size=5))
    shuffled = draw(st.permutations([*facts, *repeats]))
    cuts = sorted(draw(st.sets(st.integers(1, len(shuffled)), max_size=4)))
    batches = [shuffled[start:end] for start, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
    return history, [batch for batch in batches if batch]
