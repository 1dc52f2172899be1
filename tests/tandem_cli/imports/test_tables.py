"""Files are recognised by their headers, and a bad row spoils only itself."""

import gzip
from pathlib import Path

import pytest

from tandem_cli.imports.mapping import Source
from tandem_cli.imports.tables import assign, read
from tandem_cli.problem import StackProblem
from tests.tandem_cli.imports.samples import written

COLUMNS = {"leads": {"id", "created"}, "deals": {"lead", "price"}}
SOURCES = {"leads": Source(), "deals": Source()}


def test_files_are_recognised_by_their_columns_in_any_order(tmp_path: Path) -> None:
    leads = written(tmp_path / "a.csv", "id,created,more", "1,2,3")
    deals = written(tmp_path / "b.csv", "price,lead")
    assert assign([deals, leads], COLUMNS, SOURCES) == {"leads": [leads], "deals": [deals]}


def test_a_file_that_lacks_a_column_is_refused_by_name(tmp_path: Path) -> None:
    wrong = written(tmp_path / "a.csv", "id,made")
    with pytest.raises(StackProblem, match="as leads it lacks the column created"):
        assign([wrong], COLUMNS, SOURCES)


def test_deals_without_their_leads_are_refused(tmp_path: Path) -> None:
    deals = written(tmp_path / "b.csv", "price,lead")
    with pytest.raises(StackProblem, match="None of the files holds leads"):
        assign([deals], COLUMNS, SOURCES)


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackProblem, match="has the column id twice"):
        assign([written(tmp_path / "a.csv", "id,created,id")], COLUMNS, SOURCES)


def test_a_file_that_is_not_gzip_though_it_begins_so_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "a.csv.gz"
    broken.write_bytes(gzip.compress(b"id,created\n1,2\n")[:-9])
    with pytest.raises(StackProblem, match="cannot be read"):
        read([broken], Source())


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
