"""Values of declared lists over HTTP: what is given."""

from typing import Annotated, ClassVar

from pydantic import Field

from service_kit.changes import Change
from service_kit.fields import Code, StrictModel, described, examples
from service_kit.list_values.schemas import ListField, ValueKey, ValueLabel


class ListValueCreate(StrictModel):
    """A new value of a list."""

    model_config = examples({"list": "channels", "key": "trade_show", "label": "Trade show"})

    list: ListField
    key: ValueKey
    label: ValueLabel


class ListValueUpdate(Change):
    """What to change."""

    elsewhere: ClassVar = {
        "list": "stays as it is: declare a value of the other list",
        "key": "stays as it is, since records and events have it: change the label, which people read",
        "retired_at": "is set by retiring it: POST …/retire, …/restore",
        "merged_into": "is set by merging it: POST …/merge, …/unmerge",
    }
    model_config = examples({"label": "Fair or trade show"})

    label: ValueLabel = Field(default_factory=str)


class ListValueMergeRequest(StrictModel):
    """What a value is to count as."""

    model_config = examples({"into": "trade_show"})

    into: Annotated[Code, described("The key of another value of the list.", "trade_show")]
