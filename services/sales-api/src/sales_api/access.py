"""Who may do what in sales, as dependencies of the routes."""

from typing import Annotated, Final

from fastapi import Depends, Request

from service_kit.auth import ROLES, Principal, requires
from service_kit.dependencies import async_dependency
from service_kit.versions import ExpectedVersion

Reader = Annotated[Principal, Depends(requires(*ROLES))]
"""Anybody with a role."""

Seller = Annotated[Principal, Depends(requires("sales-rep", "sales-manager", "importer"))]
"""Who works with customers."""

MANAGING: Final = requires("sales-manager", "importer")
"""Whoever may enter anything that can be entered here, and so many things at once."""

Manager = Annotated[Principal, Depends(MANAGING)]
"""Who keeps the catalogue, the teams, the rates and the quotas."""

Eraser = Annotated[Principal, Depends(requires("sales-manager"))]
"""Who may forget a customer, which nobody can take back."""

Expected = Annotated[ExpectedVersion, Depends(async_dependency(ExpectedVersion))]
"""The version that the client's `If-Match` allows."""


def _reporting_currency(request: Request) -> str:
    currency: str = request.app.state.settings.reporting_currency
    return currency


ReportingCurrency = Annotated[str, Depends(async_dependency(_reporting_currency))]
