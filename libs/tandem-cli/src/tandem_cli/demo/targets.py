"""What the demo's managers aim at: some targets are met and some are missed, so that both can be seen."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final
from uuid import uuid4

from tandem_cli.api import Api
from tandem_cli.demo.company import Company

_SHARES: Final = {
    "win_rate": "0.55",
    "quota_attainment": "1",
    "lead_conversion_rate": "0.15",
    "follow_ups_on_time": "0.9",
    "answered_within_hour?variant=service": "0.8",
    "resolution_rate": "0.9",
    "first_contact_resolution": "0.7",
    "sla_attainment": "0.95",
    "promises_kept": "0.9",
    "net_revenue_retention": "1.05",
}
_TIMES_AND_SCORES: Final = {
    # Minutes, minutes, seconds, and of five.
    "lead_response_minutes": "960",
    "first_response_minutes": "60",
    "average_handle_time": "480",
    "csat?variant=mean": "4.2",
}
_PER_ACCOUNT: Final = {
    "sales_volume": Decimal("0.3"),
    "pipeline_value": Decimal(9000),
    "backlog": Decimal("0.15"),
    "customers_at_risk": Decimal("0.07"),
    "revenue_at_risk": Decimal(2500),
}
"""What grows with the number of customers."""


def targets_of(company: Company) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each target's address below `targets/`, and what is set there, due in each month."""
    accounts = len(company.accounts)
    values = {**_SHARES, **_TIMES_AND_SCORES}
    values |= {kpi: str(round(each * accounts)) for kpi, each in _PER_ACCOUNT.items()}
    # What all salespeople are to sell together.
    values["revenue"] = str(company.quota * len(company.reps))
    for kpi, value in values.items():
        yield kpi, {"value": value, "period": "month"}


async def set_targets(metrics: Api, company: Company) -> None:
    """Set the targets, unless there are any: people change them on the dashboard, and a later run leaves that."""
    if (await metrics.get("targets"))["items"]:
        return
    for kpi, body in targets_of(company):
        await metrics.put(f"targets/{kpi}", body, key=str(uuid4()))
