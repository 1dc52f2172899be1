"""Bodies of partial updates: what is left out is null for rules to read, and null is no value of what cannot be."""

from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from service_kit.changes import Change, NotNull, left_out
from service_kit.fields import Code, Identifier

CUSTOMER = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12"


class RecordUpdate(Change):
    """A change of a record that is always of a customer."""

    customer_id: Annotated[Identifier | None, NotNull()] = Field(default_factory=left_out, description="Whose it is.")
    region: Code | None = None


def test_what_cannot_be_null_is_null_where_it_is_left_out() -> None:
    assert RecordUpdate.model_validate({"region": "baltics"}).customer_id is None
    assert str(RecordUpdate.model_validate({"customer_id": CUSTOMER}).customer_id) == CUSTOMER


@pytest.mark.parametrize("given", [None, "x"], ids=str)
def test_what_cannot_be_null_is_refused_as_null_as_any_other_wrong_value(given: str | None) -> None:
    with pytest.raises(ValidationError) as refused:
        RecordUpdate.model_validate({"customer_id": given})
    assert [each["loc"] for each in refused.value.errors()] == [("customer_id",)]


def test_its_schema_shows_neither_null_nor_a_default() -> None:
    shown = RecordUpdate.model_json_schema()["properties"]["customer_id"]
    assert (shown["type"], shown["format"], shown["description"]) == ("string", "uuid", "Whose it is.")
    assert not shown.keys() & {"anyOf", "default"}


def test_it_is_for_optional_types_only() -> None:
    with pytest.raises(TypeError, match="optional type"):
        TypeAdapter(Annotated[Code, NotNull()])
