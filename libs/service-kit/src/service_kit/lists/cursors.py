"""Cursors: places in a list as texts, each valid for the list, the order and the filters that it was issued for."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec

from service_kit.lists.sorting import Position, Sort

MAX_LENGTH: Final = 1_000
PAGE_PARAMETERS: Final = frozenset({"limit", "cursor", "total", "include"})
"""What may differ from page to page."""
_CHECK_BYTES: Final = 6
_START_OVER: Final = "start without a cursor"


class WrongCursor(Exception):
    """The cursor is of no use here; the message says why, and what to do."""


class _Content(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    sort: str
    filters: bytes
    value: str | None
    id: bytes


@dataclass(frozen=True)
class CursorScope:
    """The list, with its filters, that cursors belong to."""

    path: str
    filters: bytes

    @classmethod
    def of(cls, path: str, query: Mapping[str, Sequence[str]]) -> "CursorScope":
        """Return that of a request, by the values of each parameter."""
        without = PAGE_PARAMETERS | {"sort"}
        given = sorted((name, value) for name, values in query.items() if name not in without for value in values)
        return cls(path, hashlib.blake2b(repr(given).encode(), digest_size=_CHECK_BYTES).digest())

    def write(self, sort: str, position: Position) -> str:
        """Return the cursor of a position under an order."""
        value = None if position.value is None else str(position.value)
        content = msgspec.msgpack.encode(_Content(sort, self.filters, value, position.id.bytes))
        return base64.urlsafe_b64encode(self._check(content) + content).decode().rstrip("=")

    def read(self, cursor: str, sorts: Mapping[str, Sort], sort: str) -> Position:
        """Return the position of a cursor under an order. Raise `WrongCursor`."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            content = msgspec.msgpack.decode(raw[_CHECK_BYTES:], type=_Content)
            identity = UUID(bytes=content.id)
        except ValueError:
            raise WrongCursor(f"is no cursor that this API gave; {_START_OVER}") from None
        if raw[:_CHECK_BYTES] != self._check(raw[_CHECK_BYTES:]):
            raise WrongCursor(f"is a cursor of another list; {_START_OVER}")
        if content.sort != sort:
            raise WrongCursor(f"is a cursor of this list under another sort; keep the sort, or {_START_OVER}")
        if content.filters != self.filters:
            raise WrongCursor(f"is a cursor of this list with other filters; keep them, or {_START_OVER}")
        try:
            return Position(self._parsed(sorts, sort, content.value), identity)
        except ValueError:
            raise WrongCursor(f"is no cursor that this API gave; {_START_OVER}") from None

    def _parsed(self, sorts: Mapping[str, Sort], sort: str, value: str | None) -> Any:
        if sort in sorts:
            return sorts[sort].parse(value) if sorts[sort].column != "id" else None
        # By relevance.
        return int(value or "")

    def _check(self, content: bytes) -> bytes:
        return hashlib.blake2b(self.path.encode() + content, digest_size=_CHECK_BYTES).digest()
