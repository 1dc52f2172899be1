"""GET /v1/coverage."""

from pydantic import Field

from metrics_worker.api.parameters import FirstDay, LastDay, Status
from metrics_worker.queries.coverage import DimensionCoverageRead, UnaskedRead, carried_by, unasked
from metrics_worker.queries.fields import FirstDayRead, FreshAsOf, LastDayRead, TimeZone
from metrics_worker.queries.query import period_of
from service_kit.fields import ReadModel
from service_kit.routing import Work, router

coverage = router("/coverage", "kpis")


class CoverageRead(ReadModel):
    """How complete the dimensions are, and how far surveys reach."""

    start: FirstDayRead = Field(serialization_alias="from")
    end: LastDayRead = Field(serialization_alias="to")
    timezone: TimeZone
    dimensions: list[DimensionCoverageRead]
    """How complete each dimension is."""
    unasked: list[UnaskedRead]
    """The regions, segments and products without surveys, or without answers, by dimension."""
    fresh_as_of: FreshAsOf | None


@coverage.get("")
async def get_coverage(
    work: Work,
    status: Status,
    start: FirstDay = None,
    end: LastDay = None,
) -> CoverageRead:
    """Return the share of customers, leads, deals, tickets and answers that carry each dimension, and the values
    without surveys or answers."""
    period = period_of(start, end, status.reporting)
    connection = await work.connection()
    return CoverageRead(
        start=period.start,
        end=period.end,
        timezone=status.reporting.zone.key,
        dimensions=await carried_by(connection, period),
        unasked=await unasked(connection, period),
        fresh_as_of=status.fresh_as_of,
    )
