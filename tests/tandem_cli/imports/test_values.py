"""What cells become: codes that keep texts apart, and times however they are written."""

from pathlib import Path

import pytest

from tandem_cli.imports.leads import plan_leads
from tandem_cli.imports.mapping import LeadMapping, load
from tandem_cli.imports.tables import Table, read
from tandem_cli.problem import StackProblem
from tests.tandem_cli.imports.samples import written

MAPPING = """
name: branches
kind: leads
lead:
  reference: Id
  created_at: {column: Created%s}
  segment: {column: Branch, slug: true%s}
"""


def planned(folder: Path, *rows: tuple[str, str], form: str = "", values: str = "") -> list[tuple[str, str | None]]:
    """The times and segments of leads that are created with such a cell each, or have such a branch."""
    mapping = load(str(written(folder / "mapping.yaml", MAPPING % (form and f", format: {form}", values))))
    assert isinstance(mapping, LeadMapping)
    lines = [f"{number},{created},{branch}" for number, (created, branch) in enumerate(rows)]
    table = read([written(folder / "leads.csv", "Id,Created,Branch", *lines)], mapping.sources.leads)
    plan = plan_leads(mapping, table, Table([], []))
    assert [error.reason for error in plan.errors] == []
    bodies = [record.steps[0].body for record in plan.records]
    return [(body["occurred_at"], body.get("segment")) for body in bodies]


def segments(folder: Path, *branches: str, values: str = "") -> list[str | None]:
    return [segment for _, segment in planned(folder, *(("2025-01-01", one) for one in branches), values=values)]


def times(folder: Path, *cells: str, form: str = "") -> list[str]:
    return [time for time, _ in planned(folder, *((one, "C") for one in cells), form=form)]


def refusal(folder: Path, *cells: str, form: str = "") -> str:
    with pytest.raises(StackProblem) as refused:
        times(folder, *cells, form=form)
    return str(refused.value)


def test_letters_that_unicode_does_not_take_apart_are_kept_apart_in_codes(tmp_path: Path) -> None:
    found = segments(tmp_path, "Łódź", "Ódź", "Søborg", "Sborg", "Location 143", "Groß & Klein")
    assert found == ["lodz", "odz", "soborg", "sborg", "location-143", "gross-klein"]


def test_texts_that_would_become_one_code_are_reported_with_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(StackProblem) as refused:
        segments(tmp_path, "C", "C#", "Retail", "C++", "Łódź", "Ódź", "Søborg", "Sborg")
    assert str(refused.value) == (
        "Different texts of the column Branch would become one code:\n"
        "  c: 'C', 'C#', 'C++'\n"
        "Name codes for them where the mapping names the column, all but one of them at least:\n"
        '  values: {"C#": …, "C++": …}'
    )


def test_listed_values_become_what_is_listed_and_the_others_codes(tmp_path: Path) -> None:
    found = segments(tmp_path, "C", "C#", "C++", "Retail", values=', values: {"C#": c-sharp, "C++": c_plus_plus}')
    assert found == ["c", "c-sharp", "c_plus_plus", "retail"]


def test_case_accents_and_spaces_make_no_other_code(tmp_path: Path) -> None:
    assert segments(tmp_path, "Trade Show", "trade  show", "TRADE-SHOW", "Café", "cafe") == [
        *(["trade-show"] * 3),
        *(["cafe"] * 2),
    ]


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["29/2/2016 01:16", "1/3/2016 23:59"], ["2016-02-29T01:16:00Z", "2016-03-01T23:59:00Z"]),
        (["2/13/16 1:16 PM", "2/3/16 11:05 AM"], ["2016-02-13T13:16:00Z", "2016-02-03T11:05:00Z"]),
        (["2016-02-29", "2016-03-01"], ["2016-02-29T00:00:00Z", "2016-03-01T00:00:00Z"]),
        (["2016-02-29T10:00:00+02:00"], ["2016-02-29T08:00:00Z"]),
        (["29 Feb 2016"], ["2016-02-29T00:00:00Z"]),
    ],
)
def test_times_are_read_without_a_format_where_their_column_has_only_one(
    tmp_path: Path, cells: list[str], found: list[str]
) -> None:
    assert times(tmp_path, *cells) == found


def test_days_and_months_that_could_be_either_are_not_guessed(tmp_path: Path) -> None:
    assert refusal(tmp_path, "1/2/2016 01:16", "3/4/2016 01:16") == (
        "The times of the column Created, such as '1/2/2016 01:16', could be of the form %d/%m/%Y %H:%M or"
        ' %m/%d/%Y %H:%M. Set the right one where the mapping names the column: format: "%d/%m/%Y %H:%M"'
    )


def test_times_of_no_known_form_need_one_that_is_named(tmp_path: Path) -> None:
    assert "such as '1st of May', are of no form that is known. Name it" in refusal(
        tmp_path, "2016-02-29", "1st of May"
    )


@pytest.mark.parametrize(
    ("form", "cell"), [('"%d-%m-%Y %H:%M"', "29/2/2016 01:16"), ('"%m/%d/%Y %H:%M"', "3/2/2016 01:16")]
)
def test_a_format_that_the_file_does_not_have_is_reported_with_the_one_that_it_has(
    tmp_path: Path, form: str, cell: str
) -> None:
    message = refusal(tmp_path, cell, "29/2/2016 01:16", form=form)
    assert f"are not of the form {form.strip(chr(34))}" in message
    assert message.endswith('Set it where the mapping names the column: format: "%d/%m/%Y %H:%M"')
