"""A ticket and its rules; the contacts about it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, get_args
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from event_contracts.fields import Amendment, Credit
from event_contracts.service import (
    Direction,
    InteractionAmended,
    InteractionAmendment,
    InteractionLogged,
    Priority,
    SlaBreach,
    SlaBreached,
    SlaTarget,
    TicketAbsorbed,
    TicketAbsorption,
    TicketAmended,
    TicketAssigned,
    TicketCancelled,
    TicketChannel,
    TicketClosed,
    TicketErased,
    TicketEscalated,
    TicketFirstResponded,
    TicketKind,
    TicketMerged,
    TicketOpened,
    TicketReinstated,
    TicketReopened,
    TicketReopening,
    TicketResolved,
    TicketStatus,
    Visibility,
    Wait,
)
from event_contracts.service import Interaction as ContractInteraction
from event_contracts.service import Ticket as ContractTicket
from event_contracts.service import TicketAssignment as AssignmentChange
from service_api.tables import Base
from service_api.tickets.sla import SlaTerms, SurveyCredit
from service_api.tickets.waits import Turn, after_turn, is_reply, turn_of, waits_of
from service_kit.credits import credit_in, credit_row
from service_kit.custom_fields.model import Customized, customized
from service_kit.entities import OfCustomer, Recorded, amended, column, names_of, state_of
from service_kit.identifiers import new_id
from service_kit.occurrence import CLOCK_TOLERANCE, check_follows, check_order
from service_kit.problems import Conflict
from service_kit.references import erased_ref
from service_kit.tables import filtered, one_of, searched, sorted_by_name, unassigned

GRANTING: Final = frozenset({"kind", "priority"})
"""What decides which SLA policy a ticket is under."""
MOMENTS: Final = frozenset({"opened_at", "resolved_at", "closed_at"})
"""The times of its story that can be corrected."""
HANDED_ON: Final = frozenset({"customer_id", "kind", "priority", "region", "segment", "product"})
"""What its contacts have from it."""

BACKDATED_WAIT: Final = timedelta(hours=1)
"""How long the SLA clock ignores a backdated ticket: its answers are still being entered."""


class TicketAlreadyResolved(Conflict):
    """It is resolved and waits to be closed or reopened."""

    slug, title = "ticket-already-resolved", "The ticket is resolved already"


class TicketAlreadyClosed(Conflict):
    """It is closed; only reopening brings it back."""

    slug, title = "ticket-already-closed", "The ticket is closed already"


class TicketStillOpen(Conflict):
    """The action needs a resolution first."""

    slug, title = "ticket-still-open", "The ticket is not resolved yet"


class TicketAlreadyAssigned(Conflict):
    """It has this agent and this team already."""

    slug, title = "ticket-already-assigned", "The ticket is assigned to them already"


class TicketAlreadyMerged(Conflict):
    """It is about the same as another ticket; `merged_into` names that one."""

    slug, title = "ticket-already-merged", "The ticket was merged into another"


class TicketAlreadyCancelled(Conflict):
    """It is the onboarding of a deal that is no longer won."""

    slug, title = "ticket-already-cancelled", "The onboarding was cancelled with its deal"


class OnboardingAlreadyOpened(Conflict):
    """A won deal has one onboarding; `existing_id` is the ticket's id."""

    slug, title = "onboarding-already-opened", "The deal has an onboarding already"


class TicketOfAnotherCustomer(Conflict):
    """Only tickets of one customer can be merged."""

    slug, title = "ticket-of-another-customer", "The tickets are of different customers"


class TicketNotThereYet(Conflict):
    """It was not resolved or closed, so that there is no time of it to correct."""

    slug, title = "ticket-not-there-yet", "The ticket has not come to that"


class ReopenedByContact(Conflict):
    """A contact reopened its ticket."""

    slug, title = "reopened-by-contact", "The contact reopened its ticket"


class TicketOfADeal(Conflict):
    """An onboarding is for the customer of its deal."""

    slug, title = "ticket-of-a-deal", "The ticket is a deal's onboarding"


class TicketAlreadyErased(Conflict):
    """Its customer was erased: nothing more may be written about them."""

    slug, title = "ticket-already-erased", "The ticket's customer was erased"


def _is_message(contact: ContractInteraction) -> bool:
    return contact.direction == "inbound" and contact.visibility == "public"


def _occurred_at(contact: ContractInteraction) -> datetime:
    return contact.occurred_at


