"""A table of access: what it refuses to declare, and how scopes add up."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from service_kit.access import (
    ALL,
    BELOW,
    NOTHING,
    OWN,
    REGION,
    SEEN,
    TEAM,
    UNASSIGNED,
    AccessTable,
    Noun,
    Reach,
    Scope,
    rule,
)
from service_kit.auth import Principal
from service_kit.problems import Forbidden

ME, OTHER, MINE, BELOW_ME, ELSEWHERE = (UUID(int=number) for number in range(1, 6))
BOX = sa.Table(
    "box",
    sa.MetaData(),
    *(sa.Column(name, sa.Uuid) for name in ("id", "owner_id", "team_id")),
    sa.Column("region", sa.Text),
)
WHOSE: dict[str, Any] = {"table": BOX, "owner": "owner_id", "team": "team_id", "region": "region"}
REACH = Reach(person=ME, teams=frozenset({MINE}), below=frozenset({MINE, BELOW_ME}), regions=frozenset({"south"}))


def holder(*roles: str) -> Principal:
    return Principal(subject="ada", roles=frozenset(roles), expires_at=float("inf"))


def test_roles_add_up_and_an_admin_may_do_everything() -> None:
    reading = rule("list_boxes", {"sales-rep": OWN, "service-agent": REGION, "analyst": ALL, "importer": SEEN})
    assert reading.scope_of(frozenset({"sales-rep"})) == OWN
    assert reading.scope_of(frozenset({"sales-rep", "service-agent"})) == OWN | REGION
    assert reading.scope_of(frozenset({"sales-rep", "analyst"})) == ALL
    assert reading.scope_of(frozenset({"importer"})) == ALL
    assert reading.scope_of(frozenset({"admin"})) == ALL
    assert reading.scope_of(frozenset({"sales-manager", "made-up"})) == NOTHING


@pytest.mark.parametrize(
    ("scope", "whose"),
    [
        (OWN, {"own"}),
        (TEAM, {"team"}),
        (BELOW, {"team", "below"}),
        (REGION, {"region"}),
        (UNASSIGNED, {"unassigned", "region"}),
        (ALL, {"own", "team", "below", "region", "unassigned", "elsewhere"}),
        (OWN | TEAM, {"own", "team"}),
        (NOTHING, set()),
    ],
    ids=lambda value: str(value) if isinstance(value, Scope) else "",
)
def test_a_scope_covers_whose_records_it_names(scope: Scope, whose: set[str]) -> None:
    records = {
        "own": (ME, ELSEWHERE, "north"),
        "team": (OTHER, MINE, "north"),
        "below": (OTHER, BELOW_ME, "north"),
        "region": (None, None, "south"),
        "unassigned": (None, None, "north"),
        "elsewhere": (OTHER, ELSEWHERE, None),
    }
    noun = Noun("boxes", read=rule("list_boxes", {}), **WHOSE)
    found = {
        name
        for name, (owner, team, region) in records.items()
        if REACH.covers(noun, scope, SimpleNamespace(owner_id=owner, team_id=team, region=region))
    }
    assert found == whose


def test_who_is_not_known_covers_nothing_but_what_waits() -> None:
    noun = Noun("boxes", read=rule("list_boxes", {}), **WHOSE)
    waiting = SimpleNamespace(owner_id=None, team_id=None, region=None)
    owned = SimpleNamespace(owner_id=ME, team_id=MINE, region="south")
    everything = OWN | TEAM | BELOW | REGION | UNASSIGNED
    assert Reach().covers(noun, everything, waiting)
    assert not Reach().covers(noun, everything, owned)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"owner": "seller_id"}, "seller_id is no column"),
        ({"owner": None}, "no column has the owners"),
        ({"team": None}, "no column has the owners"),
        ({"region": None}, "no column has the owners"),
        ({"personal": ("name",), "served_by": frozenset({"sales-rep"})}, "may write what they may not see"),
    ],
)
def test_a_noun_that_cannot_be_enforced_is_refused(given: dict[str, Any], why: str) -> None:
    reading = rule("list_boxes", {"sales-rep": OWN | TEAM | REGION})
    writing = rule("open_box", {"sales-manager": ALL})
    with pytest.raises(ValueError, match=why):
        Noun("boxes", read=reading, write=(writing,), **(WHOSE | given))


def test_an_operation_has_one_rule_and_a_role_outside_it_is_forbidden() -> None:
    noun = Noun("boxes", read=rule("list_boxes", {"sales-rep": OWN}), **WHOSE)
    with pytest.raises(ValueError, match="list_boxes has two rules"):
        AccessTable(noun, Noun("crates", read=rule("list_boxes", {})))
    table = AccessTable(noun)
    with pytest.raises(ValueError, match="open_box"):
        table.check(["list_boxes", "open_box"])
    with pytest.raises(ValueError, match="list_boxes"):
        table.check([])
    assert table.access("list_boxes", holder("sales-rep")).is_limited
    assert not table.access("list_boxes", holder("sales-rep", "admin")).is_limited
    with pytest.raises(Forbidden, match="sales-rep, admin"):
        table.access("list_boxes", holder("analyst"))
    assert table.described("list_boxes") == {"sales-rep": ["own"], "admin": ["all"]}
