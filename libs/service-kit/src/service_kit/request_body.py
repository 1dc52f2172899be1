"""The body of a request, read whole before anything is done for it: a slow client holds nothing but its own bytes."""

from typing import Final

from starlette.types import Receive, Scope

from service_kit.problems import BodyTooLarge, Overloaded

SMALL_BYTES: Final = 64 * 1024
"""A body of this size is always taken: it fits into a connection's buffer."""
BUFFERED_BYTES: Final = 64 * 1024 * 1024
"""What all larger bodies that are under way may take together."""

_NO_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class ClientGone(Exception):
    """The client went away before all of its body had arrived, or was cut off."""


class BodyReader:
    """Reads bodies within the limits of one and of all."""

    def __init__(self, max_bytes: int, *, buffered_bytes: int = BUFFERED_BYTES) -> None:
        self._max_bytes = max_bytes
        self._buffered_bytes = buffered_bytes
        self._buffered = 0

    async def read(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body. Raise `BodyTooLarge` as soon as it is known to be, `Overloaded`, or `ClientGone`."""
        declared = _declared(scope)
        if declared == 0:
            return b""
        if declared is not None and declared > self._max_bytes:
            raise self._too_large()
        chunks: list[bytes] = []
        size = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunk: bytes = message.get("body", b"")
                chunks.append(chunk)
                size += len(chunk)
                self._buffered += len(chunk)
                if size > self._max_bytes:
                    raise self._too_large()
                if size > SMALL_BYTES and self._buffered > self._buffered_bytes:
                    raise Overloaded("Too many large bodies arrive at once. Send the same request again shortly.")
                if not message.get("more_body", False):
                    return chunk if len(chunks) == 1 else b"".join(chunks)
        finally:
            self._buffered -= size

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"Send at most {self._max_bytes} bytes at once.")


def _declared(scope: Scope) -> int | None:
    """Return the body's size as its headers declare it, None when they do not. The server has checked them."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
        if name == b"transfer-encoding":
            return None
    return 0 if scope["method"] in _NO_BODY else None
