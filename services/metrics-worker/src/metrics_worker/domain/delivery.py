"""What a delivery contributes on the day the customer accepted it, held against what the deal promised."""

from typing import Annotated, NamedTuple

from event_contracts.service import Delivery
from metrics_worker.domain.posting import Measure, Posting, Reporting, text_of


class DeliveryDimensions(NamedTuple):
    """What deliveries are told apart by; `owner` is the agent."""

    region: str | None
    segment: str | None
    owner: str | None
    team: str | None
    customer: str | None


class DeliveryMeasures(NamedTuple):
    """What is summed of deliveries, on the day they were accepted."""

    accepted: Annotated[int, Measure("deliveries, on the day they were accepted")] = 0
    promised: Annotated[int, Measure("of these, those of deals that were won with a promise")] = 0
    kept: Annotated[int, Measure("of these, those that kept the time, the price and the quality")] = 0
    in_time: Annotated[int, Measure("of the promised ones, those delivered by the day agreed on")] = 0
    at_price: Annotated[int, Measure("of the promised ones, those that cost no more than agreed on")] = 0
    of_quality: Annotated[int, Measure("of the promised ones, those of the quality agreed on")] = 0


def postings_for(delivery: Delivery, reporting: Reporting) -> list[Posting]:
    """The delivery's whole contribution.

    Raises ValueError when its day is outside the calendar, or its price in another currency than the one promised.
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
