"""How often a key may come, by a clock of the test's own."""

import pytest

from service_kit import rate_limit
from service_kit.rate_limit import RateExceeded, RateLimit


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def admitted(limit: RateLimit, key: str, times: int) -> int:
    """Return how many of so many requests were admitted."""
    number = 0
    for _ in range(times):
        try:
            limit.take(key)
        except RateExceeded:
            continue
        number += 1
    return number


def test_a_burst_is_admitted_and_then_the_rate(clock: Clock) -> None:
    limit = RateLimit("subject", per_second=2, burst=10, now=clock)
    assert admitted(limit, "a", 100) == 10
    clock.now += 3
    assert admitted(limit, "a", 100) == 6
    clock.now += 3600
    assert admitted(limit, "a", 100) == 10


def test_keys_do_not_share_their_rate(clock: Clock) -> None:
    limit = RateLimit("subject", per_second=1, burst=1, now=clock)
    assert admitted(limit, "a", 2) == 1
    assert admitted(limit, "b", 2) == 1


def test_each_request_gets_the_remaining_number(clock: Clock) -> None:
    limit = RateLimit("subject", per_second=1, burst=3, now=clock)
    assert [limit.take("a").remaining for _ in range(3)] == [2, 1, 0]
    clock.now += 1
    left = limit.take("a")
    assert (left.remaining, left.quota, left.window) == (0, 3, 3)
    assert dict(left.headers()) == {"ratelimit": '"subject";r=0;t=3', "ratelimit-policy": '"subject";q=3;w=3'}


def test_a_refusal_names_when_the_next_request_is_admitted(clock: Clock) -> None:
    limit = RateLimit("subject", per_second=0.1, burst=1, now=clock)
    limit.take("a")
    with pytest.raises(RateExceeded) as refused:
        limit.take("a")
    wait = int(refused.value.headers["Retry-After"])
    clock.now += wait
    assert limit.take("a").remaining == 0
    assert refused.value.headers["ratelimit"] == f'"subject";r=0;t={wait}'


@pytest.mark.parametrize("started", [0.1, 1234.567891, 86_400.3, 987_654.321987])
def test_the_seconds_do_not_depend_on_how_long_the_host_is_up(started: float) -> None:
    limit = RateLimit("subject", per_second=0.01, burst=1, now=lambda: started)
    assert limit.take("a").reset == 100
    with pytest.raises(RateExceeded) as refused:
        limit.take("a")
    assert refused.value.headers["Retry-After"] == "100"


def test_requests_that_are_refused_do_not_count(clock: Clock) -> None:
    limit = RateLimit("subject", per_second=1, burst=1, now=clock)
    assert admitted(limit, "a", 1000) == 1
    clock.now += 1
    assert admitted(limit, "a", 1) == 1


def test_only_the_latest_keys_are_remembered(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "MAX_KEYS", 3)
    limit = RateLimit("address", per_second=1, burst=1, now=clock)
    for key in "abc":
        limit.take(key)
    clock.now += 1
    limit.take("a")
    limit.take("d")  # b is forgotten, which came first of those left
    assert [admitted(limit, key, 1) for key in "acdb"] == [0, 1, 0, 1]
