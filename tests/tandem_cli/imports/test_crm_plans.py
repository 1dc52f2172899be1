"""What an import of a CRM will send: everything that deals refer to, and each deal with its history."""

from pathlib import Path
from typing import Any

import pytest

from tandem_cli.imports.mapping import load
from tandem_cli.imports.plan import Plan
from tandem_cli.imports.run import make_plan
from tandem_cli.problem import StackProblem
from tandem_cli.requests import Ref
from tests.tandem_cli.imports import crm
from tests.tandem_cli.imports.samples import changed, written


def planned(folder: Path, *more_deals: str, text: str = crm.MAPPING) -> Plan:
    """The plan of the small CRM with more deals."""
    _, deals, *others = crm.files(folder)
    written(deals, *deals.read_text().splitlines(), *more_deals)
    return make_plan(load(str(written(folder / "mapping.yaml", text))), [deals, *others])


def body_of(plan: Plan, noun: str, key: str) -> dict[str, Any]:
    return dict(plan.needed[Ref(f"sales/{noun}", key)].body)


def test_what_deals_refer_to_is_made_with_its_fields(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert not plan.errors
    assert body_of(plan, "products", "boiler-pro") == {"code": "boiler-pro", "name": "Boiler Pro"}
    assert body_of(plan, "reps", "Ann") == {
        "name": "Ann",
        "region": "east",
        "team_id": Ref("sales/teams", "East / Team of Cy"),
    }
    assert body_of(plan, "teams", "East / Team of Cy") == {
        "name": "Team of Cy",
        "parent_id": Ref("sales/teams", "East"),
    }
    first = min(deal.engaged for deal in crm.deals() if deal.account == "Bluth" and deal.engaged)
    assert body_of(plan, "accounts", "name:bluth") == {
        "name": "Bluth",
        "segment": "real-estate",
        "region": "spain",
        "owner_id": Ref("sales/reps", "Ann"),
        "occurred_at": f"{min(first.isoformat(), '2006-01-01')}T00:00:00Z",
    }
    assert len([ref for ref in plan.needed if ref.noun == "sales/accounts"]) == 3


def test_a_manager_belongs_to_the_lowest_team_above_all_of_their_people(tmp_path: Path) -> None:
    text = changed(crm.MAPPING, "rep", "team", to=["office", "agent"])
    assert body_of(planned(tmp_path), "reps", "Cy")["team_id"] == Ref("sales/teams", "East / Team of Cy")
    assert body_of(planned(tmp_path, text=text), "reps", "Cy")["team_id"] == Ref("sales/teams", "East")
    assert body_of(planned(tmp_path, text=text), "reps", "Gus")["team_id"] == Ref("sales/teams", "West / Fay")


def test_deals_are_opened_moved_and_closed_at_their_times(tmp_path: Path) -> None:
    won, _, _, engaging, *_, prospecting = planned(tmp_path).records[:7]
    deal = crm.deals()[0]
    assert [(step.path[-1], step.body["occurred_at"][:10]) for step in won.steps] == [
        ("deals", str(deal.engaged)),
        ("close", str(deal.closed)),
    ]
    assert won.steps[0].body["account_id"] == Ref("sales/accounts", "name:acme inc")
    assert won.steps[0].body["lines"] == [{"product": "boiler", "quantity": 1, "unit_price": str(deal.value)}]
    assert won.steps[1].body["outcome"] == "won"
    assert [step.body.get("stage") for step in engaging.steps] == [None, "proposal"]
    assert [step.body["occurred_at"] for step in prospecting.steps] == ["2006-01-01T00:00:00Z"]


def test_a_deal_without_a_value_has_the_products_price(tmp_path: Path) -> None:
    record = planned(tmp_path).records[3]
    assert record.steps[0].body["lines"] == [{"product": "boiler-pro", "quantity": 1, "unit_price": "4821.50"}]


@pytest.mark.parametrize(
    ("deal", "column", "reason"),
    [
        (
            "X;Acme Incc;Boiler;Ann;Won;1/1/2006;2/1/2006;9",
            "account",
            "there is name:acme inc, which `values` can name",
        ),
        (
            "X;Bluth;Boilere;Ann;Won;1/1/2006;2/1/2006;9",
            "product",
            "there is no product boilere in these files; there is boiler",
        ),
        ("X;Bluth;Boiler;Zed;Won;1/1/2006;2/1/2006;9", "agent", "there is no salesperson Zed in these files"),
        ("X;Bluth;Boiler;Ann;Won;1/1/2006;;9", "closed", "a won deal needs closed_at"),
        ("X;Bluth;Boiler;Ann;Lost;2/1/2006;1/1/2006;9", "closed", "is before the deal was opened"),
        ("X;Bluth;Boiler;Ann;Sold;1/1/2006;2/1/2006;9", "stage", "'Sold' is none of the values"),
        ("X;Bluth;Boiler;Ann;Won;1/1/2006;2/1/2006;9.999", "value", "more than 2 decimal places"),
        ("O1;Bluth;Boiler;Ann;Won;1/1/2006;2/1/2006;9", "opportunity", "O1 came before"),
    ],
)
def test_a_bad_row_is_reported_with_its_column(tmp_path: Path, deal: str, column: str, reason: str) -> None:
    plan = planned(tmp_path, deal)
    assert len(plan.records) == 40
    (error,) = plan.errors
    assert (error.file, error.line, error.column) == ("deals.csv", 42, column)
    assert reason in error.reason


def test_all_files_of_a_crm_are_needed(tmp_path: Path) -> None:
    mapping, deals, *others = crm.files(tmp_path)
    with pytest.raises(StackProblem, match="None of the files holds products: the columns product, sales_price"):
        make_plan(load(str(mapping)), [deals, others[0], others[2]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed(crm.MAPPING, "deal", "account", to={"reference": "account"}), "must match by the same"),
        (changed(crm.MAPPING, "account", to=None), "small-crm"),
        (changed(crm.MAPPING, "account", to={"reference": "account"}), "needs a name"),
        (changed(crm.MAPPING, "deal", "stage", to="stage"), "map the cells by `values` to: prospecting"),
        (changed(crm.MAPPING, "deal", "opened_at", "default", to="soon"), "'soon' is no time such as 2016-12-31"),
    ],
)
def test_a_mapping_that_does_not_fit_together_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = str(written(tmp_path / "mapping.yaml", text))
    if message == "small-crm":
        assert load(path).name == message
        return
    with pytest.raises(StackProblem) as refused:
        load(path)
    assert message in str(refused.value)
