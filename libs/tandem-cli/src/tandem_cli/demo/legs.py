"""A leg of a scenario: its consecutive actions in one API, which an import takes as one record with its history."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, Final

from tandem_cli.demo.company import moment
from tandem_cli.demo.scenario import Action, Scenario, timed
from tandem_cli.requests import Ref, filled

_REFERENCED: Final = frozenset({"leads", "deals", "tickets", "surveys"})
"""What has an external_ref, by which a later run finds it."""
_PLANS: Final = ("maintenance-plans",)
"""Plans are about what is to come; all else happens at a time."""


def leg_of(scenario: Scenario, start: int, until: datetime) -> Sequence[Action]:
    """Return the actions from `start` on that are of one API and have happened by `until`."""
    rest = scenario.actions[start:]
    api = rest[0].step.api
    return tuple(takewhile(lambda action: action.step.api == api and action.at <= until, rest))


def begins_leg(scenario: Scenario, start: int) -> bool:
    """Return whether the action at `start` is the first one of its leg."""
    return start == 0 or scenario.actions[start - 1].step.api != scenario.actions[start].step.api


def body_of(
    action: Action, identity: Callable[[Ref], Any], at: datetime, external_ref: str, *, is_past: bool
) -> dict[str, Any]:
    """Return the body of an action's request. `at` is what its times are counted from."""
    body = timed(filled(action.step.body, identity), at)
    if is_past and action.step.path != _PLANS:
        body["occurred_at"] = moment(action.at)
    path = action.step.path
    if path[-1] == "interactions" or (len(path) == 1 and path[0] in _REFERENCED):
        body["external_ref"] = external_ref
    return body


def row_of(
    leg: Sequence[Action], identity: Callable[[Ref], str], external_ref: Callable[[Action], str]
) -> dict[str, Any]:
    """Return the row of an import that does a whole leg.

    `identity` gives the ids that are known before it, and raises KeyError for those that the row itself makes.
    """
    made = resources_of(leg)

    def known(ref: Ref) -> Any:
        try:
            return identity(ref)
        except KeyError:
            return {"id_of": made[ref.key]}

    def body(action: Action) -> dict[str, Any]:
        return body_of(action, known, action.at, external_ref(action), is_past=True)

    first, *later = leg
    resource = str(first.step.path[0])
    return {"resource": resource, "record": body(first), "history": [_step(each, body(each)) for each in later]}


def _step(action: Action, body: Mapping[str, Any]) -> dict[str, Any]:
    path = action.step.path
    names = {1: "create", 2: "update"}
    return {"action": names.get(len(path)) or path[-1], "of": path[0], "body": body}


def resources_of(leg: Sequence[Action]) -> dict[str, str]:
    """Return by the scenario's names what a leg makes: `deal` is of `deals`."""
    return {
        name: str(action.step.path[0]) if member == "id" else f"{member.removesuffix('_id')}s"
        for action in leg
        for name, member in action.step.gives.items()
        if member == "id" or member.endswith("_id")
    }


def names_from(leg: Sequence[Action], result: Mapping[str, Any]) -> dict[str, str]:
    """Return by the scenario's names the ids of what a row made, as its report gives them."""
    first = leg[0]
    own = {name for name, member in first.step.gives.items() if member == "id"}
    ids = result.get("ids") or {}
    named = {name: result["id"] if name in own else ids.get(resource) for name, resource in resources_of(leg).items()}
    return {name: identity for name, identity in named.items() if identity is not None}
