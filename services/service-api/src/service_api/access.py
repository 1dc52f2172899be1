"""Who may do what in service, as dependencies of the routes; an admin always may."""

from typing import Annotated, Final

from fastapi import Depends

from service_kit.auth import ROLES, Principal, requires
from service_kit.dependencies import async_dependency
from service_kit.versions import ExpectedVersion

WORKERS: Final = ("service-agent", "service-manager", "importer")

Reader = Annotated[Principal, Depends(requires(*ROLES))]
"""Anybody with a role."""

Worker = Annotated[Principal, Depends(requires(*WORKERS))]
"""Who works with customers: registers them, works on tickets, sends surveys."""

MANAGING: Final = requires("service-manager", "importer")
"""Whoever may enter anything that can be entered here, and so many things at once."""

Manager = Annotated[Principal, Depends(MANAGING)]
"""Who says who works here."""

Eraser = Annotated[Principal, Depends(requires("service-manager"))]
"""Who may forget a customer, which nobody can take back."""

Expected = Annotated[ExpectedVersion, Depends(async_dependency(ExpectedVersion))]
"""The version that the client's `If-Match` allows."""
