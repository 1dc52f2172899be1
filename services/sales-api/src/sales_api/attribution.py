"""Whom and what a sale is counted for: owner, the owner's team, region, segment, channel."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class Attribution:
    """The dimensions that leads, accounts and deals share; `team_id` is the owner's team when the owner got it."""

    owner_id: UUID | None = None
    team_id: UUID | None = None
    region: str | None = None
    segment: str | None = None
    channel: str | None = None

    def columns(self) -> dict[str, Any]:
        """As the rows have them: `asdict` copies each value, deeply."""
        return {
            "owner_id": self.owner_id,
            "team_id": self.team_id,
            "region": self.region,
            "segment": self.segment,
            "channel": self.channel,
        }
