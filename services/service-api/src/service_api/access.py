"""Who may do what in service, as dependencies of the routes; an admin always may."""

from typing import Annotated, Final

from fastapi import Depends

from service_kit.auth import Principal, requires
from service_kit.dependencies import async_dependency
from service_kit.roles import ROLES
from service_kit.versions import ExpectedVersion

WORKERS: Final = ("service-agent", "service-manager", "importer")

READING: Final = requires(*ROLES)
MANAGING: Final = requires("service-manager", "importer")
"""Also for bulk imports, which may create anything."""

Reader = Annotated[Principal, Depends(READING)]
"""Holds any role."""

Worker = Annotated[Principal, Depends(requires(*WORKERS))]
"""Works with customers: registers them, works on tickets, sends surveys."""

Manager = Annotated[Principal, Depends(MANAGING)]
"""Manages agents, teams, calendars, policies and plans."""

Eraser = Annotated[Principal, Depends(requires("service-manager"))]
"""May erase a customer, which cannot be undone."""

Expected = Annotated[ExpectedVersion, Depends(async_dependency(ExpectedVersion))]
"""The version that the client's `If-Match` allows."""
