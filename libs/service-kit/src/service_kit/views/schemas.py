"""Saved views over HTTP."""

from typing import Annotated

from pydantic import Field, StringConstraints

from service_kit.changes import Change
from service_kit.fields import Code, Name, ReadModel, RecordId, StrictModel, UpdatedAt, Version, described, examples

MAX_QUERY: int = 2_000

_LIST = described("The plural noun of the list's address.", "deals")
_NAME = described("What it is called in menus.", "Large proposals")
_QUERY = described(
    "Filters, words and order, as the list's address has them after the question mark.",
    "stage=proposal&amount_min=10000&sort=-amount",
)
_SHARED = described("Whether everybody who reads the list can use it.", False)
_EXAMPLE = {"name": "Large proposals", "query": "stage=proposal&amount_min=10000&sort=-amount"}

Query = Annotated[str, StringConstraints(max_length=MAX_QUERY), _QUERY]


class ViewCreate(StrictModel):
    """A new view, the caller's own."""

    model_config = examples({"list": "deals", **_EXAMPLE})

    list: Annotated[Code, _LIST]
    name: Annotated[Name, _NAME]
    query: Query


class ViewUpdate(Change):
    """What to change; what is left out stays."""

    model_config = examples(_EXAMPLE)

    name: Annotated[Name, _NAME] = Field(default_factory=str)
    query: Query = Field(default_factory=str)


class ViewRead(ReadModel):
    """A view that the caller can use."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    list: Annotated[str, _LIST]
    name: Annotated[str, _NAME]
    query: Annotated[str, _QUERY]
    is_shared: Annotated[bool, _SHARED]
    is_own: Annotated[bool, described("Whether the caller made it, and may change it.", True)]
    address: Annotated[
        str,
        described(
            "The list under this view. That of a list within a record has its parameter, as"
            " `/v1/tickets/{ticket_id}/interactions` has.",
            "/v1/deals?view=01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11",
        ),
    ]
