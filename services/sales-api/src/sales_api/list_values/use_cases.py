"""The use cases of values of declared lists: one function each, within its route's transaction."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from sales_api.list_values.model import ListValue, ListValueTaken, TooManyListValues
from sales_api.list_values.schemas import ListValueCreate, ListValueMergeRequest, ListValueUpdate
from service_kit.aggregates import publish
from service_kit.compiled import CompiledStatement
from service_kit.identifiers import new_id
from service_kit.list_values.queries import forget_values, values_of
from service_kit.list_values.values import normal_form
from service_kit.locking import lock, lock_both
from service_kit.problems import Unprocessable
from service_kit.suggestions import known_names
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion

MAX_VALUES: Final = 2_000
"""Of one list: each read of it has them all."""

_columns = ListValue.table.c
_other = ListValue.table.alias()
_INTO = CompiledStatement(
    sa.select(_other.c.id)
    .join(ListValue.table, _other.c.list == _columns.list)
    .where(_columns.id == sa.bindparam("list_value_id"), _other.c.key == sa.bindparam("into", type_=sa.Text))
)


async def declare_list_value(work: UnitOfWork, body: ListValueCreate) -> ListValue:
    """Declare a value. Raise `ListValueTaken` (409) where the list has it in any spelling, and `TooManyListValues`."""
    values = await work.find(ListValue, _columns.list == body.list)
    form = normal_form(body.key)
    if alike := [each for each in values if normal_form(each.key) == form]:
        existing = next((each for each in alike if each.key == body.key), alike[0])
        raise ListValueTaken(
            f"It is there as {existing.key}: use that, change its label, or restore it if it is retired.",
            existing_id=str(existing.id),
        )
    if len(values) >= MAX_VALUES:
        raise TooManyListValues(f"A list has {MAX_VALUES} values at most, retired ones too: use one that is there.")
    value = ListValue(id=new_id(), version=1, **dict(body))
    work.add(value)
    _publish(work, value)
    return value


async def rename_list_value(
    work: UnitOfWork, list_value_id: UUID, body: ListValueUpdate, expected: ExpectedVersion
) -> ListValue:
    """Change a value's label; the same again changes nothing."""
    value = await lock(work, ListValue, list_value_id, expected)
    if body.apply_to(value):
        _publish(work, value)
    return value


async def retire_list_value(work: UnitOfWork, list_value_id: UUID, expected: ExpectedVersion) -> ListValue:
    """Take a value from no new record; what has it keeps it."""
    value = await lock(work, ListValue, list_value_id, expected)
    if value.retire(datetime.now(UTC)):
        _publish(work, value)
    return value


async def restore_list_value(work: UnitOfWork, list_value_id: UUID, expected: ExpectedVersion) -> ListValue:
    """Take a retired value again."""
    value = await lock(work, ListValue, list_value_id, expected)
    if value.restore():
        _publish(work, value)
    return value


async def merge_list_value(
    work: UnitOfWork, list_value_id: UUID, body: ListValueMergeRequest, expected: ExpectedVersion
) -> ListValue:
    """Have a value count as another one of its list. Raise 404, 409 and 422 as `ListValue.merge` does."""
    found = await _INTO.one_or_none(work, list_value_id=list_value_id, into=body.into)
    if found is None:
        value = await lock(work, ListValue, list_value_id, expected)
        names = known_names(body.into, (await values_of(work, [value.list]))[value.list])
        raise Unprocessable.at("#/into", f"is no value of the list {value.list}; {names}")
    if found["id"] == list_value_id:
        value = into = await lock(work, ListValue, list_value_id, expected)
    else:
        # Both: two that are merged into each other at the same moment would go round in a circle.
        value, into = await lock_both(work, ListValue, list_value_id, found["id"], expected, pointer="#/into")
    if value.merge(into):
        _publish(work, value)
    return value


async def unmerge_list_value(work: UnitOfWork, list_value_id: UUID, expected: ExpectedVersion) -> ListValue:
    """Have a merged value count as itself again."""
    value = await lock(work, ListValue, list_value_id, expected)
    if value.unmerge():
        _publish(work, value)
    return value


def _publish(work: UnitOfWork, value: ListValue) -> None:
    publish(work, value, value.directory_entry(), datetime.now(UTC))
    forget_values(work, value.list)
