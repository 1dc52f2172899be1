"""Values of declared lists over HTTP."""

from typing import Annotated

from event_contracts.lists import ListName
from service_kit.fields import Code, Moment, Name, ReadModel, RecordId, UpdatedAt, Version, described

_LIST = described("The list: which field takes it.", "channels", schema="ListName")
_KEY = described("What records, events and filters have. It never changes.", "trade_show")
_LABEL = described("What people read in forms, headings and answers.", "Trade show")
_RETIRED = described("Since when new records do not take it; null while they do.", "2026-06-30T08:00:00Z", rarely=True)
_INTO = described("The key of the value of the list that it counts as; null for itself.", "trade_show", rarely=True)

ListField = Annotated[ListName, _LIST]
ValueKey = Annotated[Code, _KEY]
ValueLabel = Annotated[Name, _LABEL]


class ListValueRead(ReadModel):
    """A value of a declared list."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    list: ListField
    key: Annotated[str, _KEY]
    label: Annotated[str, _LABEL]
    retired_at: Annotated[Moment, _RETIRED] | None
    merged_into: Annotated[str, _INTO] | None
