"""A mapping that does not hold is refused in plain words, before any row is read or anything is sent."""

from pathlib import Path

import pytest

from tandem_cli.imports.mapping import bundled, load
from tandem_cli.problem import StackProblem
from tests.tandem_cli.imports.samples import LEADS, LEADS_WITHOUT_ACCOUNT, TICKETS, changed, written


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(StackProblem) as refused:
        load(str(written(folder / "mapping.yaml", text)))
    return str(refused.value)


@pytest.mark.parametrize("name", bundled())
def test_the_mappings_that_come_along_hold(name: str) -> None:
    assert load(name).name == name


def test_a_name_that_is_neither_file_nor_bundled_lists_what_there_is() -> None:
    with pytest.raises(StackProblem, match="no mapping file nothing; those that come along: incidents, olist"):
        load("nothing")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed(LEADS, "lead", "chanel", to="source"), "lead.chanel: there is no such key"),
        (changed(LEADS, "kind", to="leads and deals"), "`kind` must be leads, tickets or crm"),
        (changed(LEADS, "name", to="My Import"), "name: "),
        (changed(LEADS, "lead", "channel", to={"column": "a", "constant": "b"}), "either a column or a constant"),
        (changed(LEADS, "lead", "channel", to={"constant": "b", "slug": True}), "a constant is taken as it is"),
        (changed(LEADS, "lead", "created_at", "zone", to="Vilnius"), "there is no time zone 'Vilnius'"),
        (changed(LEADS, "sources", to={"leads": {"encoding": "utf-9"}}), "there is no encoding 'utf-9'"),
        (changed(LEADS, "sources", to={"leads": {"delimiter": "||"}}), "sources.leads.delimiter"),
        (changed(LEADS, "deal", "outcome", to={"constant": "sold"}), "sold: must be one of won, lost, open"),
        (changed(LEADS, "deal", "outcome", to="result"), "map the cells by `values` to: won, lost, open"),
        (changed(LEADS, "deal", "currency", to={"constant": "EURO"}), "EURO: not an ISO 4217 currency code"),
        (changed(LEADS, "deal", "lines", to=[]), "deal.lines"),
        (changed(LEADS, "deal", "account", to="customer"), "account_name is short for account.name: give one of them"),
        (
            changed(LEADS_WITHOUT_ACCOUNT, "deal", "account", to={"name": "customer", "match": ["domain", "name"]}),
            "matches by domain, and does not say where that comes from",
        ),
        (changed(LEADS, "exchange_rates", 0, "rate", to=0.9), "exchange_rates.0.rate"),
        (
            changed(LEADS, "deal", "account_name", to={"column": "c", "template": "Customer"}),
            "a template holds {} once",
        ),
        (changed(TICKETS, "ticket", "priority", "values", to={"1": "asap"}), "asap: must be one of low, normal"),
        (changed(TICKETS, "ticket", "channel", to="by"), "map the cells by `values` to: phone, email"),
        (changed(TICKETS, "ticket", "channel", "values", to={True: "phone"}), "ticket.channel.values"),
        ("name: twice\nname: again\n", "the key 'name' is given twice"),
        ("- a list", "the whole file"),
        ("{", "is not YAML"),
    ],
)
def test_an_error_in_a_mapping_is_reported_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, text)
