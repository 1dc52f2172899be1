"""New identifiers: UUIDv7, so that rows and events sort by when they were made."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import uuid_utils.compat

_BITS_AFTER_TIME: Final = 80
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def new_id() -> UUID:
    """A fresh UUIDv7 (RFC 9562)."""
    return uuid_utils.compat.uuid7()


def moment_of(identifier: UUID) -> datetime:
    """Return when a UUIDv7 was made, to the millisecond."""
    return datetime.fromtimestamp((identifier.int >> _BITS_AFTER_TIME) / 1000, UTC)


def first_id_at(moment: datetime) -> UUID:
    """Return a bound: UUIDv7s that were made at the moment or later, to the millisecond, are not below it."""
    milliseconds = -((_EPOCH - moment) // timedelta(milliseconds=1))
    return UUID(int=max(milliseconds, 0) << _BITS_AFTER_TIME)
