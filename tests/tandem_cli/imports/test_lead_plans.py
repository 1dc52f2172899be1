"""What an import of leads will send, seen before it is sent."""

from pathlib import Path

import pytest

from tandem_cli.imports.leads import plan_leads
from tandem_cli.imports.plan import Plan
from tandem_cli.imports.tables import read
from tandem_cli.requests import Ref
from tests.tandem_cli.imports.samples import (
    DEAL_COLUMNS,
    LEAD_COLUMNS,
    LEADS,
    LEADS_WITHOUT_ACCOUNT,
    changed,
    leads_mapping,
    written,
)

WON = "a,2012-03-05 10:00,W,price,Ona,Jonas,EUR,pump,2,1299.50"

KNOWN = {"name": "customer", "external_ref": "why", "match": ["external_ref", "name"]}


def planned(folder: Path, leads: list[str], deals: list[str], text: str = LEADS) -> Plan:
    mapping = leads_mapping(folder, text)
    leads_file = written(folder / "leads.csv", LEAD_COLUMNS, *leads)
    deals_file = written(folder / "deals.csv", DEAL_COLUMNS, *deals)
    return plan_leads(mapping, read([leads_file], mapping.sources.leads), read([deals_file], mapping.sources.deals))


def test_a_won_lead_is_created_converted_and_closed_at_its_own_times(tmp_path: Path) -> None:
    plan = planned(tmp_path, ["a,2012-03-01 09:00,Trade Fair,Jonas"], [WON])
    (record,) = plan.records
    create, convert, close = record.steps
    assert create.path == ("leads",)
    assert create.body == {
        "channel": "trade-fair",
        "owner_id": Ref("sales/reps", "Jonas"),
        "external_ref": "small-leads:a",
        "occurred_at": "2012-03-01T07:00:00Z",  # Vilnius is two hours ahead in winter
    }
    assert convert.body["occurred_at"] == close.body["occurred_at"] == "2012-03-05T08:00:00Z"
    assert convert.body["deal"]["lines"] == [{"product": "pump", "quantity": 2, "unit_price": "1299.50"}]
    assert convert.body["deal"]["opened_at"] == create.body["occurred_at"]  # the sale began with the lead
    account = plan.needed[convert.body["account_id"]]
    assert (account.body["name"], account.body["owner_id"]) == ("Customer Ona", Ref("sales/reps", "Jonas"))
    assert account.body["occurred_at"] == create.body["occurred_at"]
    assert (close.body["outcome"], close.body["reason"]) == ("won", "price")


def test_what_deals_refer_to_is_made_first_and_once(tmp_path: Path) -> None:
    leads = ["a,2012-03-01 09:00,Fair,Jonas", "b,2012-03-02 09:00,Fair,Jonas"]
    deals = [WON, "b,2012-03-06 10:00,L,,Petras,Rasa,USD,,1,5"]
    plan = planned(tmp_path, leads, deals)
    assert sorted((ref.noun, ref.key) for ref in plan.needed) == [
        ("sales/accounts", "name:customer ona"),
        ("sales/accounts", "name:customer petras"),
        ("sales/exchange-rates", "USD@2012-01-01"),
        ("sales/products", "pump"),
        ("sales/products", "unspecified"),
        ("sales/reps", "Jonas"),
        ("sales/reps", "Rasa"),
        ("sales/teams", "Imported"),
    ]


def test_an_open_deal_is_not_closed_and_a_lead_without_deal_only_created(tmp_path: Path) -> None:
    leads = ["a,2012-03-01 09:00,Fair,", "b,2012-03-02 09:00,,"]
    plan = planned(tmp_path, leads, ["a,2012-03-05 10:00,O,,Ona,,EUR,pump,1,7"])
    assert [[step.name for step in record.steps] for record in plan.records] == [["create", "convert"], ["create"]]
    assert "channel" not in plan.records[1].steps[0].body


