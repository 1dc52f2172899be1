"""A client of the HTTP APIs that retries while they are busy or away, and separates refusals from failures."""

import asyncio
import json
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp

from tandem_cli.problem import StackProblem

PATIENCE = 120.0
"""Seconds of trying again before a request is given up, while the API is away or fails."""
ANSWER_SECONDS = 30.0
"""How long the answer of a request may take, where single records are read and written."""
IMPORT_SECONDS = 900.0
"""The same of an import: to break it off would undo what is done of it, and begin anew."""

_TRY_AGAIN = frozenset({429, 502, 503, 504})
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0
_BUSY: Final = frozenset({"overloaded", "rate-exceeded", "idempotency-key-in-use"})
"""Problems of an API that is well, and serves others first or is still at it: an answer will come, however late."""


class Refused(Exception):
    """The API will not do it: the request's fault, or the state's. `slug` names the problem."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.slug = str(problem.get("type", "")).removeprefix("urn:tandem:problem:")
        self.problem = problem
        # The detail of a request that is not valid only refers to the errors.
        message = "; ".join(f"{place} {what}" for place, what in self.errors) or problem.get("detail", "")
        super().__init__(f"{problem.get('title', status)}: {message}".strip(": "))

    @property
    def errors(self) -> list[tuple[str, str]]:
        """The fields that are wrong, as (pointer, detail)."""
        found = self.problem.get("errors")
        return [(str(one["pointer"]), str(one["detail"])) for one in found] if isinstance(found, list) else []


@dataclass(frozen=True)
class Answer:
    """The API's answer; `replayed` when it had processed the same request before."""

    status: int
    body: Any
    replayed: bool


class Api:
    """One API at `url`, with one token. Use it as an async context manager."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        connections: int = 16,
        patience: float = PATIENCE,
        answer_seconds: float = ANSWER_SECONDS,
        on_busy: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_busy` is called with the reason, whenever a request has to wait for its turn."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise StackProblem(f"{url} is not an address such as http://127.0.0.1:8001.")
        self.url = url.rstrip("/")
        self.retries = 0
        self._patience = patience
        self._answer_seconds = answer_seconds
        self._on_busy = on_busy
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=30),
            timeout=_limits(self._answer_seconds),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None  # noqa: S101 - entered before
        await self._session.close()

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The JSON at `/v1/<path>`. Raises Refused, or StackProblem when the API stays away."""
        return (await self._request("GET", path, params=params)).body

    async def post(self, path: str, body: Mapping[str, Any], *, key: str) -> Answer:
        """Sends a write, again if need be: its idempotency `key` sees to it that it is done once."""
        return await self._request("POST", path, body=body, key=key)

    async def import_rows(
        self, rows: Sequence[Mapping[str, Any]], *, key: str | None = None, ids_of: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """What became of each row of a bulk import, the good ones being imported whatever the others are.

        It is waited for and not sent beside itself: where the answer is lost, a repeat under the same key waits for the
        first one. Without a `key`, a later run may send the rows again, so each must have a reference or a code by
        which it is known. `ids_of` are resources of which the ids of rows' records are wanted.
        """
        lines = "\n".join(json.dumps(row) for row in rows).encode()
        # Its own: the same rows may have another outcome another time, once a missing exchange rate is there.
        key = key or str(uuid.uuid4())
        params = {"mode": "best-effort"} | ({"ids_of": ",".join(ids_of)} if ids_of else {})
        answer = await self._request("POST", "imports", lines=lines, key=key, params=params)
        return list(answer.body["rows"])

    async def patch(self, path: str, body: Mapping[str, Any], *, key: str) -> Answer:
        """Like `post`, for a partial update."""
        return await self._request("PATCH", path, body=body, key=key)

    async def put(self, path: str, body: Mapping[str, Any], *, key: str) -> Answer:
        """Like `post`, for what is set at its own address."""
        return await self._request("PUT", path, body=body, key=key)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        lines: bytes | None = None,
        key: str | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        assert self._session is not None  # noqa: S101 - entered before
        headers = {"Idempotency-Key": key} if key else {}
        if lines is not None:
            headers["Content-Type"] = "application/x-ndjson"
        limits = _limits(self._answer_seconds if lines is None else IMPORT_SECONDS)
        end: float | None = None
        wait = _FIRST_WAIT
        while True:
            asked_wait = 0.0
            is_busy = False
            try:
                async with self._session.request(
                    method,
                    f"{self.url}/v1/{path}",
                    json=body,
                    data=lines,
                    params=params,
                    headers=headers,
                    timeout=limits,
                ) as response:
                    if response.status < 400:
                        replayed = response.headers.get("idempotent-replayed") == "true"
                        return Answer(response.status, await response.json(), replayed)
                    problem = await _problem(response)
                    failure = Refused(response.status, problem)
                    is_busy = failure.slug in _BUSY
                    if response.status not in _TRY_AGAIN and not is_busy:
                        raise failure
                    asked_wait = _seconds(response.headers.get("Retry-After"))
                    reason = str(failure)
            except (aiohttp.ClientError, TimeoutError) as error:
                reason = str(error) or type(error).__name__
            self.retries += 1
            if is_busy:
                self._on_busy(reason)
                end, wait = None, _FIRST_WAIT
            # From the first failure on, for an answer may be lost after a long time.
            end = end or time.monotonic() + self._patience
            # Apart from one another, so that all who were turned away do not come back at the same moment.
            pause = max(asked_wait, wait) * random.uniform(1.0, 1.3)
            if time.monotonic() + pause > end:
                raise StackProblem(f"{self.url} did not answer for {self._patience:.0f} s: {reason}")
            await asyncio.sleep(pause)
            wait = min(wait * 2, _LONGEST_WAIT)


def _limits(answer_seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=answer_seconds, connect=10)


async def _problem(response: aiohttp.ClientResponse) -> Mapping[str, Any]:
    try:
        problem = await response.json(content_type=None)
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {"title": response.reason or "failed", "status": response.status}


def _seconds(retry_after: str | None) -> float:
    """The header's seconds; its other form, a date, is treated as absent, for our own pace is polite enough."""
    return min(float(retry_after), 60.0) if retry_after and retry_after.isdigit() else 0.0
