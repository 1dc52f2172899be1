"""What a deal contributes: to the pipeline while it is open, on the day of its closing, and in shares by product."""

from datetime import datetime
from typing import NamedTuple

from event_contracts.sales import Deal, DealLine, Stage
from metrics_worker.domain.histogram import bucket_of
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.posting import Posting, Reporting, seconds_between, text_of

CHANCE_PERCENT = {"prospecting": 10, "qualification": 20, "presentation": 40, "proposal": 60, "negotiation": 80}
"""How likely a deal is to be won from each stage; the weights of the weighted pipeline."""
STAGES = tuple(CHANCE_PERCENT)
"""The open stages, in order."""


class DealDimensions(NamedTuple):
    """The dimensions of deals. `product` is only set on shares, `stage` only on what happens in a stage."""

    region: str | None
    segment: str | None
    product: str | None
    channel: str | None
    owner: str | None
    team: str | None
    customer: str | None
    stage: str | None = None


CLOSING = ("stage",)
PIPELINE = ("product",)


class DealMeasures(
    Measures, kind="deal", credit="the deal's owner: of a closed deal, who closed it, unless amended since"
):
    """The measures of deals. A deal with several products counts once under each of them."""

    won: Measure = Measure("won deals, by closing day", not_by=CLOSING)
    lost: Measure = Measure("lost deals, by closing day", not_by=CLOSING)
    revenue: Measure = Measure(
        "value of won deals at the rate frozen at closing, by closing day",
        unit="money",
        not_by=CLOSING,
        is_shared=True,
    )
    units: Measure = Measure("units in won deals, by closing day", not_by=CLOSING, is_shared=True)
    cycle_seconds: Measure = Measure(
        "time from opening to winning, by closing day",
        unit="seconds",
        counted_by=won,
        not_by=CLOSING,
    )
    upsell_won: Measure = Measure("won deals suggested by a service agent, by closing day", not_by=CLOSING)
    upsell_revenue: Measure = Measure(
        "value of won deals suggested by a service agent, by closing day",
        unit="money",
        not_by=CLOSING,
        is_shared=True,
    )
    pipeline_deals: Measure = Measure("open deals", semi_additive=True, not_by=PIPELINE)
    pipeline_value: Measure = Measure(
        "value of open deals, where known", unit="money", semi_additive=True, not_by=PIPELINE
    )
    pipeline_weighted: Measure = Measure(
        "value of open deals × weight of their stage", unit="money", semi_additive=True, not_by=PIPELINE
    )
    entered: Measure = Measure("stages entered for the first time, by day of entry", not_by=PIPELINE)
    advanced: Measure = Measure(
        "of these, stages from which the deal moved on to a later one or is won, by day of entry",
        not_by=PIPELINE,
    )


def postings_for(deal: Deal, reporting: Reporting) -> list[Posting]:
    """Return the deal's whole contribution.

    Raise ValueError when a closed deal lacks its time, or a won one its worth in the reporting currency.
    """
    whole = DealDimensions(
        region=deal.region,
        segment=deal.segment,
        product=None,
        channel=deal.channel,
        owner=text_of(deal.owner_id),
        team=text_of(deal.team_id),
        customer=text_of(deal.account_id),
    )
    if deal.stage in ("won", "lost") and deal.closed_at is None:
        raise ValueError(f"a deal that is {deal.stage} lacks the time it was closed at")
    stays = stays_of(deal)
    return (
        _closing(deal, whole, reporting) + _pipeline(deal, whole, stays, reporting) + _stages(whole, stays, reporting)
    )


class Stay(NamedTuple):
    """A deal's time in one stage, which is None where it is not known."""

    stage: Stage | None
    since: datetime
    until: datetime | None


