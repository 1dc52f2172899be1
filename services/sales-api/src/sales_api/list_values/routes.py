"""Values of declared lists over HTTP."""

from fastapi import Response

from event_contracts.catalogue import SALES_DIRECTORY_TOPIC
from sales_api.list_values import use_cases
from sales_api.list_values.model import ListValue
from sales_api.list_values.schemas import ListValueCreate, ListValueMergeRequest, ListValueUpdate
from service_kit.fields import Code, Identifier, Moment
from service_kit.history.own_events import DIRECTORY, OwnEvents
from service_kit.list_values.schemas import ListField, ListValueRead
from service_kit.resources import Resource
from service_kit.routing import Work
from service_kit.versions import Expected

list_values = Resource(
    "/list-values/{list_value_id}",
    ListValue.table,
    ListValueRead,
    filters={
        "list": ListField,
        "key": Code,
        "retired_at": Moment,
        "merged_into": Code,
    },
    sorts=("list", "key", "label"),
    own_events=OwnEvents(SALES_DIRECTORY_TOPIC, DIRECTORY, named="list_value"),
    is_small=True,
)
list_values.read_routes(list_as="list_list_values", get_as="get_list_value")


@list_values.routes.post("", status_code=201, summary="Declare a value of a list")
async def declare_list_value(body: ListValueCreate, work: Work, response: Response) -> ListValueRead:
    """Declare what a field may have, such as a channel. It is taken at once.

    A key that only differs from another one by case, spaces, hyphens or underscores is refused.
    """
    return list_values.show_created(response, await use_cases.declare_list_value(work, body))


@list_values.routes.patch("/{list_value_id}", summary="Rename a value of a list")
async def rename_list_value(
    list_value_id: Identifier, body: ListValueUpdate, work: Work, response: Response, expected: Expected
) -> ListValueRead:
    """Change the label, also in the KPIs' answers. Records and events have the key, which stays."""
    return list_values.show(response, await use_cases.rename_list_value(work, list_value_id, body, expected))


@list_values.routes.post("/{list_value_id}/retire", summary="Retire a value of a list")
async def retire_list_value(
    list_value_id: Identifier, work: Work, response: Response, expected: Expected
) -> ListValueRead:
    """Have new records no longer take it, within five seconds everywhere. What has it keeps it, and counts as it."""
    return list_values.show(response, await use_cases.retire_list_value(work, list_value_id, expected))


@list_values.routes.post("/{list_value_id}/restore", summary="Restore a value of a list")
async def restore_list_value(
    list_value_id: Identifier, work: Work, response: Response, expected: Expected
) -> ListValueRead:
    """Have records take a retired value again."""
    return list_values.show(response, await use_cases.restore_list_value(work, list_value_id, expected))


@list_values.routes.post("/{list_value_id}/merge", summary="Merge a value of a list into another")
async def merge_list_value(
    list_value_id: Identifier, body: ListValueMergeRequest, work: Work, response: Response, expected: Expected
) -> ListValueRead:
    """Have it count as another value of its list in every KPI, and new records no longer take it.

    No record and no event changes: `unmerge` takes it back, and every number is as before.
    """
    return list_values.show(response, await use_cases.merge_list_value(work, list_value_id, body, expected))


@list_values.routes.post("/{list_value_id}/unmerge", summary="Take a merge of a value back")
async def unmerge_list_value(
    list_value_id: Identifier, work: Work, response: Response, expected: Expected
) -> ListValueRead:
    """Have it count as itself again, and be taken unless it was retired."""
    return list_values.show(response, await use_cases.unmerge_list_value(work, list_value_id, expected))
