"""Values of declared lists in a plan: other spellings become keys, new values are made where the mapping says so."""

from collections.abc import Sequence
from typing import Any, cast

from event_contracts.lists import ListName
from tandem_cli.api import Api
from tandem_cli.imports.listed import with_listed_values
from tandem_cli.imports.plan import Plan, Record
from tandem_cli.imports.tables import Row
from tandem_cli.requests import Step

LISTED = [
    {"key": "trade_show", "label": "Trade show", "retired_at": None, "merged_into": None},
    {"key": "online", "label": "Web shop", "retired_at": None, "merged_into": None},
    {"key": "fair", "label": "Fair", "retired_at": None, "merged_into": "trade_show"},
    {"key": "fax", "label": "Fax", "retired_at": "2026-01-01T00:00:00Z", "merged_into": None},
]


class Lists:
    """What sales answers, a page a value."""

    def __init__(self) -> None:
        self.asked = 0

    async def get(self, path: str, parameters: dict[str, str]) -> Any:
        assert (path, parameters["list"]) == ("list-values", "channels")
        self.asked += 1
        place = int(parameters.get("cursor", "0"))
        return {"items": [LISTED[place]], "next_cursor": str(place + 1) if place + 1 < len(LISTED) else None}


def planned(channels: Sequence[str | None], *declares: ListName, api: Any = "sales") -> Plan:
    row = Row("a.csv", 2, {})
    bodies: list[dict[str, Any]] = [{"channel": each} if each else {} for each in channels]
    records = [
        Record("leads", str(n), row, [Step("create", api, ("leads",), body), Step("convert", api, (), {"deal": body})])
        for n, body in enumerate(bodies)
    ]
    return Plan("test", {}, records, [], declares)


async def mapped(plan: Plan, lists: Lists | None = None) -> tuple[list[Any], list[Any]]:
    """The channels of the leads, which are those of their deals, and the values that are made."""
    plan = await with_listed_values(plan, cast("Api", lists or Lists()))
    for record in plan.records:
        assert record.steps[1].body == {"deal": record.steps[0].body}
    return [record.steps[0].body.get("channel") for record in plan.records], [
        each.body for each in plan.needed.values()
    ]


async def test_other_spellings_labels_and_merged_values_become_keys() -> None:
    given = ["trade_show", "Trade-Show", "TradeShow", "web-shop", "fair", "FAIR", None]
    keys = ["trade_show", "trade_show", "trade_show", "online", "trade_show", "trade_show", None]
    assert await mapped(planned(given)) == (keys, [])


async def test_what_is_in_no_list_is_left_to_sales_which_refuses_its_rows() -> None:
    assert await mapped(planned(["podcast", "fax"])) == (["podcast", "fax"], [])


async def test_new_values_are_made_once_where_the_mapping_declares_their_list() -> None:
    keys, made = await mapped(planned(["pod-cast", "Podcast", "pod_cast", "fax"], "channels"))
    assert keys == ["pod-cast", "pod-cast", "pod-cast", "fax"]
    assert made == [{"list": "channels", "key": "pod-cast", "label": "Pod cast"}]


async def test_nothing_is_asked_where_no_field_has_a_list() -> None:
    lists = Lists()
    tickets = planned(["phone"], api="service")
    assert await mapped(tickets, lists) == (["phone"], [])
    assert await mapped(planned([None]), lists) == ([None], [])
    assert lists.asked == 0
