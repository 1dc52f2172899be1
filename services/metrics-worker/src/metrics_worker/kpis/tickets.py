"""What a ticket contributes: by cohort on the day it was opened, by period on the day it was resolved."""

from typing import Annotated, NamedTuple

from event_contracts.service import Ticket
from metrics_worker.kpis.posting import Measure, Posting, Reporting, text_of


class ServiceDimensions(NamedTuple):
    """What tickets, interactions and surveys are told apart by; `owner` is the agent, `kind` the ticket's."""

    region: str | None
    segment: str | None
    product: str | None
    channel: str | None
    owner: str | None
    team: str | None
    customer: str | None
    priority: str | None
    kind: str | None


class TicketMeasures(NamedTuple):
    """What is summed of tickets."""

    opened: Annotated[int, Measure("tickets, on the day they were opened")] = 0
    cohort_resolved: Annotated[int, Measure("tickets that stand resolved, on the day they were opened")] = 0
    cohort_reopened: Annotated[int, Measure("tickets reopened at least once, on the day they were opened")] = 0
    reopenings: Annotated[int, Measure("times that tickets were reopened, on the day they were opened")] = 0
    resolved: Annotated[int, Measure("tickets that stand resolved, on the day they were last resolved")] = 0
    resolved_reopened: Annotated[
        int, Measure("resolved tickets that had been reopened, on the day they were last resolved")
    ] = 0
    resolved_first_contact: Annotated[
        int,
        Measure(
            "resolved tickets for which the customer came once at most and that were never reopened, on the day they "
            "were resolved"
        ),
    ] = 0


def postings_for(ticket: Ticket, reporting: Reporting) -> list[Posting]:
    """The ticket's whole contribution. Raises ValueError when a day is outside the calendar."""
    dimensions = ServiceDimensions(
        region=ticket.region,
        segment=ticket.segment,
        product=ticket.product,
        channel=ticket.channel,
        owner=text_of(ticket.agent_id),
        team=text_of(ticket.team_id),
        customer=text_of(ticket.customer_id),
        priority=ticket.priority,
        kind=ticket.kind,
    )
    reopened = int(ticket.reopen_count > 0)
    cohort = TicketMeasures(
        opened=1,
        cohort_resolved=int(ticket.resolved_at is not None),
        cohort_reopened=reopened,
        reopenings=ticket.reopen_count,
    )
    postings = [Posting(reporting.day_of(ticket.opened_at), dimensions, cohort)]
    if ticket.resolved_at is not None:
        resolved = TicketMeasures(
            resolved=1,
            resolved_reopened=reopened,
            resolved_first_contact=int(ticket.inbound_count <= 1 and not reopened),
        )
        postings.append(Posting(reporting.day_of(ticket.resolved_at), dimensions, resolved))
    return postings