class Ticket(Customized, OfCustomer, Recorded, Base, table="ticket"):
    """A customer's question, request or problem. Region and segment are the customer's when it was opened."""

    __table_args__: ClassVar = (
        one_of("kind", get_args(TicketKind)),
        one_of("channel", get_args(TicketChannel)),
        one_of("priority", get_args(Priority)),
        one_of("status", get_args(TicketStatus)),
        sa.CheckConstraint(
            "(status = 'open') = (resolved_at IS NULL AND merged_into IS NULL AND cancelled_at IS NULL)",
            name="resolution",
        ),
        sa.CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", name="closing"),
        sa.CheckConstraint("(merged_into IS NULL) = (merged_at IS NULL)", name="merging"),
        sa.CheckConstraint("cancelled_at IS NULL OR onboarding_deal_id IS NOT NULL", name="cancelling"),
        sa.Index("ticket_sla_check_idx", "sla_check_at", postgresql_where=sa.text("sla_check_at IS NOT NULL")),
        unassigned("ticket", "agent_id", "team_id"),
        *filtered(
            "ticket",
            (
                "customer_id",
                "kind",
                "channel",
                "priority",
                "status",
                "region",
                "segment",
                "product",
                "agent_id",
                "team_id",
                "merged_into",
                "follow_up_to",
            ),
        ),
        *filtered(
            "ticket",
            (
                "opened_at",
                "resolved_at",
                "closed_at",
                "first_response_due_at",
                "resolution_due_at",
                "waiting_since",
                "updated_at",
            ),
        ),
        *sorted_by_name("ticket", "subject"),
        searched("ticket", "subject", "external_ref"),
        customized("tickets"),
    )

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    customer_id: Annotated[UUID, column(references="customer.id")]
    kind: TicketKind
    channel: TicketChannel
    priority: Priority
    status: TicketStatus
    region: str | None = None
    segment: str | None = None
    product: str | None = None
    subject: Annotated[str | None, column(personal=True, comment="free text: never in an event")] = None
    description: Annotated[str | None, column(personal=True, comment="free text: never in an event")] = None
    agent_id: Annotated[UUID | None, column(references="agent.id")] = None
    team_id: Annotated[UUID | None, column(references="team.id")] = None
    external_ref: Annotated[str | None, column(unique=True, personal=True)] = None
    opened_at: datetime
    assigned_at: datetime | None = None
    first_responded_at: datetime | None = None
    first_responded_by: Annotated[
        dict[str, str | None] | None, column(JSONB, comment="the agent and their team then")
    ] = None
    resolved_at: datetime | None = None
    resolved_by: Annotated[dict[str, str | None] | None, column(JSONB, comment="the agent and their team then")] = None
    resolution: str | None = None
    closed_at: datetime | None = None
    reopened_at: datetime | None = None
    reopen_count: int
    pauses: Annotated[
        list[dict[str, str]],
        column(JSONB, comment="each time from a resolution to its reopening, which the SLA does not count"),
    ]
    interaction_count: int
    inbound_count: int
    merged_contact_count: Annotated[int, column(comment="contacts of the customer about tickets merged into it")] = 0
    waits: Annotated[
        list[dict[str, Any]] | None,
        column(JSONB, comment="each time the customer waited for us; null before it was recorded"),
    ] = None
    waiting_since: Annotated[datetime | None, column(comment="since when the customer waits for us now")] = None
    last_turn_at: Annotated[datetime | None, column(comment="the latest turn that waits follow from")] = None
    first_resolved_at: datetime | None = None
    first_resolved_by: Annotated[
        dict[str, str | None] | None, column(JSONB, comment="the agent and their team then")
    ] = None
    first_reopened_at: datetime | None = None
    escalated_at: datetime | None = None
    merged_into: Annotated[UUID | None, column(references="ticket.id")] = None
    merged_at: datetime | None = None
    sla_policy_id: Annotated[UUID | None, column(references="sla_policy.id")] = None
    first_response_due_at: datetime | None = None
    resolution_due_at: datetime | None = None
    first_response_breached_at: datetime | None = None
    resolution_breached_at: datetime | None = None
    first_response_business_seconds: int | None = None
    resolution_business_seconds: int | None = None
    onboarding_deal_id: Annotated[
        UUID | None, column(references="won_deal.id", unique=True, comment="the won deal that it brings into use")
    ] = None
    onboarding_since: Annotated[datetime | None, column(comment="when that deal was won")] = None
    follow_up_to: Annotated[
        UUID | None, column(references="ticket.id", comment="the one that the customer's message came too late for")
    ] = None
    cancelled_at: Annotated[datetime | None, column(comment="when that deal was taken back from won")] = None
    created_at: Annotated[datetime, column(comment="when it was entered; opened_at may be backdated")]
    sla_check_at: Annotated[datetime | None, column(comment="when the SLA clock checks it; null for never")] = None
    erased_at: datetime | None = None

    @classmethod
    def open(
        cls,
        *,
        customer_id: UUID,
        kind: TicketKind,
        channel: TicketChannel,
        priority: Priority,
        at: datetime,
        region: str | None = None,
        segment: str | None = None,
        product: str | None = None,
        subject: str | None = None,
        description: str | None = None,
        agent_id: UUID | None = None,
        team_id: UUID | None = None,
        external_ref: str | None = None,
        terms: SlaTerms | None = None,
        onboarding_deal_id: UUID | None = None,
        onboarding_since: datetime | None = None,
        follow_up_to: UUID | None = None,
        custom: Mapping[str, Any] | None = None,
    ) -> tuple["Ticket", TicketOpened]:
        """Return a new ticket; one that names an agent or a team is assigned from the start.

        `terms` are what its SLA policy grants. In an onboarding no one waits for a first response: it has a
        time for its resolution only.
        """
        ticket = cls(
            id=new_id(),
            version=1,
            customer_id=customer_id,
            kind=kind,
            channel=channel,
            priority=priority,
            status="open",
            region=region,
            segment=segment,
            product=product,
            subject=subject,
            description=description,
            agent_id=agent_id,
            team_id=team_id,
            external_ref=external_ref,
            opened_at=at,
            assigned_at=None if agent_id is None and team_id is None else at,
            reopen_count=0,
            pauses=[],
            interaction_count=0,
            inbound_count=0,
            onboarding_deal_id=onboarding_deal_id,
            onboarding_since=onboarding_since,
            follow_up_to=follow_up_to,
            created_at=datetime.now(UTC),
            **(custom or {}),
        )
        ticket._come_under(terms)
        # No customer asked for an onboarding.
        ticket.waits = []
        ticket._take_turns([], Turn(at, asks=onboarding_deal_id is None))
        return ticket, TicketOpened(**ticket.state_fields())

    @property
    def partition_key(self) -> UUID:
        """The id of the customer, or of the one that it was recorded under."""
        return self.keyed_by or self.customer_id

    @property
    def changed_at(self) -> datetime:
        """The time of its last change, contacts left out: the earliest time of the next one."""
        times = (self.opened_at, self.assigned_at, self.resolved_at, self.reopened_at, self.closed_at)
        return max(time for time in times if time is not None)

    def assign(self, *, agent_id: UUID | None, team_id: UUID | None, at: datetime) -> TicketAssigned:
        """Assign it to an agent, or to a team alone. Raise `TicketAlreadyClosed`, `TicketAlreadyAssigned`."""
        previous_agent_id = self.agent_id
        self._reassign(agent_id, team_id, at)
        return TicketAssigned(**self.state_fields(), change=AssignmentChange(previous_agent_id=previous_agent_id))

    def escalate(self, *, agent_id: UUID | None, team_id: UUID | None, at: datetime) -> TicketEscalated:
        """Pass it on to an agent or a team with more knowledge or authority; the first time is what counts.

        Raise `TicketAlreadyResolved`, and as `assign` does.
        """
        if self.status == "resolved":
            raise TicketAlreadyResolved("Reopen it first if the solution did not work.")
        self._reassign(agent_id, team_id, at)
        if self.escalated_at is None:
            self.escalated_at = at
        return TicketEscalated(**self.state_fields())

    def _reassign(self, agent_id: UUID | None, team_id: UUID | None, at: datetime) -> None:
        self._check_counts()
        if self.status == "closed":
            raise TicketAlreadyClosed("Reopen it before you assign it.")
        if (agent_id, team_id) == (self.agent_id, self.team_id):
            raise TicketAlreadyAssigned("Name another agent or another team.")
        self._change(at)
        self.agent_id = agent_id
        self.team_id = team_id
        self.assigned_at = at

    def amend(
        self,
        changes: Mapping[str, Any],
        *,
        at: datetime,
        terms: SlaTerms | None = None,
        known: Sequence[ContractInteraction] = (),
    ) -> TicketAmended:
        """Correct columns by name: it is as if it had been opened so.

        `terms` are those of its SLA policy from then on, where the kind, the priority or a time is among the columns,
        and `known` its contacts, for a time. Raise `TicketAlreadyMerged`, `TicketAlreadyCancelled`,
        `TicketAlreadyErased` for a text, `TicketStillOpen` for the resolution of an open ticket, and for a time
        `TicketOfADeal`, `TicketNotThereYet` and `TimesOutOfOrder`.
        """
        self._check_counts()
        if changes.keys() & {"subject", "description", "custom_personal"}:
            self.check_may_be_written_on()
        if "resolution" in changes and self.resolved_at is None:
            raise TicketStillOpen("Leave the resolution out: it is how a ticket was solved.")
        self._change(at)
        if "customer_id" in changes:
            self.keep_key()
        turns = self._own_turns(known)
        if changes.keys() & MOMENTS:
            self._correct_times(changes, known)
        for name, value in changes.items():
            setattr(self, name, value)
        if changes.keys() & (GRANTING | MOMENTS):
            self._come_under(terms)
        if changes.keys() & MOMENTS:
            self._retake_turns(turns, self._own_turns(known))
        return TicketAmended(**self.state_fields(), change=Amendment(fields=names_of(changes)))

    def _correct_times(self, changes: Mapping[str, Any], known: Sequence[ContractInteraction]) -> None:
        """Set what else follows from times that are corrected, if its story stays in order."""
        if "opened_at" in changes and self.onboarding_deal_id is not None:
            raise TicketOfADeal("It was opened when its deal was won.")
        for name in ("resolved_at", "closed_at"):
            if name in changes and getattr(self, name) is None:
                raise TicketNotThereYet(f"Leave {name} out: it has none.")
        new = {name: changes.get(name, getattr(self, name)) for name in MOMENTS}
        assigned_at = new["opened_at"] if self.assigned_at == self.opened_at else self.assigned_at
        for name, follows in (
            ("assigned_at", assigned_at),
            ("escalated_at", self.escalated_at),
            ("first_responded_at", self.first_responded_at),
            ("first_resolved_at", None if self.reopen_count == 0 else self.first_resolved_at),
            ("the first contact", min((each.occurred_at for each in known), default=None)),
        ):
            check_order(("opened_at", new["opened_at"]), (name, follows))
        check_order(
            ("opened_at", new["opened_at"]),
            ("reopened_at", self.reopened_at),
            ("resolved_at", new["resolved_at"]),
            ("closed_at", new["closed_at"]),
            ("merged_at", self.merged_at),
        )
        self.assigned_at = assigned_at
        if self.reopen_count == 0:
            self.first_resolved_at = new["resolved_at"]

    def correct_contact(
        self,
        contacts: Sequence[ContractInteraction],
        previous: ContractInteraction,
        now: ContractInteraction,
        terms: SlaTerms | None,
    ) -> InteractionAmended:
        """Correct one of its contacts, and what follows from it: the first response, and when the customer waited.

        `contacts` are all of them, with the corrected one. Raise as `amend` does, and `ReopenedByContact` for the time
        of the message that reopened it.
        """
        self._check_counts()
        check_order(("opened_at", self.opened_at), ("occurred_at", now.occurred_at))
        if previous.occurred_at != now.occurred_at and turn_of(previous) is not None:
            reopened = {datetime.fromisoformat(pause["reopened_at"]) for pause in self.pauses}
            if previous.direction == "inbound" and previous.occurred_at in reopened:
                raise ReopenedByContact("Its time is also that of the reopening, which stays.")
        before = [previous if each.id == now.id else each for each in contacts]
        turns = self._own_turns(before)
        self.inbound_count += _is_message(now) - _is_message(previous)
        if is_reply(previous) or is_reply(now):
            self._set_first_response(min(filter(is_reply, contacts), key=_occurred_at, default=None), terms)
        self._retake_turns(turns, self._own_turns(contacts))
        return self.amend_interaction(now, previous)

    def _set_first_response(self, reply: ContractInteraction | None, terms: SlaTerms | None) -> None:
        at = None if reply is None else reply.occurred_at
        self.first_responded_at = at
        by = None if reply is None else Credit(person_id=reply.agent_id, team_id=reply.team_id)
        self.first_responded_by = None if by is None else credit_row(by)
        self.first_response_business_seconds = (
            None if at is None or terms is None else terms.business_seconds(self.opened_at, at)
        )
        # What is late is to be found anew.
        self.first_response_breached_at = None
        self._set_clock()

    def check_has_no_deal(self) -> None:
        """Raise `TicketOfADeal` for an onboarding, which is corrected to another customer with its deal."""
        if self.onboarding_deal_id is not None:
            raise TicketOfADeal("Correct the deal's account in sales: the onboarding and the delivery follow.")

    def follow(self, ticket: "Ticket") -> TicketAmended:
        """Take over the customer of the ticket that this one was merged into."""
        self.keep_key()
        changes = {name: getattr(ticket, name) for name in ("customer_id", "region", "segment")}
        return amended(self, changes, TicketAmended, **self._converted())

    def amend_interaction(self, interaction: ContractInteraction, previous: ContractInteraction) -> InteractionAmended:
        """Correct what a contact has from the ticket."""
        self.version += 1
        change = InteractionAmendment(interaction=interaction, previous=previous)
        return InteractionAmended(**self.state_fields(), change=change)

    def _come_under(self, terms: SlaTerms | None) -> None:
        """Set what an SLA policy grants from the opening on. What was late under another one is to be found anew."""
        is_request = self.onboarding_deal_id is None
        self.sla_policy_id = None if terms is None else terms.policy_id
        self.first_response_due_at = self.resolution_due_at = None
        self.first_response_breached_at = self.resolution_breached_at = None
        self.first_response_business_seconds = self.resolution_business_seconds = None
        if terms is not None:
            if is_request:
                self.first_response_due_at = terms.due(self.opened_at, terms.first_response_seconds)
            self.resolution_due_at = self._resolution_due(terms)
            if self.first_responded_at is not None:
                self.first_response_business_seconds = terms.business_seconds(self.opened_at, self.first_responded_at)
            if self.resolved_at is not None:
                self.resolution_business_seconds = terms.business_seconds(self.opened_at, self.resolved_at)
        self._set_clock()

    def _resolution_due(self, terms: SlaTerms) -> datetime | None:
        due = terms.due(self.opened_at, terms.resolution_seconds)
        for pause in self.pauses:
            resolved_at, reopened_at = (datetime.fromisoformat(pause[end]) for end in ("resolved_at", "reopened_at"))
            if due is None or resolved_at > due:
                break
            # As when it was reopened.
            due = terms.due(reopened_at, terms.seconds_between(resolved_at, due))
        return due

    def log_interaction(
        self, interaction: ContractInteraction, known: Iterable[ContractInteraction] = ()
    ) -> InteractionLogged:
        """Count a contact, also of a closed ticket. The first public reply by a person is for `respond` too.

        `known` are the contacts before, where it `needs_contacts_for` this one's time.
        """
        self._check_counts()
        check_follows(interaction.occurred_at, self.opened_at)
        self.version += 1
        self.interaction_count += 1
        if interaction.direction == "inbound" and interaction.visibility == "public":
            self.inbound_count += 1
        if (turn := turn_of(interaction)) is not None:
            self._take_turns(known, turn)
        return InteractionLogged(**self.state_fields(), change=interaction)

    def is_first_responded_by(self, interaction: ContractInteraction) -> bool:
        """Return whether a contact is a person's public reply to the customer, earlier than any known one."""
        return is_reply(interaction) and (
            self.first_responded_at is None or interaction.occurred_at < self.first_responded_at
        )

    def respond(self, at: datetime, terms: SlaTerms | None = None, *, by: Credit | None = None) -> TicketFirstResponded:
        """Record a person's first public reply, by its own agent where `by` is None.

        An earlier one that is logged later replaces it.
        """
        self.version += 1
        self.first_responded_at = at
        self.first_responded_by = credit_row(by or Credit(person_id=self.agent_id, team_id=self.team_id))
        if terms is not None:
            self.first_response_business_seconds = terms.business_seconds(self.opened_at, at)
        if self.first_response_due_at is not None and at <= self.first_response_due_at:
            # Not a breach after all: the answer was entered late.
            self.first_response_breached_at = None
        self._set_clock()
        return TicketFirstResponded(**self.state_fields())

    def resolve(
        self,
        *,
        resolution: str | None,
        at: datetime,
        by: Credit | None = None,
        terms: SlaTerms | None = None,
        known: Iterable[ContractInteraction] = (),
    ) -> TicketResolved:
        """Resolve it, by its own agent where `by` is None. Raise `TicketAlreadyResolved`, `TicketAlreadyClosed`.

        `known` are its contacts, where it `needs_contacts_for` that time.
        """
        self._check_counts()
        if self.status == "resolved":
            raise TicketAlreadyResolved("Reopen it first if the solution did not work.")
        if self.status == "closed":
            raise TicketAlreadyClosed("Reopen it first if the solution did not work.")
        self._change(at)
        self.status = "resolved"
        self.resolved_at = at
        credit = by or Credit(person_id=self.agent_id, team_id=self.team_id)
        self.resolved_by = credit_row(credit)
        self._take_turns(known, Turn(at, answers="resolution", by=credit))
        self.resolution = resolution
        if self.reopen_count == 0:
            self.first_resolved_at = at
            self.first_resolved_by = self.resolved_by
        if terms is not None:
            self.resolution_business_seconds = terms.business_seconds(self.opened_at, at)
        if self.resolution_due_at is not None and at <= self.resolution_due_at:
            self.resolution_breached_at = None
        self._set_clock()
        return TicketResolved(**self.state_fields())

    def is_done_before(self, at: datetime) -> bool:
        """Return whether a customer's message of that time comes after its resolution, and so needs an open ticket."""
        is_in_use = self.merged_into is None and self.cancelled_at is None
        return is_in_use and self.resolved_at is not None and at > self.resolved_at

    def is_reopened_by_message(self, at: datetime, within: timedelta) -> bool:
        """Return whether a customer's message reopens it. After an onboarding it asks for something of its own."""
        return self.resolved_at is not None and at <= self.resolved_at + within and self.onboarding_deal_id is None

    def reopen(
        self,
        *,
        at: datetime,
        terms: SlaTerms | None = None,
        interaction_id: UUID | None = None,
        known: Iterable[ContractInteraction] = (),
    ) -> TicketReopened:
        """Undo the resolution, also of a closed ticket; the first response stays. Raise `TicketStillOpen`.

        `interaction_id` is the customer's message that does it; None where staff does. The SLA does not count the time
        between: what was left of its resolution time is left again.
        """
        self._check_counts()
        if self.resolved_at is None:
            raise TicketStillOpen("There is no resolution to undo.")
        self._change(at)
        previous_resolved_at = self.resolved_at
        if terms is not None and self.resolution_due_at is not None and self.resolution_breached_at is None:
            left = terms.seconds_between(previous_resolved_at, self.resolution_due_at)
            self.resolution_due_at = terms.due(at, left)
        if self.reopen_count == 0:
            self.first_reopened_at = at
        self.resolution_business_seconds = None
        self.status = "open"
        self.resolved_at = None
        self.resolved_by = None
        self.resolution = None
        self.closed_at = None
        self.reopened_at = at
        self.reopen_count += 1
        self._take_turns(known, Turn(at, asks=True))
        # A new list: a change within the old one would go unnoticed.
        self.pauses = [
            *self.pauses, {"resolved_at": previous_resolved_at.isoformat(), "reopened_at": at.isoformat()}
        ]  # fmt: skip
        self._set_clock()
        change = TicketReopening(
            previous_resolved_at=previous_resolved_at,
            cause="staff" if interaction_id is None else "customer_message",
            interaction_id=interaction_id,
        )
        return TicketReopened(**self.state_fields(), change=change)

    def close(self, *, at: datetime) -> TicketClosed:
        """Close a resolved ticket. Raise `TicketStillOpen`, `TicketAlreadyClosed`."""
        self._check_counts()
        if self.status == "open":
            raise TicketStillOpen("Resolve it before you close it.")
        if self.status == "closed":
            raise TicketAlreadyClosed("There is nothing to do.")
        self._change(at)
        self.status = "closed"
        self.closed_at = at
        return TicketClosed(**self.state_fields())

    def merge(self, into: "Ticket", *, at: datetime) -> TicketMerged:
        """Merge it into another ticket of the customer about the same; this one is closed for good.

        Raise `TicketAlreadyMerged`, `TicketOfAnotherCustomer`.
        """
        self._check_counts()
        if into.merged_into is not None:
            raise TicketAlreadyMerged(
                "Merge it into the one that merged_into names.", merged_into=str(into.merged_into)
            )
        if into.customer_id != self.customer_id:
            raise TicketOfAnotherCustomer("Merge tickets of one customer only.")
        check_follows(at, into.opened_at)
        self._change(at)
        self.status = "closed"
        self.merged_into = into.id
        self.merged_at = at
        self.closed_at = self.closed_at or at
        self._set_clock()
        self._set_waiting()
        return TicketMerged(**self.state_fields())

    def absorb(
        self, merged: "Ticket", waiting_since: datetime | None, known: Iterable[ContractInteraction] = ()
    ) -> TicketAbsorbed:
        """Count the contacts of a ticket that was merged into this one with its own.

        `waiting_since` is since when the customer had waited there: they wait on here, until the next answer after it.
        `known` are this ticket's contacts, where it `needs_contacts_for` that time.
        """
        self.version += 1
        self.merged_contact_count += max(merged.inbound_count, 1) + merged.merged_contact_count
        if waiting_since is not None:
            self._take_turns(known, Turn(waiting_since, asks=True))
        return TicketAbsorbed(**self.state_fields(), change=TicketAbsorption(ticket_id=merged.id))

    def cancel(self, *, at: datetime) -> TicketCancelled:
        """Cancel an onboarding whose deal is no longer won; what was done of it is kept.

        Raise `TicketAlreadyMerged`, `TicketAlreadyCancelled`.
        """
        self._check_counts()
        self._change(at)
        self.status = "closed"
        self.closed_at = self.closed_at or at
        self.cancelled_at = at
        self._set_clock()
        self._set_waiting()
        return TicketCancelled(**self.state_fields())

    def reinstate(self, *, won_at: datetime, terms: SlaTerms | None = None) -> TicketReinstated:
        """Take up a cancelled onboarding, since its deal was won again at `won_at`. Raise ValueError for another one.

        One that was resolved stays so: what was installed need not be installed again. Any other begins anew.
        """
        if self.cancelled_at is None:
            raise ValueError(f"ticket {self.id} is not cancelled")
        self.version += 1
        self.cancelled_at = self.closed_at = None
        if self.resolved_at is None:
            self.status = "open"
            self.opened_at = self.onboarding_since = won_at
            self.pauses = []
            self.assigned_at = None if self.assigned_at is None else won_at
            self.resolution_due_at = None if terms is None else terms.due(won_at, terms.resolution_seconds)
            self.resolution_breached_at = None
        else:
            self.status = "resolved"
        self._set_clock()
        self._set_waiting()
        return TicketReinstated(**self.state_fields())

    def overdue(self, now: datetime) -> list[SlaTarget]:
        """Return the targets that were missed by `now` and have no breach yet, the earliest first."""
        found: list[tuple[datetime, SlaTarget]] = []
        waits = self.status == "open"
        first: SlaTarget = "first_response"
        last: SlaTarget = "resolution"
        for target, due, done, breached in (
            (first, self.first_response_due_at, self.first_responded_at, self.first_response_breached_at),
            (last, self.resolution_due_at, self.resolved_at, self.resolution_breached_at),
        ):
            if due is None or breached is not None or self.merged_into is not None or self.cancelled_at is not None:
                continue
            # Until when it was awaited: a ticket may be resolved without a first response.
            until = done or (now if waits else self.resolved_at)
            is_known = done is not None or waits
            if until is not None and until > (due if is_known else self._checked_at(due)):
                found.append((due, target))
        return [target for _, target in sorted(found)]

    def breach(self, target: SlaTarget) -> SlaBreached:
        """Record that a target was missed. Raise ValueError when nothing was due."""
        due = self.first_response_due_at if target == "first_response" else self.resolution_due_at
        if due is None:
            raise ValueError(f"ticket {self.id} has no {target} due")
        if target == "first_response":
            self.first_response_breached_at = due
        else:
            self.resolution_breached_at = due
        self.version += 1
        self._set_clock()
        return SlaBreached(**self.state_fields(), change=SlaBreach(target=target, due_at=due))

    @property
    def sla_breached_at(self) -> datetime | None:
        """When the first target was missed; None when none was."""
        breaches = (self.first_response_breached_at, self.resolution_breached_at)
        return min((at for at in breaches if at is not None), default=None)

    def _set_clock(self) -> None:
        """Set when the SLA clock checks it next: as soon as something that is still awaited is overdue."""
        awaited: list[datetime] = []
        if self.status == "open":
            if self.first_responded_at is None and self.first_response_breached_at is None:
                awaited += [self.first_response_due_at] if self.first_response_due_at is not None else []
            if self.resolution_breached_at is None:
                awaited += [self.resolution_due_at] if self.resolution_due_at is not None else []
        self.sla_check_at = self._checked_at(min(awaited)) if awaited else None

    def _checked_at(self, due: datetime) -> datetime:
        """Return when the SLA clock first checks what is due, as long as that is awaited."""
        is_backdated = self.opened_at < self.created_at - CLOCK_TOLERANCE
        return max(due, self.created_at + BACKDATED_WAIT) if is_backdated else due

    @property
    def known_waits(self) -> list[Wait]:
        """When its customer waited for us; empty for a ticket of before that was recorded."""
        return [] if self.waits is None else msgspec.convert(self.waits, list[Wait])

    def needs_contacts_for(self, at: datetime) -> bool:
        """Return whether the waits after a turn of that time follow from all contacts only: later ones are known."""
        return self.waits is None or (self.last_turn_at is not None and at < self.last_turn_at)

    def _take_turns(self, known: Iterable[ContractInteraction], turn: Turn) -> None:
        if self.needs_contacts_for(turn.at):
            turns = [*self._turns_without_contacts(), *filter(None, map(turn_of, known)), turn]
            self._set_waits(waits_of(turns))
        else:
            self._set_waits(after_turn(self.known_waits, turn))
        self.last_turn_at = turn.at if self.last_turn_at is None else max(self.last_turn_at, turn.at)

    def _own_turns(self, contacts: Iterable[ContractInteraction]) -> list[Turn]:
        """Return the turns that follow from its own times and these contacts, and from nothing else."""
        return [*self._steps(), *filter(None, map(turn_of, contacts))]

    def _retake_turns(self, before: Iterable[Turn], now: Sequence[Turn]) -> None:
        """Set its waits anew, after times were corrected that had made the turns of `before`.

        Waits that began otherwise are those of tickets that were merged into it: they stay.
        """
        asked = {turn.at for turn in before if turn.asks}
        solved_at = {turn.at for turn in before if turn.answers == "resolution"}
        others = [Turn(wait.since, asks=True) for wait in self.known_waits if wait.since not in asked]
        others += [
            # What was asked after a resolution, and not taken for a reopening.
            Turn(wait.until, answers="resolution", by=wait.answered_by)
            for wait in self.known_waits
            if wait.until is not None and wait.ended_by == "resolution" and wait.until not in solved_at
        ]
        # Who solved it before it was reopened is known by the wait that it ended only.
        solved = {wait.until: wait.answered_by for wait in self.known_waits if wait.ended_by == "resolution"}
        turns = [turn if turn.by is not None else turn._replace(by=solved.get(turn.at)) for turn in now]
        self._set_waits(waits_of([*others, *turns]))
        self.last_turn_at = max(turn.at for turn in [*others, *now]) if others or now else None

    def _turns_without_contacts(self) -> Iterator[Turn]:
        for wait in self.known_waits:
            yield Turn(wait.since, asks=True)
            if wait.until is not None and wait.ended_by == "resolution":
                yield Turn(wait.until, answers="resolution", by=wait.answered_by)
        yield from self._steps()

    def _steps(self) -> Iterator[Turn]:
        if self.onboarding_deal_id is None:
            yield Turn(self.opened_at, asks=True)
        for pause in self.pauses:
            yield Turn(datetime.fromisoformat(pause["resolved_at"]), answers="resolution")
            yield Turn(datetime.fromisoformat(pause["reopened_at"]), asks=True)
        if self.resolved_at is not None:
            yield Turn(self.resolved_at, answers="resolution", by=credit_in(self.resolved_by))

    def _set_waits(self, waits: list[Wait]) -> None:
        if self.status != "open" and waits and waits[-1].until is None:
            # What is done has no wait: a question of after the resolution was entered before it.
            by = credit_in(self.resolved_by)
            until = max(waits[-1].since, self.resolved_at or waits[-1].since)
            waits[-1] = Wait(since=waits[-1].since, until=until, ended_by="resolution", answered_by=by)
        self.waits = [msgspec.to_builtins(wait) for wait in waits]
        self._set_waiting()

    def _set_waiting(self) -> None:
        waits = self.known_waits if self.merged_into is None and self.cancelled_at is None else []
        self.waiting_since = waits[-1].since if waits and waits[-1].until is None else None

    def _check_counts(self) -> None:
        if self.merged_into is not None:
            raise TicketAlreadyMerged("Use the ticket that merged_into names.", merged_into=str(self.merged_into))
        if self.cancelled_at is not None:
            raise TicketAlreadyCancelled("It comes back when its deal is won again. Open a ticket for anything else.")

    def check_takes_steps(self) -> None:
        """Raise `TicketAlreadyMerged` or `TicketAlreadyCancelled` for an onboarding that is worked on no longer."""
        self._check_counts()

    def check_may_be_written_on(self) -> None:
        """Raise `TicketAlreadyErased` for a ticket on which no text may be written."""
        if self.erased_at is not None:
            raise TicketAlreadyErased("Leave the text out; all else can still be recorded.")

    def erase(self, *, at: datetime) -> TicketErased:
        """Erase what was written on it, in any status; all that is counted stays."""
        self.subject = self.description = None
        self.custom_personal = {}
        self.external_ref = erased_ref(self.external_ref)
        self.erased_at = at
        self.version += 1
        return TicketErased(**self.state_fields())

    def _change(self, at: datetime) -> None:
        check_follows(at, self.changed_at)
        self.version += 1

    def state_fields(self) -> dict[str, Any]:
        """Return the state that all of its events carry."""
        return state_of(self, ContractTicket, **self._converted())

    def _converted(self) -> dict[str, Any]:
        return {
            "first_responded_by": credit_in(self.first_responded_by),
            "resolved_by": credit_in(self.resolved_by),
            "first_resolved_by": credit_in(self.first_resolved_by),
            "waits": None if self.waits is None else self.known_waits,
        }

    def credit_of(self, whom: SurveyCredit) -> Credit:
        """Return whom a survey about it is about: those of the policy's choice, else its own agent and team."""
        did = {"resolver": self.resolved_by, "first_responder": self.first_responded_by, "assignee": None}[whom]
        return credit_in(did) or Credit(person_id=self.agent_id, team_id=self.team_id)


