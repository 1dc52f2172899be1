"""When something happened: now, or earlier on the word of somebody who may backdate."""

from datetime import UTC, datetime, timedelta

from service_kit.auth import BACKDATING_ROLES, Principal
from service_kit.problems import Conflict, Forbidden, Unprocessable

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far a caller's clock may be ahead of ours."""


class OccurredTooEarly(Conflict):
    """It is said to have happened before the change that it follows; `latest_change_at` says when that was."""

    slug, title = "occurred-too-early", "It follows something that happened later"


def check_follows(at: datetime, latest: datetime) -> None:
    """Time never runs backwards within one aggregate. Raises `OccurredTooEarly` (409) when `at` is before `latest`."""
    if at < latest:
        raise OccurredTooEarly(
            f"Its latest change happened at {latest.isoformat()}, which is after the occurred_at that was given.",
            latest_change_at=latest.isoformat(),
        )


def happened_at(occurred_at: datetime | None, by: Principal, *, after: datetime | None = None) -> datetime:
    """The time of an action, in UTC.

    Without `occurred_at` it is now, but never before `after`: what it follows may have been recorded by a replica
    whose clock is ahead, and a live action must not be refused for that. Raises `Forbidden` (403) for a role that may
    not backdate, and `Unprocessable` (422) for a time that has not come yet.
    """
    now = datetime.now(UTC)
    if occurred_at is None:
        return now if after is None else max(now, after)
    if not by.may(*BACKDATING_ROLES):
        raise Forbidden(f"Leave out occurred_at, or use one of the roles: {', '.join(sorted(BACKDATING_ROLES))}.")
    if occurred_at > now + CLOCK_TOLERANCE:
        raise Unprocessable.at("#/occurred_at", "has not come yet")
    return occurred_at
