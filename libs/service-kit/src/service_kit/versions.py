"""Versions of an aggregate over HTTP: `ETag` on every answer, `If-Match` against lost updates."""

import re
from typing import Annotated

from fastapi import Depends, Request, Response

from service_kit.dependencies import async_dependency
from service_kit.problems import PreconditionFailed, Unprocessable

_ETAGS = re.compile(r'(W/)?"[0-9a-z]{1,32}"(,[ ]?(W/)?"[0-9a-z]{1,32}"){0,9}', re.ASCII)


def etag_of(version: int | str) -> str:
    """Return the strong entity tag of a version."""
    return f'"{version}"'


def set_etag(response: Response, version: int) -> None:
    """Set the answer's ETag to the version that it shows."""
    response.headers["ETag"] = etag_of(version)


def unchanged(request: Request, version: int | str) -> Response | None:
    """Return an answer 304 when the client's `If-None-Match` names this version, else None."""
    tags = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag_of(version) not in tags:
        return None
    return Response(status_code=304, headers={"ETag": etag_of(version)})


class ExpectedVersion:
    """What the client's `If-Match` allows; used as a dependency, checked by the use case under the row's lock."""

    def __init__(self, request: Request) -> None:
        value: str | None = request.headers.get("if-match")
        if value is not None and value != "*" and not _ETAGS.fullmatch(value):
            raise Unprocessable('If-Match must be an ETag that this API gave, such as "3", or *.')
        self._value = value

    def check(self, version: int) -> None:
        """Raise `PreconditionFailed` (412) when the client has seen another version than this one."""
        if self._value is None or self._value == "*":
            return
        # A weak tag never matches If-Match (RFC 9110, section 13.1.1).
        if etag_of(version) not in [tag.strip() for tag in self._value.split(",")]:
            raise PreconditionFailed("Read it again, merge your change, and send it with the new ETag.")


Expected = Annotated[ExpectedVersion, Depends(async_dependency(ExpectedVersion))]
"""The version that the client's `If-Match` allows."""