class Interaction(Base, table="interaction"):
    """One contact about a ticket, with agent and team at that time; all else it is counted by is the ticket's.

    It changes only where it was recorded wrongly, and as its note is erased with the customer.
    """

    __table_args__: ClassVar = (
        one_of("direction", get_args(Direction)),
        one_of("visibility", get_args(Visibility)),
        one_of("channel", get_args(TicketChannel)),
        *filtered("interaction", ("ticket_id",)),
    )

    id: Annotated[UUID, column(primary_key=True)]
    version: Annotated[int, column(server_default="1")] = 1
    ticket_id: Annotated[UUID, column(references="ticket.id")]
    ticket_version: Annotated[int, column(comment="of the ticket once it was logged")]
    agent_id: Annotated[UUID | None, column(references="agent.id")] = None
    team_id: Annotated[UUID | None, column(references="team.id")] = None
    direction: Direction
    visibility: Visibility
    channel: TicketChannel
    talk_seconds: int
    hold_seconds: int
    wrap_up_seconds: int
    note: Annotated[str | None, column(personal=True, comment="free text: never in an event")] = None
    external_ref: Annotated[str | None, column(unique=True, personal=True)] = None
    occurred_at: datetime
    erased_at: datetime | None = None

    @classmethod
    def of(
        cls, contact: ContractInteraction, *, ticket_version: int, note: str | None, external_ref: str | None
    ) -> "Interaction":
        """Return the row of a contact; `ticket_version` is the ticket's after it."""
        return cls(
            id=contact.id,
            ticket_id=contact.ticket_id,
            ticket_version=ticket_version,
            agent_id=contact.agent_id,
            team_id=contact.team_id,
            direction=contact.direction,
            visibility=contact.visibility,
            channel=contact.channel,
            talk_seconds=contact.talk_seconds,
            hold_seconds=contact.hold_seconds,
            wrap_up_seconds=contact.wrap_up_seconds,
            note=note,
            external_ref=external_ref,
            occurred_at=contact.occurred_at,
        )

    def contact(self, ticket: Ticket) -> ContractInteraction:
        """Return it as events carry it, with what it has from its ticket."""
        return ContractInteraction(
            id=self.id,
            ticket_id=self.ticket_id,
            customer_id=ticket.customer_id,
            agent_id=self.agent_id,
            team_id=self.team_id,
            direction=self.direction,
            visibility=self.visibility,
            channel=self.channel,
            ticket_kind=ticket.kind,
            priority=ticket.priority,
            region=ticket.region,
            segment=ticket.segment,
            product=ticket.product,
            talk_seconds=self.talk_seconds,
            hold_seconds=self.hold_seconds,
            wrap_up_seconds=self.wrap_up_seconds,
            occurred_at=self.occurred_at,
        )

    def correct(self, changes: Mapping[str, Any]) -> None:
        """Set columns by name. Raise `TicketAlreadyErased` for the note of one that was erased."""
        if "note" in changes and self.erased_at is not None:
            raise TicketAlreadyErased("Leave the note out; all else can still be recorded.")
        for name, value in changes.items():
            setattr(self, name, value)
        self.version += 1

    def erase(self, *, at: datetime) -> None:
        """Erase what was written about it."""
        self.version += 1
        self.note = None
        self.external_ref = erased_ref(self.external_ref)
        self.erased_at = at
