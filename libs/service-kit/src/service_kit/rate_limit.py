"""Rate limits: how often one subject or one address may send requests, each process by itself."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from service_kit.problems import Problem

MAX_KEYS: Final = 20_000
"""Keys that are remembered, the latest ones; one that was forgotten begins anew."""
ROUNDING: Final = 1e-6
"""How far a difference of two readings of the clock may be off; their last bit depends on how long the host is up."""


class RateExceeded(Problem):
    """A subject or an address sends more than its rate."""

    status, slug, title = 429, "rate-exceeded", "Too many requests"


class Allowance(NamedTuple):
    """What is left of a rate, as `RateLimit` and `RateLimit-Policy` name it (draft-ietf-httpapi-ratelimit-headers)."""

    name: str
    quota: int
    window: int
    remaining: int
    reset: int
    """Seconds until the whole quota is there again; of one that is used up, until the next request."""

    def headers(self) -> list[tuple[str, str]]:
        """Return both headers."""
        return [
            ("ratelimit-policy", f'"{self.name}";q={self.quota};w={self.window}'),
            ("ratelimit", f'"{self.name}";r={self.remaining};t={self.reset}'),
        ]


class RateLimit:
    """So many requests a second of each key, and `burst` of them at once, by the generic cell rate algorithm.

    A key's state is one number: when its quota is whole again. `now` is a clock in seconds.
    """

    def __init__(self, name: str, per_second: float, burst: int, now: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._burst = burst
        self._interval = 1 / per_second
        self._window = burst * self._interval
        self._now = now
        self._whole_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str) -> Allowance:
        """Count one request of the key, and return what is left. Raise `RateExceeded`."""
        now = self._now()
        whole_at = max(self._whole_at.get(key, now), now) + self._interval
        excess = whole_at - now - self._window
        if excess > ROUNDING:
            wait = _whole_seconds(excess)
            headers = dict(self._allowance(0, wait).headers())
            detail = (
                f"Send at most {1 / self._interval:g} requests a second, {self._burst} at once; the next in {wait} s."
            )
            raise RateExceeded(detail, headers=headers | {"Retry-After": str(wait)})
        self._whole_at[key] = whole_at
        self._whole_at.move_to_end(key)
        if len(self._whole_at) > MAX_KEYS:
            self._whole_at.popitem(last=False)
        left = whole_at - now
        return self._allowance(int((self._window - left) / self._interval + ROUNDING), _whole_seconds(left))

    def _allowance(self, remaining: int, reset: int) -> Allowance:
        return Allowance(self._name, self._burst, max(round(self._window), 1), remaining, reset)


def _whole_seconds(seconds: float) -> int:
    """Return the whole seconds after which so many are surely over; at least one."""
    return max(math.ceil(seconds - ROUNDING), 1)
