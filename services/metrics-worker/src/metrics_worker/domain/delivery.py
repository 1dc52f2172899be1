"""What a delivery contributes on the day the customer accepted it, compared with what the deal promised."""

from typing import NamedTuple

from event_contracts.service import Delivery
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.posting import Posting, Reporting, text_of


class DeliveryDimensions(NamedTuple):
    """The dimensions of deliveries; `owner` is the agent."""

    region: str | None
    segment: str | None
    owner: str | None
    team: str | None
    customer: str | None


class DeliveryMeasures(Measures, kind="delivery", credit="the agent who recorded the acceptance"):
    """The measures of deliveries, on the day they were accepted."""

    accepted: Measure = Measure("deliveries, by acceptance day")
    promised: Measure = Measure("of these, deliveries of deals with a promise")
    kept: Measure = Measure("of these, those that kept time, price and quality")
    in_time: Measure = Measure("of the promised ones, those delivered by the agreed day")
    at_price: Measure = Measure("of the promised ones, those that cost no more than agreed")
    of_quality: Measure = Measure("of the promised ones, those of the agreed quality")


def postings_for(delivery: Delivery, reporting: Reporting) -> list[Posting]:
    """Return the delivery's whole contribution.

    Raise ValueError when its day is outside the calendar, or its price in another currency than the one promised.
    """
    dimensions = DeliveryDimensions(
        region=delivery.region,
        segment=delivery.segment,
        owner=text_of(delivery.agent_id),
        team=text_of(delivery.team_id),
        customer=text_of(delivery.customer_id),
    )
    measures = DeliveryMeasures(accepted=1)
    promise = delivery.promise
    if promise is not None:
        if promise.price.currency != delivery.price.currency:
            raise ValueError(f"a price in {delivery.price.currency} where {promise.price.currency} was agreed on")
        in_time = reporting.day_of(delivery.delivered_at) <= promise.deliver_by
        at_price = delivery.price.minor_units() <= promise.price.minor_units()
        measures = DeliveryMeasures(
            accepted=1,
            promised=1,
            kept=int(in_time and at_price and delivery.quality_as_agreed),
            in_time=int(in_time),
            at_price=int(at_price),
            of_quality=int(delivery.quality_as_agreed),
        )
    return [Posting(reporting.day_of(delivery.accepted_at), dimensions, measures)]
