"""When something happened: who may backdate it, what is impossible, and clocks that differ."""

from datetime import UTC, datetime, timedelta

import pytest

from service_kit.auth import BACKDATING_ROLES, Principal
from service_kit.occurrence import CLOCK_TOLERANCE, OccurredTooEarly, check_follows, happened_at
from service_kit.problems import Forbidden, Unprocessable
from service_kit.roles import ROLES

pytestmark = pytest.mark.clock

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def holder(*roles: str) -> Principal:
    return Principal(subject="someone", roles=frozenset(roles), expires_at=float("inf"))


@pytest.mark.parametrize("role", ROLES)
def test_only_some_roles_may_backdate(role: str) -> None:
    if role in BACKDATING_ROLES:
        assert happened_at(LONG_AGO, holder(role)) == LONG_AGO
    else:
        with pytest.raises(Forbidden):
            happened_at(LONG_AGO, holder(role))


@pytest.mark.parametrize("role", ROLES)
def test_the_default_is_now(role: str) -> None:
    before = datetime.now(UTC)
    assert before <= happened_at(None, holder(role), after=LONG_AGO) <= datetime.now(UTC)


def test_now_is_never_before_what_a_faster_clock_has_recorded() -> None:
    ahead = datetime.now(UTC) + timedelta(seconds=30)
    assert happened_at(None, holder("service-agent"), after=ahead) == ahead


def test_a_time_that_is_given_is_not_moved() -> None:
    assert happened_at(LONG_AGO, holder("importer"), after=datetime.now(UTC)) == LONG_AGO


def test_the_future_is_refused_beyond_what_clocks_differ() -> None:
    soon = datetime.now(UTC) + CLOCK_TOLERANCE - timedelta(seconds=5)
    assert happened_at(soon, holder("importer")) == soon
    with pytest.raises(Unprocessable) as refusal:
        happened_at(datetime.now(UTC) + CLOCK_TOLERANCE + timedelta(seconds=5), holder("importer"))
    assert refusal.value.extra["errors"] == [{"pointer": "#/occurred_at", "detail": "has not come yet"}]


def test_time_does_not_run_backwards_within_an_aggregate() -> None:
    check_follows(LONG_AGO, LONG_AGO)
    with pytest.raises(OccurredTooEarly) as refusal:
        check_follows(LONG_AGO - timedelta(microseconds=1), LONG_AGO)
    assert refusal.value.extra == {"latest_change_at": LONG_AGO.isoformat()}