@pytest.mark.parametrize(
    ("lead", "deal", "column", "reason"),
    [
        ("a,1 March,Fair,", WON, "created", "'1 March' is not of the form %Y-%m-%d %H:%M"),
        ("a,2012-03-01 09:00,???,", WON, "source", "no letter of '???' fits in a code; name a code for it in `values`"),
        ("a,2012-03-25 03:30,Fair,", WON, "created", "does not exist in Europe/Vilnius: clocks were set"),
        (",2012-03-01 09:00,Fair,", "", "id", "is unknown, and cannot be"),
        ("a,2012-03-06 09:00,Fair,", WON, "closed", "is before the lead was created"),
        ("a,2012-03-01 09:00,Fair,", WON.replace("W", "X"), "result", "'X' is none of the values of the mapping"),
        ("a,2012-03-01 09:00,Fair,", WON.replace("1299.50", "1299.505"), "price", "more than 2 decimal places"),
        (
            "a,2012-03-01 09:00,Fair,",
            WON.replace("1299.50", "1.299,50").replace(",50", ";50"),
            "price",
            "not an amount",
        ),
        ("a,2012-03-01 09:00,Fair,", WON.replace(",2,", ",0,"), "pieces", "not a whole number from 1"),
        ("a,2012-03-01 09:00,Fair,", WON.replace("pump", "a pump"), "product", "`slug: true` makes it one"),
        ("a,2012-03-01 09:00,Fair,", WON.replace("a,", "z,", 1), "lead", "there is no lead z in these files"),
    ],
)
def test_a_bad_cell_is_reported_with_row_column_and_reason(
    tmp_path: Path, lead: str, deal: str, column: str, reason: str
) -> None:
    plan = planned(tmp_path, [lead], [deal] if deal else [])
    (error,) = [error for error in plan.errors if error.column == column]
    assert error.line == 2
    assert reason in error.reason


def test_a_lead_or_a_deal_that_comes_twice_is_an_error_of_the_second_row(tmp_path: Path) -> None:
    lead = "a,2012-03-01 09:00,Fair,"
    plan = planned(tmp_path, [lead, lead], [WON, WON])
    assert len(plan.records) == 1
    assert [(error.file, error.line) for error in plan.errors] == [("deals.csv", 3), ("leads.csv", 3)]


def matched(folder: Path, customers: list[str], why: list[str], **account: object) -> list[str]:
    """The keys of the accounts of deals with these customers and reasons, by a mapping with this account."""
    text = changed(LEADS_WITHOUT_ACCOUNT, "deal", "account", to={"name": "customer", **account})
    leads = [f"{number},2012-03-01 09:00,Fair,Jonas" for number in range(len(customers))]
    rows = enumerate(zip(customers, why, strict=True))
    deals = [f'{number},2012-03-05 10:00,W,{extra},"{name}",,EUR,pump,1,7' for number, (name, extra) in rows]
    text = changed(text, "deal", "reason", to={"constant": "price"})
    plan = planned(folder, leads, deals, text=text)
    assert not plan.errors
    return [record.steps[1].body["account_id"].key for record in plan.records]


def test_accounts_match_by_the_name_without_case_accents_and_dots(tmp_path: Path) -> None:
    names = ["Acme", "acmé", " ACME  GmbH", "Acme, G.m.b.H.", "Acme+"]
    keys = ["name:acme", "name:acme", "name:acme gmbh", "name:acme gmbh", "name:acme+"]
    assert matched(tmp_path, names, [""] * 5) == keys


def test_accounts_match_by_their_reference_where_they_have_one(tmp_path: Path) -> None:
    assert matched(tmp_path, ["Acme", "Acme Ltd", "Acme"], ["7", "7", "8"], reference="why") == ["7", "7", "8"]


