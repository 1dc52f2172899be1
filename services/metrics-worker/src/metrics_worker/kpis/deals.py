"""What a deal contributes, once it is closed, on the day of its closing; as a whole and in shares by product."""

from typing import Annotated, NamedTuple

from event_contracts.sales import Deal, DealLine
from metrics_worker.kpis.posting import Measure, Posting, Reporting, text_of


class DealDimensions(NamedTuple):
    """What deals are told apart by. `product` is only set on shares."""

    region: str | None
    segment: str | None
    product: str | None
    channel: str | None
    owner: str | None
    team: str | None
    customer: str | None


class DealMeasures(NamedTuple):
    """What is summed of deals. A deal with several products counts once under each of them."""

    won: Annotated[int, Measure("won deals, on the day they were closed")] = 0
    lost: Annotated[int, Measure("lost deals, on the day they were closed")] = 0
    revenue: Annotated[
        int,
        Measure("what won deals are worth at the rate frozen on closing, on the day they were closed", unit="money"),
    ] = 0
    units: Annotated[int, Measure("pieces sold in won deals, on the day they were closed")] = 0


def postings_for(deal: Deal, reporting: Reporting) -> list[Posting]:
    """The deal's whole contribution: none while it is open.

    Raises ValueError when a closed deal lacks its time, or a won one its worth in the reporting currency.
    """
    if deal.stage not in ("won", "lost"):
        return []
    if deal.closed_at is None:
        raise ValueError(f"a deal that is {deal.stage} lacks the time it was closed at")
    day = reporting.day_of(deal.closed_at)
    whole = DealDimensions(
        region=deal.region,
        segment=deal.segment,
        product=None,
        channel=deal.channel,
        owner=text_of(deal.owner_id),
        team=text_of(deal.team_id),
        customer=text_of(deal.account_id),
    )
    lines: dict[str | None, list[DealLine]] = {}
    for line in deal.lines:
        lines.setdefault(line.product, []).append(line)
    # A deal without lines still belongs to a group when grouped by product: the one without a product.
    products = list(lines) or [None]
    if deal.stage == "lost":
        lost = DealMeasures(lost=1)
        shares = [Posting(day, whole._replace(product=product), lost, split=True) for product in products]
        return [Posting(day, whole, lost), *shares]
    if deal.reporting_amount is None:
        raise ValueError("a won deal lacks its worth in the reporting currency")
    revenue = reporting.minor_units(deal.reporting_amount)
    measures = DealMeasures(won=1, revenue=revenue, units=sum(line.quantity for line in deal.lines))
    if not lines:
        return [Posting(day, whole, measures), Posting(day, whole, measures, split=True)]
    return [Posting(day, whole, measures)] + [
        Posting(
            day,
            whole._replace(product=product),
            DealMeasures(
                won=1,
                revenue=sum(_line_revenue(line, reporting) for line in of_product),
                units=sum(line.quantity for line in of_product),
            ),
            split=True,
        )
        for product, of_product in lines.items()
    ]


def _line_revenue(line: DealLine, reporting: Reporting) -> int:
    if line.reporting_amount is None:
        raise ValueError("a line of a won deal lacks its worth in the reporting currency")
    return reporting.minor_units(line.reporting_amount)
