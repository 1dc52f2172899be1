"""What the three generated clients have in common: problems as errors, idempotency keys, versions, lists by page."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import httpx

__all__ = ["ProblemError", "client_of", "etag_of", "new_key", "records"]

Record = TypeVar("Record")
Client = TypeVar("Client")


class Answer(Protocol):
    """An answer, as the functions `sync_detailed` and `asyncio_detailed` return it."""

    @property
    def headers(self) -> Any:
        """Its headers."""


class ProblemError(Exception):
    """An answer of 4xx or 5xx. Switch on `type` or `slug`, show `detail`, put `errors` beside the fields of a form."""

    def __init__(self, response: httpx.Response) -> None:
        problem = _problem_of(response)
        super().__init__(problem["detail"])
        self.type: str = problem["type"]
        self.title: str = problem["title"]
        self.status: int = problem["status"]
        self.detail: str = problem["detail"]
        self.errors: Sequence[Mapping[str, str]] = problem.get("errors", ())
        """The places in the request that are not valid, each with its `pointer` and `detail`."""
        self.problem: Mapping[str, Any] = problem
        seconds = response.headers.get("Retry-After")
        self.retry_after: int | None = None if seconds is None else int(seconds)
        """Seconds after which the same request may be sent again; None where a repeat would fail again."""
        self.request_id: str | None = response.headers.get("X-Request-Id")
        """Identifies the request in the logs of the service."""

    @property
    def slug(self) -> str:
        """The end of `type`, such as `deal-already-closed`."""
        return self.type.rpartition(":")[2]


def _problem_of(response: httpx.Response) -> dict[str, Any]:
    if response.headers.get("Content-Type", "").startswith("application/problem+json"):
        problem: dict[str, Any] = response.json()
        return problem
    # From a proxy, not from the API.
    words = {"type": "about:blank", "title": response.reason_phrase, "detail": response.text}
    return {**words, "status": response.status_code}


def client_of(kind: Callable[..., Client], url: str, token: str) -> Client:
    """Return a client of one API, whose errors are raised as `ProblemError`.

    `kind` is the class `AuthenticatedClient` of `tandem_client.sales`, `.service` or `.metrics`.
    """

    def check(response: httpx.Response) -> None:
        if response.status_code >= 400:
            response.read()
            raise ProblemError(response)

    async def check_async(response: httpx.Response) -> None:
        if response.status_code >= 400:
            await response.aread()
            raise ProblemError(response)

    client: Any = kind(base_url=url, token=token)
    headers = {"Authorization": f"Bearer {token}"}
    client.set_httpx_client(httpx.Client(base_url=url, headers=headers, event_hooks={"response": [check]}))
    client.set_async_httpx_client(
        httpx.AsyncClient(base_url=url, headers=headers, event_hooks={"response": [check_async]})
    )
    made: Client = client
    return made


def new_key() -> str:
    """Return a new Idempotency-Key: a write that is repeated with the same one changes nothing twice."""
    return str(uuid.uuid4())


def etag_of(answer: Answer) -> str:
    """Return the version that an answer shows, for `if_match` of a change that is based on it. Raise KeyError."""
    etag: str = answer.headers["ETag"]
    return etag


def records(read: Callable[..., Any], kind: type[Record], /, **given: Any) -> Iterator[Record]:
    """Yield every record of a list, page by page: `records(list_deals.sync, DealRead, client=client, region="EMEA")`.

    `read` is the function `sync` of the list, `kind` the type of its records, `given` its client and filters.
    """
    cursor: dict[str, str] = {}
    while True:
        page = read(**given, **cursor)
        for item in page.items:
            assert isinstance(item, kind)  # noqa: S101 -- another list was given
            yield item
        if page.next_cursor is None:
            return
        cursor = {"cursor": page.next_cursor}
