"""When a customer waited for us, from the turns that they and we took in a ticket. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from event_contracts.fields import Credit
from event_contracts.service import Interaction, Visibility, Wait, WaitEnd

LIVE_CHANNELS: Final = frozenset({"phone", "chat", "in_person"})
"""Where a person who takes the customer's contact replies in the same moment."""

MOST_WAITS: Final = 1_000
"""Waits of one ticket that are kept, the newest: each event carries them."""

PUBLIC: Final[Visibility] = "public"


class Turn(NamedTuple):
    """A moment in which the customer asked for something, or we answered, or both, as in a call that is taken."""

    at: datetime
    asks: bool = False
    answers: WaitEnd | None = None
    by: Credit | None = None


def is_reply(interaction: Interaction) -> bool:
    """Return whether a person answered the customer: by writing or calling, or by taking a live contact of theirs."""
    return (
        interaction.agent_id is not None
        and interaction.visibility == PUBLIC
        and (interaction.direction == "outbound" or interaction.channel in LIVE_CHANNELS)
    )


def turn_of(interaction: Interaction) -> Turn | None:
    """Return the turn that a contact is; None for an internal or automatic one."""
    asks = interaction.direction == "inbound" and interaction.visibility == PUBLIC
    answers = is_reply(interaction)
    if not asks and not answers:
        return None
    by = Credit(person_id=interaction.agent_id, team_id=interaction.team_id) if answers else None
    return Turn(interaction.occurred_at, asks, "reply" if answers else None, by)


def after_turn(waits: Sequence[Wait], turn: Turn) -> list[Wait]:
    """Return the waits after one more turn, which is not earlier than those before."""
    found = list(waits)
    if turn.asks and not (found and found[-1].until is None):
        found.append(Wait(since=turn.at))
    if turn.answers is not None and found and found[-1].until is None:
        found[-1] = msgspec.structs.replace(found[-1], until=turn.at, ended_by=turn.answers, answered_by=turn.by)
    return found[-MOST_WAITS:]


def waits_of(turns: Iterable[Turn]) -> list[Wait]:
    """Return the waits that turns in any order make. Of one moment, what asks comes before what answers."""
    found: list[Wait] = []
    for turn in sorted(turns, key=lambda turn: (turn.at, turn.answers is not None)):
        found = after_turn(found, turn)
    return found
