"""A ticket's rules without any I/O: whatever is tried in whatever order, its history stays consistent."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from event_contracts.service import Direction, Interaction, TicketChannel, Visibility
from service_api.tickets.model import (
    Ticket,
    TicketAlreadyAssigned,
    TicketAlreadyClosed,
    TicketAlreadyResolved,
    TicketStillOpen,
)
from service_api.tickets.waits import Turn, is_reply, waits_of
from service_kit.identifiers import new_id
from service_kit.occurrence import OccurredTooEarly
from service_kit.problems import Conflict

CUSTOMER = new_id()
PEOPLE = [new_id() for _ in range(3)]
NOON = datetime(2025, 3, 31, 12, tzinfo=UTC)

minutes = st.integers(min_value=0, max_value=90)
channels: st.SearchStrategy[TicketChannel] = st.sampled_from(["phone", "email", "chat", "in_person", "web"])
directions: st.SearchStrategy[Direction] = st.sampled_from(["inbound", "outbound"])
visibilities: st.SearchStrategy[Visibility] = st.sampled_from(["public", "internal"])
a_person = st.sampled_from(PEOPLE)
maybe_a_person = st.one_of(st.none(), a_person)


def opened(at: datetime = NOON, *, agent_id: UUID | None = None) -> Ticket:
    ticket, _ = Ticket.open(
        customer_id=CUSTOMER, kind="problem", channel="email", priority="normal", at=at, agent_id=agent_id
    )
    return ticket


def contact(
    ticket: Ticket,
    at: datetime,
    *,
    direction: Direction = "outbound",
    visibility: Visibility = "public",
    channel: TicketChannel = "email",
    agent_id: UUID | None = PEOPLE[0],
) -> Interaction:
    return Interaction(
        id=new_id(),
        ticket_id=ticket.id,
        customer_id=ticket.customer_id,
        agent_id=agent_id,
        team_id=None,
        direction=direction,
        visibility=visibility,
        channel=channel,
        ticket_kind=ticket.kind,
        priority=ticket.priority,
        region=None,
        segment=None,
        product=None,
        talk_seconds=60,
        hold_seconds=0,
        wrap_up_seconds=0,
        occurred_at=at,
    )


class TicketLife(RuleBasedStateMachine):
    """Tries every action at any time, in any state; a refusal must change nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.ticket = opened()
        self.clock = NOON
        self.replies: list[datetime] = []
        self.inbound = self.logged = self.reopened = 0
        self.seen_version = 1

    @rule(passed=minutes)
    def time_passes(self, passed: int) -> None:
        self.clock += timedelta(minutes=passed)

    @rule(agent_id=maybe_a_person, team_id=maybe_a_person)
    def assign(self, agent_id: UUID | None, team_id: UUID | None) -> None:
        before = self.ticket.state_fields()
        if self.ticket.status == "closed":
            with pytest.raises(TicketAlreadyClosed):
                self.ticket.assign(agent_id=agent_id, team_id=team_id, at=self.clock)
        elif (agent_id, team_id) == (before["agent_id"], before["team_id"]):
            with pytest.raises(TicketAlreadyAssigned):
                self.ticket.assign(agent_id=agent_id, team_id=team_id, at=self.clock)
        else:
            self.ticket.assign(agent_id=agent_id, team_id=team_id, at=self.clock)
            self.changed(before, agent_id=agent_id, team_id=team_id, assigned_at=self.clock)
            return
        self.unchanged(before)

    @rule()
    def resolve(self) -> None:
        before = self.ticket.state_fields()
        if before["status"] == "open":
            self.ticket.resolve(resolution="repaired", at=self.clock)
            first = before["first_resolved_at"] or self.clock
            self.changed(
                before, status="resolved", resolved_at=self.clock, resolution="repaired", first_resolved_at=first
            )
            return
        refusal = TicketAlreadyClosed if before["status"] == "closed" else TicketAlreadyResolved
        with pytest.raises(refusal):
            self.ticket.resolve(resolution="again", at=self.clock)
        self.unchanged(before)

    @rule()
    def reopen(self) -> None:
        before = self.ticket.state_fields()
        if before["status"] == "open":
            with pytest.raises(TicketStillOpen):
                self.ticket.reopen(at=self.clock)
            self.unchanged(before)
            return
        assert self.ticket.reopen(at=self.clock).change.previous_resolved_at == before["resolved_at"]
        self.reopened += 1
        self.changed(
            before,
            status="open",
            resolved_at=None,
            resolution=None,
            closed_at=None,
            reopened_at=self.clock,
            first_reopened_at=before["first_reopened_at"] or self.clock,
            reopen_count=self.reopened,
        )

    @rule()
    def close(self) -> None:
        before = self.ticket.state_fields()
        if before["status"] == "resolved":
            self.ticket.close(at=self.clock)
            self.changed(before, status="closed", closed_at=self.clock)
            return
        refusal = TicketStillOpen if before["status"] == "open" else TicketAlreadyClosed
        with pytest.raises(refusal):
            self.ticket.close(at=self.clock)
        self.unchanged(before)

    @rule(
        direction=directions,
        visibility=visibilities,
        channel=channels,
        agent_id=maybe_a_person,
        late_by=minutes,
    )
    def log_interaction(
        self, direction: Direction, visibility: Visibility, channel: TicketChannel, agent_id: UUID | None, late_by: int
    ) -> None:
        at = max(self.clock - timedelta(minutes=late_by), NOON)
        spoken = contact(
            self.ticket, at, direction=direction, visibility=visibility, channel=channel, agent_id=agent_id
        )
        before = self.ticket.state_fields()
        self.ticket.log_interaction(spoken)
        self.logged += 1
        self.inbound += direction == "inbound" and visibility == "public"
        self.changed(before, interaction_count=self.logged, inbound_count=self.inbound)
        if (
            agent_id
            and visibility == "public"
            and (direction == "outbound" or channel in ("phone", "chat", "in_person"))
        ):
            self.replies.append(at)
        before = self.ticket.state_fields()
        if self.ticket.is_first_responded_by(spoken):
            self.ticket.respond(at)
            self.changed(before, first_responded_at=min(self.replies))

    @precondition(lambda self: self.ticket.changed_at > NOON)
    @rule(early_by=st.integers(min_value=1, max_value=10**6))
    def nothing_happens_before_what_it_follows(self, early_by: int) -> None:
        before = self.ticket.state_fields()
        at = self.ticket.changed_at - timedelta(seconds=early_by)
        with pytest.raises(Conflict):
            self.ticket.resolve(resolution=None, at=at)
        with pytest.raises(Conflict):
            self.ticket.reopen(at=at)
        with pytest.raises(Conflict):
            self.ticket.close(at=at)
        with pytest.raises(Conflict):
            self.ticket.assign(agent_id=new_id(), team_id=None, at=at)
        self.unchanged(before)

    @invariant()
    def times_fit_the_status(self) -> None:
        ticket = self.ticket
        assert (ticket.status == "open") == (ticket.resolved_at is None)
        assert (ticket.status == "closed") == (ticket.closed_at is not None)
        assert ticket.resolution is None or ticket.status != "open"
        assert (ticket.reopened_at is None) == (ticket.reopen_count == 0)

    @invariant()
    def the_first_response_is_the_earliest_reply_and_stays(self) -> None:
        assert self.ticket.first_responded_at == min(self.replies, default=None)

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        assert self.ticket.interaction_count == self.logged
        assert self.ticket.inbound_count == self.inbound <= self.logged
        assert self.ticket.reopen_count == self.reopened

    def changed(self, before: object, **fields: object) -> None:
        """Exactly these fields are other than before, and the version is the next one."""
        assert isinstance(before, dict)
        now = self.ticket.state_fields()
        follow = {"waits", "first_responded_by", "resolved_by", "first_resolved_by"}
        assert {name: now[name] for name in now if name not in follow} == {
            name: value for name, value in (before | fields).items() if name not in follow
        }
        assert self.ticket.version == self.seen_version + 1
        self.seen_version = self.ticket.version

    def unchanged(self, before: object) -> None:
        assert self.ticket.state_fields() == before
        assert self.ticket.version == self.seen_version

    @invariant()
    def only_an_open_ticket_is_waited_for(self) -> None:
        waits = self.ticket.known_waits
        assert all(wait.until is not None and wait.until >= wait.since for wait in waits[:-1])
        is_waiting = bool(waits) and waits[-1].until is None
        assert self.ticket.waiting_since == (waits[-1].since if is_waiting else None)
        assert not is_waiting or self.ticket.status == "open"

    @invariant()
    def who_did_it_is_known_while_it_is_done(self) -> None:
        assert (self.ticket.resolved_by is not None) == (self.ticket.resolved_at is not None)
        assert (self.ticket.first_responded_by is not None) == (self.ticket.first_responded_at is not None)


