"""Whom and what a sale is counted for: owner, the owner's team, region, segment, channel."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class Attribution:
    """The dimensions that leads, accounts and deals share; `team_id` is the owner's team when the owner got it."""

    owner_id: UUID | None = None
    team_id: UUID | None = None
    region: str | None = None
    segment: str | None = None
    channel: str | None = None
