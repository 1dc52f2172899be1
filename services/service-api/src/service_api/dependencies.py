"""What the routes of service take from a request."""

from typing import Annotated

from fastapi import Depends

from service_kit.dependencies import async_dependency
from service_kit.versions import ExpectedVersion

Expected = Annotated[ExpectedVersion, Depends(async_dependency(ExpectedVersion))]
"""The version that the client's `If-Match` allows."""
