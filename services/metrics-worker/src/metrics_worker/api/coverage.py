"""GET /v1/coverage."""

from datetime import date

from pydantic import ConfigDict, Field

from metrics_worker.api.parameters import FirstDay, LastDay, Status
from metrics_worker.queries.coverage import DimensionCoverageRead, UnaskedRead, carried_by, unasked
from metrics_worker.queries.query import period_of
from service_kit.fields import Moment, ReadModel
from service_kit.routing import Work, router

coverage = router("/coverage", "kpis")


class CoverageRead(ReadModel):
    """How complete the dimensions are, and how far surveys reach."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "from": "2026-01-01",
                    "to": "2026-03-31",
                    "timezone": "Europe/Vilnius",
                    "dimensions": [
                        {
                            "dimension": "region",
                            "thin": False,
                            "subjects": [
                                {"subject": "customers", "value": "0.98", "numerator": 490, "denominator": 500}
                            ],
                        }
                    ],
                    "unasked": [
                        {
                            "dimension": "region",
                            "count": 1,
                            "values": [
                                {
                                    "value": "APAC",
                                    "customers": 31,
                                    "deals": 12,
                                    "tickets": 8,
                                    "surveys_sent": 0,
                                    "surveys_answered": 0,
                                }
                            ],
                        }
                    ],
                    "fresh_as_of": "2026-03-31T21:00:00.120000Z",
                }
            ]
        }
    )

    start: date = Field(serialization_alias="from")
    end: date = Field(serialization_alias="to")
    timezone: str
    dimensions: list[DimensionCoverageRead]
    unasked: list[UnaskedRead]
    fresh_as_of: Moment | None


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
