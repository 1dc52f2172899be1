"""A survey and the rules of its answer."""

from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, get_args
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from event_contracts.fields import Credit
from event_contracts.service import (
    AnswerSource,
    Priority,
    RatingWait,
    SurveyAmended,
    SurveyAnswered,
    SurveyErased,
    SurveyFollowedUp,
    SurveyKind,
    SurveyRevised,
    SurveyRevision,
    SurveySent,
    TicketChannel,
    TicketKind,
)
from event_contracts.service import Survey as ContractSurvey
from service_api.tables import Base
from service_api.tickets.model import Ticket
from service_api.tickets.sla import SurveyCredit
from service_kit.entities import OfCustomer, Recorded, amended, column, state_of
from service_kit.identifiers import new_id
from service_kit.occurrence import check_follows
from service_kit.problems import Conflict
from service_kit.references import erased_ref
from service_kit.tables import filtered, one_of, unassigned

BAD_SCORE: Final = 2
"""The best score that is a bad rating, where no SLA policy says otherwise."""


class SurveyAlreadyOpen(Conflict):
    """A ticket has one unanswered survey of a kind at most; `existing_id` is its id."""

    slug, title = "survey-already-open", "The customer was asked already"


class SurveyAnswerUnchanged(Conflict):
    """The same answer again changes nothing."""

    slug, title = "survey-answer-unchanged", "This is the answer already"


class SurveyAnswerFinal(Conflict):
    """Customers may revise their answer until `revisable_until`."""

    slug, title = "survey-answer-final", "The answer can no longer be revised"


class CustomerAlreadyAnswered(Conflict):
    """An answer that is entered never replaces the customer's own."""

    slug, title = "customer-already-answered", "The customer has answered already"


class RatingNotWaiting(Conflict):
    """Only a bad rating that waits for its follow-up can be followed up."""

    slug, title = "rating-not-waiting", "No bad rating waits for a follow-up"


class SurveyAlreadyErased(Conflict):
    """Its customer was erased: nothing more may be written about them."""

    slug, title = "survey-already-erased", "The survey's customer was erased"


