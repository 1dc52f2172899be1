"""What the routes of sales take from a request."""

from typing import Annotated

from fastapi import Depends, Request

from service_kit.dependencies import async_dependency


def _reporting_currency(request: Request) -> str:
    currency: str = request.app.state.settings.reporting_currency
    return currency


ReportingCurrency = Annotated[str, Depends(async_dependency(_reporting_currency))]
