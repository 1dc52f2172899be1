"""Who may do what in service, as dependencies of the routes; an admin always may."""

from typing import Annotated, Final

from fastapi import Depends

from service_kit.auth import ROLES, Principal, requires
from service_kit.dependencies import in_loop
from service_kit.versions import ExpectedVersion

WORKERS: Final = ("service-agent", "service-manager", "importer")

Reader = Annotated[Principal, Depends(requires(*ROLES))]
"""Anybody with a role."""

Worker = Annotated[Principal, Depends(requires(*WORKERS))]
"""Who works with customers: registers them, works on tickets, sends surveys."""

Manager = Annotated[Principal, Depends(requires("service-manager", "importer"))]
"""Who says who works here."""

IMPORTING: Final = requires("service-manager", "importer")
"""Who may enter many records at once: whoever may enter each of them."""

Eraser = Annotated[Principal, Depends(requires("service-manager"))]
"""Who may forget a customer, which nobody can take back."""

Expected = Annotated[ExpectedVersion, Depends(in_loop(ExpectedVersion))]
"""The version that the client's `If-Match` allows."""
