"""Who may do what; admin may always, and every role may read."""

from typing import Annotated

from fastapi import Depends

from service_kit.auth import Principal, requires

WORKERS = ("service-agent", "service-manager", "importer")

Worker = Annotated[Principal, Depends(requires(*WORKERS))]
"""May open and work on tickets, register customers and send surveys."""

Manager = Annotated[Principal, Depends(requires("service-manager", "importer"))]
"""May also say who works here."""
