"""When something happened: now, or earlier when a caller who may backdate gives the time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from service_kit.auth import BACKDATING_ROLES, Principal
from service_kit.problems import Conflict, Forbidden, Unprocessable

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far a caller's clock may be ahead of ours."""


class OccurredTooEarly(Conflict):
    """The given time is before the change that it follows, which happened at `latest_change_at`."""

    slug, title = "occurred-too-early", "The given time is before the latest change"


class TimesOutOfOrder(Conflict):
    """A corrected time would put a record's own steps out of order; `earlier` and `later` name two of them."""

    slug, title = "times-out-of-order", "The times of the record would be out of order"


def check_order(*steps: tuple[str, datetime | None]) -> None:
    """Raise `TimesOutOfOrder` (409) when a step is before one that is named before it; those without a time are left
    out."""
    known = [(name, at) for name, at in steps if at is not None]
    for (earlier, before), (later, after) in pairwise(known):
        if after < before:
            raise TimesOutOfOrder(
                f"{later} would be {after.isoformat()}, before {earlier}, {before.isoformat()}."
                " Correct that one too, or give another time.",
                earlier=earlier,
                later=later,
            )


def check_recordable(times: Mapping[str, datetime], by: Principal) -> None:
    """Check times of the past that a body corrects, by the names of their fields.

    Raise `Forbidden` (403) for a role that may not backdate, and `Unprocessable` (422) for a time in the future.
    """
    for name, at in times.items():
        if not by.may(*BACKDATING_ROLES):
            raise Forbidden(f"Leave out {name}, or use one of the roles: {', '.join(sorted(BACKDATING_ROLES))}.")
        if at > datetime.now(UTC) + CLOCK_TOLERANCE:
            raise Unprocessable.at(f"#/{name}", "has not come yet")


def check_follows(at: datetime, latest: datetime) -> None:
    """Raise `OccurredTooEarly` (409) when `at` is before `latest`: time never runs backwards within one aggregate."""
    if at < latest:
        raise OccurredTooEarly(
            f"The latest change happened at {latest.isoformat()}. Give an occurred_at that is not before it.",
            latest_change_at=latest.isoformat(),
        )


def happened_at(occurred_at: datetime | None, by: Principal, *, after: datetime | None = None) -> datetime:
    """Return the time of an action, in UTC.

    Without `occurred_at` it is now, but never before `after`: what it follows may have been recorded by a replica
    whose clock is ahead, and a live action must not be refused for that. Raise `Forbidden` (403) for a role that may
    not backdate, and `Unprocessable` (422) for a time in the future.
    """
    now = datetime.now(UTC)
    if occurred_at is None:
        return now if after is None else max(now, after)
    if not by.may(*BACKDATING_ROLES):
        raise Forbidden(f"Leave out occurred_at, or use one of the roles: {', '.join(sorted(BACKDATING_ROLES))}.")
    if occurred_at > now + CLOCK_TOLERANCE:
        raise Unprocessable.at("#/occurred_at", "has not come yet")
    return occurred_at
