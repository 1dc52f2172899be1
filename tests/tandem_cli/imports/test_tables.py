"""Files are recognised by their headers, and a bad row spoils only itself."""

import gzip
from pathlib import Path

import pytest

from tandem_cli.imports.mapping import Source
from tandem_cli.imports.tables import assign, check_encoding, read
from tandem_cli.problem import StackProblem
from tests.tandem_cli.imports.samples import written

COLUMNS = {"leads": {"id", "created"}, "deals": {"lead", "price"}}
SOURCES = {"leads": Source(), "deals": Source()}


def test_files_are_recognised_by_their_columns_in_any_order(tmp_path: Path) -> None:
    leads = written(tmp_path / "a.csv", "id,created,more", "1,2,3")
    deals = written(tmp_path / "b.csv", "price,lead")
    assert assign([deals, leads], COLUMNS, SOURCES, needed=["leads"]) == {"leads": [leads], "deals": [deals]}


def test_a_file_that_lacks_a_column_is_refused_by_name(tmp_path: Path) -> None:
    wrong = written(tmp_path / "a.csv", "id,made")
    with pytest.raises(StackProblem, match="as leads it lacks the column created"):
        assign([wrong], COLUMNS, SOURCES, needed=["leads"])


def test_deals_without_their_leads_are_refused(tmp_path: Path) -> None:
    deals = written(tmp_path / "b.csv", "price,lead")
    with pytest.raises(StackProblem, match="None of the files holds leads"):
        assign([deals], COLUMNS, SOURCES, needed=["leads"])


@pytest.mark.parametrize(("shown", "delimiter"), [(";", ";"), ("\\t", "\t"), ("|", "|")])
def test_a_file_with_another_delimiter_is_refused_with_what_to_set(tmp_path: Path, shown: str, delimiter: str) -> None:
    wrong = written(tmp_path / "a.csv", delimiter.join(["id", "created", "more"]))
    with pytest.raises(StackProblem) as refused:
        assign([wrong], COLUMNS, SOURCES, needed=["leads"])
    assert f'Set in the mapping: sources: {{leads: {{delimiter: "{shown}"}}}}' in str(refused.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_a_file_with_another_encoding_of_its_header_is_refused_with_what_to_set(tmp_path: Path, encoding: str) -> None:
    wrong = tmp_path / "a.csv"
    wrong.write_bytes("id;created\n1;2\n".encode(encoding))
    with pytest.raises(StackProblem) as refused:
        assign([wrong], COLUMNS, {"leads": Source(encoding="cp1252"), "deals": Source()}, needed=[])
    assert f'sources: {{leads: {{delimiter: ";", encoding: {encoding.removesuffix("-sig")}}}}}' in str(refused.value)


def test_a_file_that_is_not_in_its_encoding_is_refused_with_how_others_read_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("id,created\n1,x\n2,Москва и Тверь\n3,Новгород\n".encode("cp1251"))
    with pytest.raises(StackProblem) as refused:
        check_encoding([path], "leads", Source())
    message = str(refused.value)
    assert "a.csv is not utf-8" in message
    assert "Set in the mapping: sources: {leads: {encoding: cp1251}}" in message
    assert "or another one, if that is the one by which line 3 reads\n  cp1251: 2,Москва и Тверь" in message
    assert "cp1252: 2,Ìîñêâà" in message


def test_a_utf_8_file_that_the_mapping_takes_for_another_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "id,created", "1,Škoda")
    with pytest.raises(StackProblem, match=r"a\.csv is utf-8, not cp1252\. .*encoding: utf-8"):
        check_encoding([path], "leads", Source(encoding="cp1252"))


def test_a_few_broken_rows_of_a_utf_8_file_are_their_own_errors(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,created\n1,x\xff\n" + "2,Škoda\n".encode())
    check_encoding([path], "leads", Source())
    assert [row.line for row in read([path], Source()).errors] == [2]


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackProblem, match="has the column id twice"):
        assign([written(tmp_path / "a.csv", "id,created,id")], COLUMNS, SOURCES, needed=["leads"])


def test_a_file_that_is_not_gzip_though_it_begins_so_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "a.csv.gz"
    broken.write_bytes(gzip.compress(b"id,created\n1,2\n")[:-9])
    with pytest.raises(StackProblem, match="cannot be read"):
        read([broken], Source())


def test_a_file_that_breaks_off_is_refused_whatever_is_done_with_it(tmp_path: Path) -> None:
    broken = tmp_path / "a.csv.gz"
    broken.write_bytes(gzip.compress(b"id,created\n" + b"1,2\n" * 9)[:-12])
    with pytest.raises(StackProblem, match="cannot be read"):
        check_encoding([broken], "leads", Source())
    odd = tmp_path / "b.csv"
    odd.write_bytes("id,created\n1,2\n".encode("utf-16")[:-1])
    with pytest.raises(StackProblem, match="cannot be read"):
        read([odd], Source(encoding="utf-16"))
    with pytest.raises(StackProblem, match="encoding: utf-16"):
        assign([odd], COLUMNS, SOURCES, needed=[])


def test_gzip_bom_quotes_and_other_delimiters_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.compress('\ufeffid;created\r\n1;"two\r\nlines; one cell"\r\n2;ž\r\n'.encode()))
    table = read([path], Source(delimiter=";"))
    assert [(row.line, row.cells["created"]) for row in table.rows] == [(2, "two\r\nlines; one cell"), (4, "ž")]
    assert table.errors == []


def test_rows_that_are_no_rows_are_reported_and_the_others_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,created\n1,x\n2\n3,\xff\n4,a\x00b\n\n5,y\n")
    table = read([path], Source())
    assert [row.cells["id"] for row in table.rows] == ["1", "5"]
    assert [(error.line, error.column, error.reason) for error in table.errors] == [
        (3, "", "has 1 cells where the header has 2"),
        (4, "created", "is not utf-8 text"),
        (5, "created", "is not utf-8 text"),
    ]


def test_another_encoding_is_read_as_such(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("id,created\n1,Škoda\n".encode("cp1257"))
    assert read([path], Source(encoding="cp1257")).rows[0].cells["created"] == "Škoda"
