"""The declared lists: what fields that hold a code are chosen from, and the values that each list begins with."""

from collections.abc import Mapping
from typing import Final, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

ListName = Literal["channels", "close_reasons", "disqualification_reasons"]

FIRST_VALUES: Final[Mapping[ListName, Mapping[str, str]]] = {
    "channels": {
        "direct": "Direct",
        "trade_show": "Trade show",
        "door_to_door": "Door to door",
        "retail_store": "Retail store",
        "telemarketing": "Telemarketing",
        "online": "Online",
        "referral": "Referral",
        "word_of_mouth": "Word of mouth",
        "service": "Service",
    },
    "close_reasons": {
        "best_fit": "Best fit",
        "best_offer": "Best offer",
        "best_price": "Best price",
        "best_service": "Best service",
        "trust": "Trust",
        "loyalty": "Loyalty",
        "speed": "Speed",
        "price": "Price",
        "competitor": "Competitor",
        "missing_feature": "Missing feature",
        "no_budget": "No budget",
        "no_decision": "No decision",
        "no_answer": "No answer",
        "timing": "Timing",
        "other": "Other",
    },
    "disqualification_reasons": {
        "no_need": "No need",
        "no_budget": "No budget",
        "no_authority": "No authority",
        "no_answer": "No answer",
        "price": "Price",
        "competitor": "Competitor",
        "timing": "Timing",
        "out_of_area": "Out of area",
        "duplicate": "Duplicate",
        "other": "Other",
    },
}
"""Labels by key. No event tells of them until they change: every reader has them from a migration on.

Migrations read them, so that they stay as they are; a later value is declared by a migration of its own, with an event.
"""


def value_id(list_name: str, key: str) -> UUID:
    """Return the id of a value that a list began with, the same for everyone."""
    return uuid5(NAMESPACE_URL, f"urn:tandem:list-value:{list_name}:{key}")