TicketLife.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestTicketLife = TicketLife.TestCase


def test_a_ticket_with_an_agent_is_assigned_from_the_start() -> None:
    assert opened(agent_id=PEOPLE[0]).assigned_at == NOON
    assert opened().assigned_at is None


def test_a_contact_cannot_be_older_than_its_ticket() -> None:
    ticket = opened()
    with pytest.raises(OccurredTooEarly) as refusal:
        ticket.log_interaction(contact(ticket, NOON - timedelta(microseconds=1)))
    assert refusal.value.extra == {"latest_change_at": NOON.isoformat()}
    assert ticket.version == 1


def test_contacts_may_be_logged_late_and_on_a_closed_ticket() -> None:
    ticket = opened()
    ticket.resolve(resolution=None, at=NOON + timedelta(hours=2))
    ticket.close(at=NOON + timedelta(hours=3))
    ticket.log_interaction(contact(ticket, NOON + timedelta(hours=1)))
    assert (ticket.interaction_count, ticket.status) == (1, "closed")


@pytest.mark.parametrize(
    ("direction", "channel", "visibility", "by_a_person", "counts"),
    [
        ("outbound", "email", "public", True, True),
        ("outbound", "email", "public", False, False),
        ("outbound", "email", "internal", True, False),
        ("outbound", "web", "public", True, True),
        ("inbound", "email", "public", True, False),
        ("inbound", "web", "public", True, False),
        ("inbound", "phone", "public", True, True),
        ("inbound", "chat", "public", True, True),
        ("inbound", "in_person", "public", True, True),
        ("inbound", "phone", "public", False, False),
        ("inbound", "phone", "internal", True, False),
    ],
)
def test_a_reply_is_public_and_by_a_person(
    direction: Direction, channel: TicketChannel, visibility: Visibility, by_a_person: bool, counts: bool
) -> None:
    spoken = contact(
        opened(),
        NOON,
        direction=direction,
        channel=channel,
        visibility=visibility,
        agent_id=PEOPLE[0] if by_a_person else None,
    )
    assert is_reply(spoken) is counts


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["asks", "reply", "resolution"])), max_size=12))
def test_waits_follow_from_their_turns_in_any_order(drawn: list[tuple[int, str]]) -> None:
    def turn(minute: int, kind: str) -> Turn:
        at = NOON + timedelta(minutes=minute)
        return Turn(at, asks=True) if kind == "asks" else Turn(at, answers="reply" if kind == "reply" else "resolution")

    turns = [turn(*each) for each in drawn]
    waits = waits_of(turns)
    assert [(wait.since, wait.until) for wait in waits_of(turns[::-1])] == [(wait.since, wait.until) for wait in waits]
    waited: set[int] = set()
    for wait in waits:
        since = (wait.since - NOON) // timedelta(minutes=1)
        until = 21 if wait.until is None else (wait.until - NOON) // timedelta(minutes=1)
        waited |= set(range(since, until))
    # A minute is waited through when the last turn up to its beginning asks.
    for minute in range(21):
        before = sorted((at, kind != "asks") for at, kind in drawn if at <= minute)
        assert (minute in waited) == (bool(before) and not before[-1][1]), minute
