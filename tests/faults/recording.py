"""Every request of an experiment and its answers, on disk: the memory of the clients does not grow with them."""

import json
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.business import Attempt
from tests.load.report import percentile

LATER = (429, 503)
OVERLOADED = "urn:tandem:problem:overloaded"


@dataclass
class Request:
    """A write with all its tries. Unanswered, it may have had its effect or not."""

    api: str
    method: str
    path: str
    body: dict[str, Any] | None
    began_at: float = 0.0
    """Seconds since the epoch, of the first try."""
    answer: Any = None
    """Of a 2xx."""
    refused: bool = False
    """Answered with a refusal that is final: it had no effect."""

    @property
    def answered(self) -> bool:
        return self.answer is not None

    @property
    def may_have_happened(self) -> bool:
        return not self.refused


class Recording:
    """Gets every try of every request."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("w")
        self.statuses: Counter[int] = Counter()
        self.failed: Counter[int] = Counter()
        """Of these, 500 and above, but for what sheds load: a busy host does that whatever the fault."""
        self.failures: Counter[str] = Counter()
        self.faults: list[str] = []
        """Answers that no client may get."""
        self._seconds = array("f")
        self._accepted = array("f")
        self.longest = 0.0
        """Seconds of the slowest try, answered or not."""

    def add(self, attempt: Attempt) -> None:
        """Record a try."""
        self._file.write(json.dumps(asdict(attempt)) + "\n")
        self.longest = max(self.longest, attempt.seconds)
        if attempt.status is None:
            self.failures[attempt.error or "?"] += 1
            return
        self.statuses[attempt.status] += 1
        if attempt.status >= 500 and (attempt.answer or {}).get("type") != OVERLOADED:
            self.failed[attempt.status] += 1
        self._seconds.append(attempt.seconds)
        if attempt.status < 300:
            self._accepted.append(attempt.seconds)
        if attempt.status in LATER and not attempt.retry_after:
            self.faults.append(f"{attempt.status} without Retry-After: {attempt.method} {attempt.path}")
        if attempt.status >= 500 and attempt.status not in LATER:
            self.faults.append(f"{attempt.status}: {attempt.method} {attempt.path}: {attempt.answer}")

    def p99(self) -> float:
        """Return the 99th percentile of the seconds until an answer."""
        return percentile(list(self._seconds), 99) if self._seconds else 0.0

    def p99_accepted(self) -> float:
        """Return the same of requests that were answered with 2xx."""
        return percentile(list(self._accepted), 99) if self._accepted else 0.0

    def requests(self) -> Iterator[Request]:
        """Yield all requests."""
        self._file.flush()
        requests: dict[str, Request] = {}
        with self.path.open() as file:
            for line in file:
                attempt = Attempt(**json.loads(line))
                request = requests.setdefault(
                    attempt.key,
                    Request(attempt.api, attempt.method, attempt.path, attempt.body, attempt.began_at),
                )
                if request.answered:
                    continue
                if attempt.status is None:
                    request.refused = False
                elif attempt.status < 300:
                    request.answer = attempt.answer
                else:
                    # What is refused for now is sent again; what came of that counts.
                    request.refused = attempt.status not in LATER and not is_retried(attempt)
        yield from requests.values()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def is_retried(attempt: Attempt) -> bool:
    """Return whether the same request may yet succeed, or already has."""
    return attempt.status == 409 and str(attempt.answer.get("type")).endswith(":idempotency-key-in-use")
