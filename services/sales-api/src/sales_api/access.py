"""Who may do what in sales, as dependencies of the routes; an admin always may."""

from typing import Annotated, Final

from fastapi import Depends, Request

from service_kit.auth import Principal, requires
from service_kit.dependencies import async_dependency
from service_kit.roles import ROLES
from service_kit.versions import ExpectedVersion

READING: Final = requires(*ROLES)
MANAGING: Final = requires("sales-manager", "importer")
"""Also for bulk imports, which may create anything."""

Seller = Annotated[Principal, Depends(requires("sales-rep", "sales-manager", "importer"))]
"""Works with customers."""

Manager = Annotated[Principal, Depends(MANAGING)]
"""Manages products, teams, exchange rates and quotas."""

Eraser = Annotated[Principal, Depends(requires("sales-manager"))]
"""May erase a customer, which cannot be undone."""

Expected = Annotated[ExpectedVersion, Depends(async_dependency(ExpectedVersion))]
"""The version that the client's `If-Match` allows."""


def _reporting_currency(request: Request) -> str:
    currency: str = request.app.state.settings.reporting_currency
    return currency


ReportingCurrency = Annotated[str, Depends(async_dependency(_reporting_currency))]
