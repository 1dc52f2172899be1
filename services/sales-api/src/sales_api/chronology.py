"""Time never runs backwards within one aggregate: its events tell one story, in the order of their sequence."""

from datetime import datetime

from service_kit.problems import Conflict


class OccurredTooEarly(Conflict):
    """It is said to have happened before the change that it follows."""

    slug, title = "occurred-too-early", "It follows something that happened later"


def check_follows(at: datetime, latest: datetime) -> None:
    """Raises `OccurredTooEarly` (409) when `at` is before the aggregate's latest change."""
    if at < latest:
        raise OccurredTooEarly(
            f"Its latest change happened at {latest.isoformat()}, which is after the occurred_at that was given.",
            latest_change_at=latest.isoformat(),
        )