class Survey(OfCustomer, Recorded, Base, table="survey"):
    """A question put to a customer about a ticket, with the attribution that the ticket had when it was sent."""

    __table_args__: ClassVar = (
        one_of("kind", get_args(SurveyKind)),
        sa.CheckConstraint("score BETWEEN 1 AND 5", name="score"),
        sa.CheckConstraint("recommendation BETWEEN 0 AND 10", name="recommendation"),
        sa.CheckConstraint("effort BETWEEN 1 AND 7", name="effort"),
        sa.CheckConstraint("(answered_at IS NULL) = (score IS NULL)", name="answer"),
        one_of("answer_source", get_args(AnswerSource)),
        sa.CheckConstraint("answer_source IS NULL OR answered_at IS NOT NULL", name="answer_source_of_answer"),
        sa.CheckConstraint("num_nulls(entry_reason, entered_by) IN (0, 2)", name="entry"),
        sa.CheckConstraint(
            "(entry_reason IS NOT NULL) = (answer_source IS NOT DISTINCT FROM 'entered')", name="entered"
        ),
        sa.CheckConstraint("bad_score BETWEEN 0 AND 4", name="bad_score"),
        sa.Index("survey_waiting_idx", "ticket_id", postgresql_where=sa.text("waiting_since IS NOT NULL")),
        sa.Index("survey_open_idx", "ticket_id", "kind", unique=True, postgresql_where=sa.text("answered_at IS NULL")),
        *filtered("survey", ("ticket_id", "customer_id", "agent_id", "team_id", "score", "answer_source")),
        unassigned("survey", "agent_id", "team_id"),
        *filtered("survey", ("kind", "sent_at", "answered_at", "waiting_since", "updated_at")),
    )

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    kind: SurveyKind
    ticket_id: Annotated[UUID, column(references="ticket.id")]
    customer_id: Annotated[UUID, column(references="customer.id")]
    agent_id: Annotated[UUID | None, column(references="agent.id")] = None
    team_id: Annotated[UUID | None, column(references="team.id")] = None
    ticket_kind: TicketKind
    channel: TicketChannel
    priority: Priority
    region: str | None = None
    segment: str | None = None
    product: str | None = None
    external_ref: Annotated[str | None, column(unique=True, personal=True)] = None
    sent_at: datetime
    answered_at: datetime | None = None
    revised_at: datetime | None = None
    score: Annotated[int | None, column(sa.SmallInteger)] = None
    recommendation: Annotated[int | None, column(sa.SmallInteger)] = None
    effort: Annotated[int | None, column(sa.SmallInteger)] = None
    comment: Annotated[str | None, column(personal=True, comment="free text: never in an event")] = None
    answer_source: Annotated[AnswerSource | None, column(comment="null for answers of before it was recorded")] = None
    entry_reason: str | None = None
    entered_by: Annotated[str | None, column(personal=True, comment="the subject of the token; never in an event")] = (
        None
    )
    bad_score: Annotated[
        int | None, column(sa.SmallInteger, comment="the ticket's policy's when it was sent; null for the default")
    ] = None
    waits: Annotated[
        list[dict[str, Any]] | None,
        column(JSONB, comment="each time a bad rating waited for a follow-up; null before it was recorded"),
    ] = None
    waiting_since: Annotated[datetime | None, column(comment="since when a bad rating waits for a follow-up now")] = (
        None
    )
    erased_at: datetime | None = None

    @classmethod
    def send(
        cls,
        *,
        kind: SurveyKind,
        ticket: Ticket,
        at: datetime,
        external_ref: str | None,
        credit: SurveyCredit = "resolver",
        bad_score: int | None = None,
    ) -> tuple["Survey", SurveySent]:
        """Return a new survey about a ticket, and about the agent whom the ticket's SLA policy credits with it.

        `bad_score` is the best score that waits for a follow-up; None for the default, 0 for none.
        """
        check_follows(at, ticket.opened_at)
        credited = ticket.credit_of(credit)
        survey = cls(
            id=new_id(),
            version=1,
            kind=kind,
            ticket_id=ticket.id,
            customer_id=ticket.customer_id,
            agent_id=credited.person_id,
            team_id=credited.team_id,
            ticket_kind=ticket.kind,
            channel=ticket.channel,
            priority=ticket.priority,
            region=ticket.region,
            segment=ticket.segment,
            product=ticket.product,
            external_ref=external_ref,
            sent_at=at,
            bad_score=bad_score,
            waits=[],
        )
        return survey, SurveySent(**survey._state())

    @property
    def partition_key(self) -> UUID:
        """The id of the customer, or of the one that it was recorded under."""
        return self.keyed_by or self.customer_id

    @property
    def changed_at(self) -> datetime:
        """The earliest time at which its next answer or follow-up can come."""
        answered = self.revised_at or self.answered_at or self.sent_at
        return max([answered, *(wait.until for wait in self.known_waits[-1:] if wait.until is not None)])

    @property
    def known_waits(self) -> list[RatingWait]:
        """When a bad rating waited for a follow-up; empty for a survey that was answered before that was recorded."""
        return [] if self.waits is None else msgspec.convert(self.waits, list[RatingWait])

    def answer(
        self,
        *,
        score: int,
        comment: str | None,
        at: datetime,
        recommendation: int | None = None,
        effort: int | None = None,
        revisable: timedelta | None = None,
    ) -> SurveyAnswered | SurveyRevised:
        """Take the customer's own answer. A later one revises the earlier one, which keeps its day.

        The customer's first answer replaces one that was entered for them, as if that had never been. `revisable` is
        for how long after it they may revise it; None without a limit. Raise `SurveyAnswerFinal` after that,
        `SurveyAnswerUnchanged`, `SurveyAlreadyErased` for a comment, and `OccurredTooEarly`.
        """
        revisable_until = None
        if self.answer_source == "entered":
            self.answered_at = self.revised_at = self.score = self.comment = self.recommendation = self.effort = None
            self._set_waits([])
        elif revisable is not None and self.answered_at is not None:
            revisable_until = self.answered_at + revisable
        self.answer_source, self.entry_reason, self.entered_by = "customer", None, None
        return self._take(score, comment, recommendation, effort, at=at, revisable_until=revisable_until)

    def enter(
        self,
        *,
        score: int,
        comment: str | None,
        at: datetime,
        reason: str,
        by: str,
        recommendation: int | None = None,
        effort: int | None = None,
    ) -> SurveyAnswered | SurveyRevised:
        """Take an answer that `by` enters for the customer, who gave it at that time, on paper or by telephone.

        Entering it again corrects it. Raise `CustomerAlreadyAnswered`, and as `answer` does.
        """
        if self.answered_at is not None and self.answer_source != "entered":
            raise CustomerAlreadyAnswered("Their own answer stays; only they revise it, by their link.")
        corrects = self.answer_source == "entered"
        self.answer_source, self.entry_reason, self.entered_by = "entered", reason, by
        return self._take(score, comment, recommendation, effort, at=at, corrects=corrects)

    def _take(
        self,
        score: int,
        comment: str | None,
        recommendation: int | None,
        effort: int | None,
        *,
        at: datetime,
        revisable_until: datetime | None = None,
        corrects: bool = False,
    ) -> SurveyAnswered | SurveyRevised:
        if comment is not None and self.erased_at is not None:
            raise SurveyAlreadyErased("Leave the comment out; the score alone may still be given.")
        same = recommendation in (None, self.recommendation) and effort in (None, self.effort)
        if score == self.score and same and comment in (None, self.comment):
            raise SurveyAnswerUnchanged("Send another score or comment to revise it.")
        if revisable_until is not None and at > revisable_until:
            raise SurveyAnswerFinal(
                f"It could be revised until {revisable_until.isoformat()}. Send the correction to the service team.",
                revisable_until=revisable_until.isoformat(),
            )
        check_follows(at, self.changed_at)
        previous_score = self.score
        self.version += 1
        self.score = score
        self.comment = comment
        # What is not answered again stays.
        self.recommendation = self.recommendation if recommendation is None else recommendation
        self.effort = self.effort if effort is None else effort
        self._rate(score, previous_score, at, corrects=corrects)
        if previous_score is None:
            self.answered_at = at
            return SurveyAnswered(**self._state())
        self.revised_at = at
        return SurveyRevised(**self._state(), change=SurveyRevision(previous_score=previous_score))

    def _rate(self, score: int, previous: int | None, at: datetime, *, corrects: bool) -> None:
        """Begin the wait of a rating that became bad, or worse after it was followed up; end that of one that is good.

        Where what was entered is corrected to a good rating, there was nothing to wait for.
        """
        waits = self.known_waits
        waiting = bool(waits) and waits[-1].until is None
        if waiting and not self._is_bad(score) and corrects:
            waits.pop()
        elif waiting and not self._is_bad(score):
            waits[-1] = msgspec.structs.replace(waits[-1], until=at, ended_by="revision")
        elif not waiting and self._is_bad(score) and (previous is None or score < previous):
            waits.append(RatingWait(since=at))
        self._set_waits(waits)

    def _is_bad(self, score: int) -> bool:
        return score <= (BAD_SCORE if self.bad_score is None else self.bad_score)

    def follow_up(self, *, at: datetime, by: Credit, channel: TicketChannel | None) -> SurveyFollowedUp:
        """Record that an agent spoke with the customer about a bad rating.

        Raise `RatingNotWaiting`, `SurveyAlreadyErased`, and `OccurredTooEarly` for a time before they gave it.
        """
        if self.erased_at is not None:
            raise SurveyAlreadyErased("They must not be contacted any more.")
        waits = self.known_waits
        if self.waiting_since is None or not waits:
            raise RatingNotWaiting("It is not bad by its policy, or was followed up or revised: see waits.")
        check_follows(at, self.waiting_since)
        waits[-1] = msgspec.structs.replace(
            waits[-1], until=at, ended_by="follow_up", channel=channel, followed_up_by=by
        )
        self._set_waits(waits)
        self.version += 1
        return SurveyFollowedUp(**self._state())

    def _set_waits(self, waits: list[RatingWait]) -> None:
        self.waits = [msgspec.to_builtins(wait) for wait in waits]
        self.waiting_since = waits[-1].since if waits and waits[-1].until is None and self.erased_at is None else None

    def _state(self) -> dict[str, Any]:
        return state_of(self, ContractSurvey, waits=None if self.waits is None else self.known_waits)

    def follow(self, ticket: Ticket) -> SurveyAmended | None:
        """Take over again what the ticket was corrected in; None where nothing differs. Agent and team stay."""
        theirs = {
            "customer_id": ticket.customer_id,
            "ticket_kind": ticket.kind,
            "channel": ticket.channel,
            "priority": ticket.priority,
            "region": ticket.region,
            "segment": ticket.segment,
            "product": ticket.product,
        }
        changes = {name: value for name, value in theirs.items() if getattr(self, name) != value}
        if not changes:
            return None
        if "customer_id" in changes:
            self.keep_key()
        return amended(self, changes, SurveyAmended, waits=None if self.waits is None else self.known_waits)

    def erase(self, *, at: datetime) -> SurveyErased:
        """Erase what the customer wrote; the score stays. There is no follow-up to wait for any more."""
        self.waiting_since = None
        self.comment = None
        self.external_ref = erased_ref(self.external_ref)
        self.erased_at = at
        self.version += 1
        return SurveyErased(**self._state())
