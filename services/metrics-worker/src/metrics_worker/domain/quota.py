"""What a quota contributes: its target, spread over the days of its period, so that any part of it can be queried."""

from datetime import timedelta
from itertools import pairwise
from typing import NamedTuple

from event_contracts.sales import Quota
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.posting import Posting, Reporting, text_of

MAX_DAYS = 3_660
"""A longer period is refused: ten years of days, each a posting, is what one quota may cost."""


class QuotaDimensions(NamedTuple):
    """The dimensions of quotas."""

    owner: str | None
    team: str | None


class QuotaMeasures(Measures, kind="quota", credit="whose quota it is"):
    """The measures of quotas."""

    target: Measure = Measure("quota targets, spread evenly over the days of their period", unit="money")


def spread(total: int, days: int) -> list[int]:
    """Return `total` in `days` whole parts, such that the first k of them sum to floor(total · k / days)."""
    ends = [total * k // days for k in range(days + 1)]
    return [end - start for start, end in pairwise(ends)]


def postings_for(quota: Quota, reporting: Reporting) -> list[Posting]:
    """Return one posting a day of the period, both ends included.

    Raise ValueError when the period is empty or longer than ten years, or the target in a foreign currency.
    """
    first = reporting.within_calendar(quota.period_start)
    days = (reporting.within_calendar(quota.period_end) - first).days + 1
    if not 1 <= days <= MAX_DAYS:
        raise ValueError(f"a period of {days} days; a quota covers 1 to {MAX_DAYS}")
    dimensions = QuotaDimensions(owner=text_of(quota.rep_id), team=text_of(quota.team_id))
    parts = spread(reporting.minor_units(quota.target), days)
    return [
        Posting(first + timedelta(days=number), dimensions, QuotaMeasures(target=part))
        for number, part in enumerate(parts)
    ]
