"""Filters: declared against the events' schemas, and read as they are written."""

import json
from typing import Any

import pytest

from event_contracts.catalogue import EVENT_TYPES
from event_contracts.examples import encoded_example
from metrics_worker.webhooks.filters import FAMILIES, TYPES, FilterRefused, Filters, check_filters, covered, passes

DEAL: dict[str, Any] = {
    "stage": "won",
    "team_id": None,
    "promise": {"quality": "gold"},
    "lines": [{"product": "desk", "quantity": 1}, {"product": "lamp", "quantity": 4}],
    "is_new": True,
    "custom": {"site_region": "north", "goals": ["comfort", "climate"]},
}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, True),
        ({"data.stage": ["won"]}, True),
        ({"data.stage": ["lost", "won"]}, True),
        ({"data.stage": ["lost"]}, False),
        ({"data.stage": ["won"], "data.promise.quality": ["silver"]}, False),
        ({"data.stage": ["won"], "data.promise.quality": ["gold"]}, True),
        ({"data.lines.product": ["lamp"]}, True),
        ({"data.lines.product": ["chair"]}, False),
        ({"data.lines.quantity": [4]}, True),
        ({"data.team_id": [None]}, True),
        ({"data.absent": [None]}, True),
        ({"data.absent.deeper": [None]}, True),
        ({"data.is_new": [True]}, True),
        ({"data.is_new": [1]}, False),
        ({"data.lines.quantity": [True]}, False),
        ({"data.stage": []}, False),
        ({"data.custom.site_region": ["north"]}, True),
        ({"data.custom.site_region": ["south"]}, False),
        ({"data.custom.goals": ["climate"]}, True),
        ({"data.custom.roof_area": [None]}, True),
    ],
)
def test_an_event_passes_when_every_field_has_one_of_its_values(filters: Filters, expected: bool) -> None:
    assert passes(filters, DEAL) is expected


@pytest.mark.parametrize(
    ("types", "filters"),
    [
        (["sales.deal-closed"], {"data.stage": ["won"]}),
        (["sales.deal-closed", "sales.deal-opened"], {"data.region": ["north", None]}),
        (["sales.deal-closed"], {"data.lines.product": ["desk"], "data.lines.quantity": [3]}),
        (["sales.deal-closed"], {"data.team_id": ["019ca869-5000-7000-8000-0000000000b3"]}),
        (["service.ticket-opened"], {"data.priority": ["high", "urgent"]}),
        (["metrics.kpi-target-missed"], {"data.kpi": ["revenue"]}),
        (["sales.deal-closed", "service.ticket-opened"], {"data.custom.site_region": ["north", None]}),
        (["sales.*"], {"data.id": ["019ca869-5000-7000-8000-0000000000b3"]}),
    ],
)
def test_a_filter_of_fields_that_the_events_have_is_taken(types: list[str], filters: Filters) -> None:
    check_filters(types, filters)


@pytest.mark.parametrize(
    ("types", "filters", "field", "said"),
    [
        (["sales.deal-closed"], {"data.team": ["a"]}, "data.team", "did you mean data.team_id?"),
        (["sales.deal-closed"], {"stage": ["won"]}, "stage", "is no field of sales.deal-closed"),
        (["sales.deal-closed"], {"data.promise": ["gold"]}, "data.promise", "has fields of its own: data.promise."),
        (["sales.deal-closed"], {"data.stage": ["wun"]}, "data.stage", "did you mean won?"),
        (["sales.deal-closed"], {"data.stage": [None]}, "data.stage", "there are: "),
        (["sales.deal-closed"], {"data.team_id": ["north"]}, "data.team_id", "null or an id in lower case"),
        (["sales.deal-closed"], {"data.lines.quantity": ["3"]}, "data.lines.quantity", "a whole number"),
        (["sales.deal-closed"], {"data.lines.quantity": [True]}, "data.lines.quantity", "a whole number"),
        (
            ["sales.deal-closed", "service.ticket-opened"],
            {"data.stage": ["won"]},
            "data.stage",
            "service.ticket-opened",
        ),
        (["sales.deal-closed"], {"data.custom": ["north"]}, "data.custom", "has fields of its own: data.custom.*"),
        (["sales.deal-closed"], {"data.custom.site.north": [1]}, "data.custom.site.north", "is no field"),
        (["service.*"], {"data.priority": ["high"]}, "data.priority", "is no field of service."),
    ],
)
def test_any_other_is_refused_with_what_there_is(types: list[str], filters: Filters, field: str, said: str) -> None:
    with pytest.raises(FilterRefused) as refused:
        check_filters(types, filters)
    assert refused.value.field == field
    assert said in str(refused.value)


def test_a_family_is_all_events_of_a_service() -> None:
    assert FAMILIES == ("metrics.*", "sales.*", "service.*")
    assert covered(["sales.*", "service.ticket-opened"]) == [
        name for name in TYPES if name.startswith("sales.") or name == "service.ticket-opened"
    ]


def test_directories_are_for_no_webhook() -> None:
    directories = {name for name, entry in EVENT_TYPES.items() if entry.topic.endswith(".directory")}
    assert directories
    assert not directories & set(TYPES)


@pytest.mark.parametrize("name", TYPES)
def test_the_values_of_every_event_can_be_filtered_by(name: str) -> None:
    data = json.loads(encoded_example(name))["data"]
    for field, value in scalars(data, "data"):
        check_filters([name], {field: [value]})
        assert passes({field: [value]}, data), field


def scalars(value: Any, at: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for step, member in value.items() for pair in scalars(member, f"{at}.{step}")]
    if isinstance(value, list):
        return [pair for member in value for pair in scalars(member, at)]
    return [(at, value)]
