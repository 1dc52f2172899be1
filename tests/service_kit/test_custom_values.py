"""Values of custom fields: what each type takes is kept, found in JSON again, and told apart by the right column."""

import json
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.custom_fields.model import FieldType
from service_kit.custom_fields.values import DeclaredField, Split, changed_values, new_values
from service_kit.problems import Unprocessable

OPTIONS = ("north", "south", "east", "west")
TYPES: tuple[FieldType, ...] = ("text", "number", "date", "boolean", "choice", "choices", "url")

TAKEN: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text("abc ÄéŽ'\"<>&|\\{}", min_size=1, max_size=200).map(str.strip).filter(bool),
    "number": st.decimals(-(10**12) + 1, 10**12 - 1, places=4, allow_nan=False)
    .map(lambda value: format(value, "f"))
    .filter(lambda text: text.lstrip("-0.") != ""),
    "date": st.dates(date(1970, 1, 1), date(2199, 12, 31)).map(date.isoformat),
    "boolean": st.booleans(),
    "choice": st.sampled_from(OPTIONS),
    "choices": st.lists(st.sampled_from(OPTIONS), min_size=1, unique=True),
    "url": st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80).map(
        lambda rest: f"https://{rest}"
    ),
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=600),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def field(type_: FieldType, **more: Any) -> DeclaredField:
    options = OPTIONS if type_ in ("choice", "choices") else ()
    return DeclaredField(id=uuid4(), name=f"a_{type_}", type=type_, options=options, **more)


@given(st.data(), st.sets(st.sampled_from(TYPES), min_size=1), st.sets(st.sampled_from(TYPES)))
def test_what_each_type_takes_is_kept(data: st.DataObject, types: set[FieldType], personal: set[FieldType]) -> None:
    fields = [field(each, is_personal=each in personal) for each in types]
    values = {each.name: data.draw(TAKEN[each.type]) for each in fields}
    split = new_values(fields, values, "deals", "#/custom")
    assert split.custom.keys().isdisjoint(split.custom_personal)
    assert split.custom_personal.keys() == {each.name for each in fields if each.is_personal}
    kept = {**split.custom, **split.custom_personal}
    assert kept == values
    assert json.loads(json.dumps(kept)) == kept
    for each in fields:
        if each.type == "number":
            assert Decimal(str(kept[each.name])) == Decimal(values[each.name])
    # The same again changes nothing, null removes each, and what is not given stays.
    assert changed_values(split, fields, values, "deals", "#/custom") == split
    assert changed_values(split, fields, dict.fromkeys(values), "deals", "#/custom") == Split({}, {})
    assert changed_values(split, fields, {}, "deals", "#/custom") == split


@given(st.sampled_from(TYPES), ANYTHING)
def test_anything_else_is_refused_at_its_place(type_: FieldType, value: Any) -> None:
    one = field(type_)
    problem, split = None, Split({}, {})
    try:
        split = new_values([one], {one.name: value}, "deals", "#/custom")
    except Unprocessable as refused:
        problem = refused
    if problem is not None:
        assert [each["pointer"] for each in problem.extra["errors"]] == [f"#/custom/{one.name}"]
    else:
        # What was taken is of the type, and is taken again as it was kept.
        assert new_values([one], split.custom, "deals", "#/custom") == split
        assert (value is None) == (split.custom == {})


def test_all_that_is_wrong_is_named_at_once() -> None:
    fields = [field("number"), field("choice", is_required=True), field("text", is_archived=True)]
    with pytest.raises(Unprocessable) as refused:
        new_values(fields, {"a_number": "x", "a_text": "y", "b": "z"}, "deals", "#/deal/custom")
    assert [each["pointer"] for each in refused.value.extra["errors"]] == [
        "#/deal/custom/a_number", "#/deal/custom/a_text", "#/deal/custom/b", "#/deal/custom/a_choice",
    ]  # fmt: skip