def test_accounts_that_are_known_by_an_external_ref_keep_it(tmp_path: Path) -> None:
    text = changed(LEADS_WITHOUT_ACCOUNT, "deal", "account", to=KNOWN)
    deals = ["a,2012-03-05 10:00,W,crm-7,Ona,,EUR,pump,1,7", "b,2012-03-05 10:00,W,,Jonas,,EUR,pump,1,7"]
    leads = ["a,2012-03-01 09:00,Fair,Jonas", "b,2012-03-01 09:00,Fair,Jonas"]
    plan = planned(tmp_path, leads, deals, text=changed(text, "deal", "reason", to={"constant": "price"}))
    accounts = {ref.key: needed.body.get("external_ref") for ref, needed in plan.needed.items() if "acc" in ref.noun}
    assert accounts == {"external_ref:crm-7": "crm-7", "name:jonas": None}


def test_accounts_match_by_the_first_key_that_a_row_has(tmp_path: Path) -> None:
    names = ["Acme", "Acme Ltd", "Joe", "Jim", "Acme"]
    domains = ["https://www.acme.example/shop", "Ann@ACME.example", "joe@gmail.com", "", ""]
    keys = ["domain:acme.example", "domain:acme.example", "name:joe", "name:jim", "name:acme"]
    assert matched(tmp_path, names, domains, domain="why", match=["domain", "name"]) == keys


def test_an_account_is_as_its_earliest_row_has_it(tmp_path: Path) -> None:
    leads = ["a,2012-03-08 09:00,Fair,Jonas", "b,2012-03-01 09:00,Web,", "c,2012-03-02 09:00,Mail,Rasa"]
    deals = [
        WON.replace("03-05", "03-09"),
        "b,2012-03-06 10:00,L,,Ona,,USD,,1,5",
        "c,2012-03-06 10:00,L,,ona,,USD,,1,5",
    ]
    plan = planned(tmp_path, leads, deals)
    (account,) = [needed for ref, needed in plan.needed.items() if ref.noun == "sales/accounts"]
    assert account.body == {
        "name": "Customer Ona",
        "channel": "web",
        "owner_id": Ref("sales/reps", "Rasa"),
        "occurred_at": "2012-03-01T07:00:00Z",
    }


def test_a_deal_takes_both_times(tmp_path: Path) -> None:
    text = changed(LEADS, "deal", "opened_at", to={"column": "why", "format": "%Y-%m-%d", "zone": "UTC"})
    text = changed(text, "deal", "reason", to={"constant": "price"})
    deals = [
        "a,2012-03-31 10:00,W,2012-03-02,Ona,,EUR,pump,1,7",
        "b,2012-03-31 10:00,W,,Ona,,EUR,pump,1,7",
        "c,,O,2012-03-03,Ona,,EUR,pump,1,7",
        "d,2012-03-31 10:00,W,2012-02-28,Ona,,EUR,pump,1,7",
        "e,2012-03-02 10:00,W,2012-03-03,Ona,,EUR,pump,1,7",
        "f,,W,2012-03-03,Ona,,EUR,pump,1,7",
    ]
    plan = planned(tmp_path, [f"{name},2012-03-01 02:00,Fair," for name in "abcdef"], deals, text=text)
    times = {
        record.reference: [(step.name, step.body["occurred_at"][5:10]) for step in record.steps]
        for record in plan.records
    }
    assert times == {
        "a": [("create", "03-01"), ("convert", "03-02"), ("close", "03-31")],
        "b": [("create", "03-01"), ("convert", "03-31"), ("close", "03-31")],
        "c": [("create", "03-01"), ("convert", "03-03")],
    }
    assert [record.steps[1].body["deal"].get("opened_at") for record in plan.records] == [
        *(None, "2012-03-01T00:00:00Z", None),
    ]
    assert [(error.column, error.reason) for error in plan.errors] == [
        ("why", "is before the lead was created"),
        ("closed", "is before the deal was opened"),
        ("closed", "is unknown, and cannot be"),
    ]