def stays_of(deal: Deal) -> list[Stay]:
    """Return a deal's stays in its stages, in order of time; won and lost are stages too where they are known."""
    if not deal.stage_entries:
        return [Stay(deal.stage if deal.closed_at is None else None, deal.opened_at, deal.closed_at)]
    entries = sorted(deal.stage_entries, key=lambda entry: entry.entered_at)
    ends = [entry.entered_at for entry in entries[1:]]
    return [Stay(entry.stage, entry.entered_at, until) for entry, until in zip(entries, [*ends, None], strict=True)]


def _pipeline(deal: Deal, whole: DealDimensions, stays: list[Stay], reporting: Reporting) -> list[Posting]:
    worth = worth_of(deal, reporting)
    postings = []
    for stay in stays:
        if stay.stage in ("won", "lost"):
            continue
        dimensions = whole._replace(stage=stay.stage)
        weighted = worth * CHANCE_PERCENT.get(stay.stage or "", 0) // 100
        opened = DealMeasures(pipeline_deals=1, pipeline_value=worth, pipeline_weighted=weighted)
        postings.append(Posting(reporting.day_of(stay.since), dimensions, opened))
        if stay.until is not None:
            closed = DealMeasures(*(-amount for amount in opened))
            postings.append(Posting(reporting.day_of(stay.until), dimensions, closed))
    return postings


def worth_of(deal: Deal, reporting: Reporting) -> int:
    """Return a deal's worth in minor units of the reporting currency; 0 for an open one without an exchange rate."""
    for amount in (deal.reporting_amount, deal.estimated_reporting_amount, deal.amount):
        if amount is not None and amount.currency == reporting.currency:
            return reporting.minor_units(amount)
    return 0


def _stages(whole: DealDimensions, stays: list[Stay], reporting: Reporting) -> list[Posting]:
    entered: dict[Stage, int] = {}
    for place, stay in enumerate(stays):
        if stay.stage in STAGES:
            entered.setdefault(stay.stage, place)
    return [
        Posting(
            reporting.day_of(stays[place].since),
            whole._replace(stage=stage),
            DealMeasures(
                entered=1, advanced=int(any(_rank(later) > STAGES.index(stage) for later in stays[place + 1 :]))
            ),
        )
        for stage, place in entered.items()
    ]


def _rank(stay: Stay) -> int:
    # A deal that was reopened has not been won after all.
    if stay.stage == "won" and stay.until is None:
        return len(STAGES)
    return STAGES.index(stay.stage) if stay.stage in STAGES else -1


def _closing(deal: Deal, whole: DealDimensions, reporting: Reporting) -> list[Posting]:
    if deal.closed_at is None or deal.stage not in ("won", "lost"):
        return []
    day = reporting.day_of(deal.closed_at)
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
    cycle = seconds_between(deal.opened_at, deal.closed_at)
    buckets = (bucket_of(cycle),)
    upsell = int(deal.upsell_suggestion_id is not None)

    def won(revenue: int, units: int) -> DealMeasures:
        return DealMeasures(
            won=1,
            revenue=revenue,
            units=units,
            cycle_seconds=cycle,
            upsell_won=upsell,
            upsell_revenue=upsell * revenue,
        )

    measures = won(reporting.minor_units(deal.reporting_amount), sum(line.quantity for line in deal.lines))
    if not lines:
        return [Posting(day, whole, measures, buckets=buckets), Posting(day, whole, measures, True, buckets)]
    return [Posting(day, whole, measures, buckets=buckets)] + [
        Posting(
            day,
            whole._replace(product=product),
            won(sum(line_revenue(line, reporting) for line in of_product), sum(line.quantity for line in of_product)),
            True,
            buckets,
        )
        for product, of_product in lines.items()
    ]


def line_revenue(line: DealLine, reporting: Reporting) -> int:
    """Return the worth of a line of a won deal, in minor units. Raise ValueError where it is not known."""
    if line.reporting_amount is None:
        raise ValueError("a line of a won deal lacks its worth in the reporting currency")
    return reporting.minor_units(line.reporting_amount)
