"""Timelines over HTTP."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from service_kit.fields import Moment, MoneyRead, ReadModel, described
from service_kit.paging import NextCursor

Source = Literal["sales", "service"]

_ID = described(
    "The event's id, which `GET /v1/events/{event_id}` of its API knows.", "019ca869-5000-7000-8000-000000000e01"
)
_RECORD_ID = "019ca869-5000-7000-8000-0000000000a3"
_PERSON_ID = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11"


class TimelineRecordRead(ReadModel):
    """The record that an entry is about."""

    noun: Annotated[str, described("The kind of record, as addresses name it.", "deals")]
    id: Annotated[UUID, described("Which one it is.", _RECORD_ID)]
    path: Annotated[str, described("Its address in the API of its source.", f"/v1/deals/{_RECORD_ID}")]
    title: (
        Annotated[str, described("What it is called, where this API has it and your roles see it.", "Two pumps")] | None
    )
    """What people called it: a deal's title, a ticket's subject. Null for other records, for those of the other
    function, once it is erased, and to roles that do not serve the customer."""


class TimelinePersonRead(ReadModel):
    """A salesperson or agent."""

    id: Annotated[UUID, described("The salesperson or agent.", _PERSON_ID)]
    name: Annotated[str, described("What they are called, where this API has it.", "Ana Souza")] | None
    """Null for people of the other function."""


class TimelineFactsRead(ReadModel):
    """What matters of an entry; null is what its kind does not have."""

    status: Annotated[str, described("How it stood afterwards.", "won")] | None = None
    """How the record stood afterwards: a deal's stage, the status of a lead, a ticket or planned work, what became of a
    suggestion."""
    previous_status: Annotated[str, described("How it stood before.", "negotiation")] | None = None
    """How it stood before: the stage that a deal left, the outcome that was taken back."""
    type: Annotated[str, described("Which kind of record it is.", "problem", rarely=True)] | None = None
    """Which kind of record it is: of a ticket `problem`, of an activity `call`, of a survey `csat`."""
    priority: Annotated[str, described("How urgent the ticket was.", "high", rarely=True)] | None = None
    channel: Annotated[str, described("How the customer came or was reached.", "phone", rarely=True)] | None = None
    direction: Annotated[str, described("Of a contact.", "inbound", rarely=True)] | None = None
    """Of a contact: `inbound` by the customer, `outbound` by us."""
    visibility: Annotated[str, described("Of a contact.", "public", rarely=True)] | None = None
    """Of a contact: `public`, or `internal` for what the customer does not see."""
    products: Annotated[list[str], described("The codes of its products.", ["heat-pump-9"])] | None = None
    """The products that it is about, by their codes."""
    purpose: Annotated[str, described("What planned work is for.", "renewal", rarely=True)] | None = None
    reason: Annotated[str, described("Why it ended so, by a code.", "best_service")] | None = None
    """Why it ended so, by a code: why a deal was won or lost, a lead given up, work cancelled, a ticket reopened; how a
    ticket was resolved."""
    amount: MoneyRead | None = None
    """What the deal is worth, or the final price of a delivery."""
    previous_amount: Annotated[MoneyRead, described("What the deal was worth before.", rarely=True)] | None = None
    score: Annotated[int, described("The rating.", 5, rarely=True)] | None = None
    """The customer's rating, from 1 (worst) to 5 (best)."""
    previous_score: Annotated[int, described("The rating before it was revised.", 3, rarely=True)] | None = None
    recommendation: Annotated[int, described("The recommendation.", 9, rarely=True)] | None = None
    """How likely they would recommend us, from 0 (not at all) to 10."""
    effort: Annotated[int, described("The effort.", 6, rarely=True)] | None = None
    """How easy it was for them, from 1 (very difficult) to 7 (very easy)."""
    answer_source: Annotated[str, described("Who gave the answer.", "customer", rarely=True)] | None = None
    """Who gave the answer: the `customer`, or a colleague who `entered` it for them."""
    as_agreed: Annotated[bool, described("The quality as agreed.", True, rarely=True)] | None = None
    """Whether the customer found the quality of the delivery as agreed."""
    target: Annotated[str, described("The target that was missed.", "first_response", rarely=True)] | None = None
    """The target of the SLA policy that was missed: `first_response` or `resolution`."""
    due_at: Annotated[Moment, described("When it is, or was, due.", "2026-04-02T08:00:00Z", rarely=True)] | None = None
    due_on: (
        Annotated[date, described("The last day on which it is, or was, on time.", "2026-04-02", rarely=True)] | None
    ) = None
    previous_due_at: (
        Annotated[Moment, described("When it was due before it was moved.", "2026-04-01T08:00:00Z", rarely=True)] | None
    ) = None
    previous_due_on: (
        Annotated[date, described("The last day before it was moved.", "2026-04-01", rarely=True)] | None
    ) = None
    """The last day on which it was on time before it was moved."""
    fields: Annotated[list[str], described("What was changed or corrected.", ["region"], rarely=True)] | None = None
    """Which fields were changed or corrected."""
    other_id: Annotated[UUID, described("The other record.", _RECORD_ID, rarely=True)] | None = None
    """The other record: the one that it was merged into, the ticket that was merged into it, a survey's ticket, a
    delivery's deal, the lead of a referral or suggestion, the deal that a lead became."""


class TimelineEntryRead(ReadModel):
    """One thing that happened with a customer: an event of sales or service."""

    id: Annotated[UUID, _ID]
    kind: Annotated[str, described("What happened: the event's type.", "sales.deal-closed")]
    source: Annotated[Source, described("The function that did it.", "sales", schema="TimelineSource")]
    occurred_at: Annotated[Moment, described("When it happened in the business.", "2026-03-12T15:00:00Z")]
    recorded_at: Annotated[Moment, described("When its service recorded it.", "2026-03-12T15:00:00.120Z")]
    customer_id: Annotated[UUID, described("The customer.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12")]
    """Whose record it is: the customer that was asked for, or one that was merged into it."""
    record: TimelineRecordRead
    """The record that it happened to."""
    person: TimelinePersonRead | None
    """Who did it where that is known, else whose the record was; null without an owner."""
    previous_person: Annotated[TimelinePersonRead, described("Whose it was before.", rarely=True)] | None
    """Whose it was before, where it was assigned to another person."""
    facts: TimelineFactsRead
    """What matters of it, by its kind."""


class TimelinePage(ReadModel):
    """One page of a timeline."""

    items: list[TimelineEntryRead]
    """The entries of this page, the newest first."""
    next_cursor: NextCursor | None
