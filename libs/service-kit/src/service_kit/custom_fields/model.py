"""The tables of custom fields: what is declared, the values in each record, and the index that lists read."""

from dataclasses import field
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal, get_args
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from event_contracts.fields import CustomValues
from service_kit.database import metadata
from service_kit.entities import Entity, Recorded, column
from service_kit.tables import filtered, one_of

FieldType = Literal["text", "number", "date", "boolean", "choice", "choices", "url"]
CUSTOM: Final = "custom"
CUSTOM_PERSONAL: Final = "custom_personal"
"""The columns of a record with the values of its custom fields."""

_NOUN: Final = "customized"
"""The key in a table's `info`."""
_EMPTY: Final = sa.text("'{}'::jsonb")


class Customized(Entity):
    """The base of entities whose nouns have custom fields; each declares its noun by `customized`.

    Values of personal fields are apart: they are in no event, and are erased with the person. A trigger of the table
    enters the values of both columns into `custom_value`.
    """

    table: ClassVar[sa.Table]
    custom: Annotated[
        CustomValues, column(JSONB, server_default=_EMPTY, comment="values of custom fields by their names")
    ] = field(default_factory=dict)
    custom_personal: Annotated[
        CustomValues,
        column(JSONB, server_default=_EMPTY, personal=True, comment="the same of personal fields: never in an event"),
    ] = field(default_factory=dict)


def customized(noun: str) -> dict[str, Any]:
    """Return the table's option that declares its noun, the plural one of its address: `deals`."""
    return {"info": {_NOUN: noun}}


def customized_noun(table: sa.Table) -> str | None:
    """Return the noun whose custom fields a table's records have; None where they have none."""
    noun: str | None = table.info.get(_NOUN)
    return noun


class CustomField(Recorded):
    """The base of each service's entity; its table is `custom_field`."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    noun: Annotated[str, column(comment="the plural noun of the records' address: `deals`")]
    name: Annotated[str, column(comment="by which values are given and filtered; never reused")]
    label: str
    type: Annotated[FieldType, column(sa.Text)]
    options: Annotated[list[str] | None, column(JSONB, comment="that a value is chosen from; null of other types")] = (
        None
    )
    is_required: Annotated[bool, column(comment="of a new record")] = False
    is_personal: Annotated[bool, column(comment="its values are in no event, and are erased with the person")] = False
    archived_at: Annotated[datetime | None, column(comment="since when it takes no values")] = None


def custom_field_constraints() -> tuple[Any, ...]:
    """Return what a service's table needs besides its columns."""
    return (
        sa.UniqueConstraint("noun", "name"),
        one_of("type", get_args(FieldType)),
        *filtered("custom_field", ("updated_at",)),
    )


custom_value = sa.Table(
    "custom_value",
    metadata,
    sa.Column("record_id", sa.Uuid, primary_key=True),
    sa.Column("field_id", sa.Uuid, primary_key=True),
    sa.Column("text", sa.Text, primary_key=True, comment="the value; one of several where the field has several"),
    sa.Column("number", sa.Numeric, comment="the value of a number"),
    sa.Column("day", sa.Date, comment="the value of a date"),
    sa.Index("custom_value_text_idx", "field_id", "text", "record_id"),
    sa.Index(
        "custom_value_number_idx", "field_id", "number", "record_id", postgresql_where=sa.text("number IS NOT NULL")
    ),
    sa.Index("custom_value_day_idx", "field_id", "day", "record_id", postgresql_where=sa.text("day IS NOT NULL")),
    comment="Values of custom fields as lists filter and sort by them; a trigger of each customized table writes it.",
)
