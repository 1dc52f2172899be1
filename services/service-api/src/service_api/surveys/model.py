"""A survey and the rules of its answer."""

from datetime import datetime, timedelta
from typing import Annotated, ClassVar, get_args
from uuid import UUID

import sqlalchemy as sa

from event_contracts.service import (
    AnswerSource,
    Priority,
    SurveyAmended,
    SurveyAnswered,
    SurveyErased,
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
from service_kit.entities import Recorded, amended, column, state_of
from service_kit.identifiers import new_id
from service_kit.occurrence import check_follows
from service_kit.problems import Conflict
from service_kit.references import erased_ref
from service_kit.tables import filtered, one_of, unassigned


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


class SurveyAlreadyErased(Conflict):
    """Its customer was erased: nothing more may be written about them."""

    slug, title = "survey-already-erased", "The survey's customer was erased"


class Survey(Recorded, Base, table="survey"):
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
        sa.Index("survey_open_idx", "ticket_id", "kind", unique=True, postgresql_where=sa.text("answered_at IS NULL")),
        *filtered("survey", ("ticket_id", "customer_id", "agent_id", "team_id", "score", "answer_source")),
        unassigned("survey", "agent_id", "team_id"),
        *filtered("survey", ("kind", "sent_at", "answered_at", "updated_at")),
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
    ) -> tuple["Survey", SurveySent]:
        """Return a new survey about a ticket, and about the agent whom the ticket's SLA policy credits with it."""
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
        )
        return survey, SurveySent(**state_of(survey, SurveySent))

    @property
    def partition_key(self) -> UUID:
        """The customer's id."""
        return self.customer_id

    @property
    def changed_at(self) -> datetime:
        """The earliest time at which its next answer can come."""
        return self.revised_at or self.answered_at or self.sent_at

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
        self.answer_source, self.entry_reason, self.entered_by = "entered", reason, by
        return self._take(score, comment, recommendation, effort, at=at)

    def _take(
        self,
        score: int,
        comment: str | None,
        recommendation: int | None,
        effort: int | None,
        *,
        at: datetime,
        revisable_until: datetime | None = None,
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
        if previous_score is None:
            self.answered_at = at
            return SurveyAnswered(**state_of(self, ContractSurvey))
        self.revised_at = at
        return SurveyRevised(**state_of(self, ContractSurvey), change=SurveyRevision(previous_score=previous_score))

    def follow(self, ticket: Ticket) -> SurveyAmended | None:
        """Take over again what the ticket was corrected in; None where nothing differs. Agent and team stay."""
        theirs = {
            "ticket_kind": ticket.kind,
            "channel": ticket.channel,
            "priority": ticket.priority,
            "region": ticket.region,
            "segment": ticket.segment,
            "product": ticket.product,
        }
        changes = {name: value for name, value in theirs.items() if getattr(self, name) != value}
        return amended(self, changes, SurveyAmended) if changes else None

    def erase(self, *, at: datetime) -> SurveyErased:
        """Erase what the customer wrote; the score stays."""
        self.comment = None
        self.external_ref = erased_ref(self.external_ref)
        self.erased_at = at
        self.version += 1
        return SurveyErased(**state_of(self, SurveyErased))
