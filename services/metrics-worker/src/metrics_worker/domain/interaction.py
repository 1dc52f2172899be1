"""What one contact on a ticket contributes, on the day it took place."""

from event_contracts.service import Interaction
from metrics_worker.domain.histogram import bucket_of
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.posting import Posting, Reporting, text_of
from metrics_worker.domain.ticket import ServiceDimensions


class InteractionMeasures(Measures, kind="interaction", credit="the agent who took part"):
    """The measures of interactions."""

    handled: Measure = Measure("contacts handled by an agent, by contact day")
    talk_seconds: Measure = Measure("talk or writing time of these contacts", unit="seconds")
    hold_seconds: Measure = Measure("hold time of these contacts", unit="seconds")
    wrap_up_seconds: Measure = Measure("wrap-up time of these contacts", unit="seconds")
    handle_seconds: Measure = Measure("talk, hold and wrap-up time together", unit="seconds", counted_by=handled)


def postings_for(interaction: Interaction, reporting: Reporting) -> list[Posting]:
    """Return the contact's whole contribution: none for an automatic message, which no agent handled."""
    day = reporting.day_of(interaction.occurred_at)
    if interaction.agent_id is None:
        return []
    dimensions = ServiceDimensions(
        region=interaction.region,
        segment=interaction.segment,
        product=interaction.product,
        channel=interaction.channel,
        owner=text_of(interaction.agent_id),
        team=text_of(interaction.team_id),
        customer=text_of(interaction.customer_id),
        priority=interaction.priority,
        kind=interaction.ticket_kind,
    )
    handle = interaction.talk_seconds + interaction.hold_seconds + interaction.wrap_up_seconds
    measures = InteractionMeasures(
        handled=1,
        talk_seconds=interaction.talk_seconds,
        hold_seconds=interaction.hold_seconds,
        wrap_up_seconds=interaction.wrap_up_seconds,
        handle_seconds=handle,
    )
    return [Posting(day, dimensions, measures, buckets=(bucket_of(handle),))]
