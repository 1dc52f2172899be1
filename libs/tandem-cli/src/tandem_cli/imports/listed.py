"""Maps what files have to the values of declared lists, by their normal form: `Trade Show` is `trade_show`."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from event_contracts.lists import ListName
from service_kit.list_values.values import DeclaredValue, Values, final_key, same_as
from tandem_cli.api import Api
from tandem_cli.imports.plan import Needed, Plan
from tandem_cli.requests import Ref

_LIST_OF: Final[Mapping[str, ListName]] = {"channel": "channels", "reason": "close_reasons"}
"""By the field of a body of sales."""
_PAGE: Final = "100"


async def with_listed_values(plan: Plan, sales: Api) -> Plan:
    """Return the plan with the keys of the lists in the place of their other spellings, and of merged values.

    A value that is in no list is declared first if the mapping declares its list; if not, sales refuses its rows.
    """
    asked = {_LIST_OF[name] for body in _bodies(plan) for name, _ in _listed(body)}
    if not asked:
        return plan
    lists = _Lists(await _values(sales, asked), plan.declares)
    records = [
        replace(record, steps=[replace(step, body=_mapped(step.body, lists.key)) for step in record.steps])
        if record.steps[0].api == "sales"
        else record
        for record in plan.records
    ]
    needed = {
        ref: replace(one, body=_mapped(one.body, lists.key)) if _is_of_sales(ref) else one
        for ref, one in plan.needed.items()
    }
    return replace(plan, records=records, needed={**lists.declared, **needed})


@dataclass
class _Lists:
    values: Mapping[ListName, Values]
    declares: Collection[ListName]
    declared: dict[Ref, Needed] = field(default_factory=dict)

    def key(self, name: ListName, text: str) -> str:
        """Return the key of what a text means; the text itself where the list has nothing like it."""
        values = self.values[name]
        known = values.get(final_key(text, values))
        if known is not None and known.is_taken:
            return known.key
        if (alike := same_as(text, values)) is not None:
            return alike
        if name in self.declares and known is None:
            ref = Ref("sales/list-values", f"{name}:{text}")
            label = text.replace("_", " ").replace("-", " ")
            body = {"list": name, "key": text, "label": label[:1].upper() + label[1:]}
            self.declared[ref] = Needed(ref, body, by_code=True)
            # Another spelling of it, in another row, is it too.
            self.values = {**self.values, name: {**values, text: DeclaredValue(text, label, False, None)}}
        return text


async def _values(sales: Api, lists: Collection[ListName]) -> dict[ListName, Values]:
    found: dict[ListName, dict[str, DeclaredValue]] = {name: {} for name in lists}
    for name, values in found.items():
        parameters = {"list": name, "limit": _PAGE}
        while True:
            page = await sales.get("list-values", parameters)
            for each in page["items"]:
                is_retired = each["retired_at"] is not None
                values[each["key"]] = DeclaredValue(each["key"], each["label"], is_retired, each["merged_into"])
            if page["next_cursor"] is None:
                break
            parameters["cursor"] = page["next_cursor"]
    return dict(found)


def _bodies(plan: Plan) -> Iterator[Mapping[str, Any]]:
    for record in plan.records:
        if record.steps[0].api == "sales":
            yield from (step.body for step in record.steps)
    yield from (one.body for ref, one in plan.needed.items() if _is_of_sales(ref))


def _is_of_sales(ref: Ref) -> bool:
    return ref.noun.startswith("sales/")


def _listed(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in body.items():
        if isinstance(value, dict):
            yield from _listed(value)
        elif name in _LIST_OF and isinstance(value, str):
            yield name, value


def _mapped(body: Mapping[str, Any], key: Callable[[ListName, str], str]) -> dict[str, Any]:
    """Return a body with its values of lists, and those of the objects in it, mapped."""
    return {
        name: _mapped(value, key)
        if isinstance(value, dict)
        else key(_LIST_OF[name], value)
        if name in _LIST_OF and isinstance(value, str)
        else value
        for name, value in body.items()
    }
