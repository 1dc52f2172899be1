"""Publishing the contracts: the documents follow the code, and no change that breaks a reader gets into them."""

import copy
import json
from collections.abc import Callable
from inspect import cleandoc
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from event_contracts import publish
from event_contracts.asyncapi import asyncapi
from event_contracts.catalogue import EVENT_TYPES
from event_contracts.compatibility import breaking_changes
from event_contracts.examples import encoded_example, examples
from event_contracts.publish import TABLE_BEGINS, TABLE_ENDS, main, schemas

DOCS = Path(__file__).parents[2] / "docs"
SCHEMAS = schemas()
DEAL_CLOSED = "sales.deal-closed.v1.json"

Schema = dict[str, Any]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder with the documents as the code has them."""
    (tmp_path / "events.md").write_text(f"# Events\n\n{TABLE_BEGINS}{TABLE_ENDS}\nThe end.\n")
    assert main([str(tmp_path)]) == 0
    return tmp_path


def change_schema(docs: Path, name: str, change: Callable[[Schema], object]) -> None:
    """Makes the published schema another than the code's, as if the code had changed since."""
    path = docs / "schemas" / name
    schema = json.loads(path.read_text())
    change(schema)
    path.write_text(json.dumps(schema))


def test_the_committed_documents_agree_with_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(DOCS), "--check"]) == 0, capsys.readouterr()


def test_writing_twice_changes_nothing(docs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in docs.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main([str(docs)]) == 0
    assert capsys.readouterr().out == ""
    assert {path: path.read_bytes() for path in docs.rglob("*") if path.is_file()} == before


def test_descriptions_have_no_indentation_on_any_version_of_python() -> None:
    def described(schema: Any) -> list[str]:
        if isinstance(schema, list):
            return [text for value in schema for text in described(value)]
        if not isinstance(schema, dict):
            return []
        own = [schema["description"]] if isinstance(schema.get("description"), str) else []
        return own + [text for value in schema.values() for text in described(value)]

    texts = described(list(SCHEMAS.values()))
    assert [text for text in texts if text != cleandoc(text)] == []
    assert any("\n" in text for text in texts), "none has a second line to indent"


def test_there_is_a_schema_for_each_event_and_one_for_the_envelope(docs: Path) -> None:
    expected = {f"{entry.name}.v{entry.version}.json" for entry in EVENT_TYPES.values()} | {"cloudevent.v1.json"}
    assert {path.name for path in (docs / "schemas").iterdir()} == expected


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_each_example_fits_its_published_schemas(name: str) -> None:
    event = json.loads(encoded_example(name))
    for file, instance in (("cloudevent.v1.json", event), (f"{name}.v1.json", event["data"])):
        validator = jsonschema_rs.Draft202012Validator(SCHEMAS[file], validate_formats=True)
        assert [error.message for error in validator.iter_errors(instance)] == []


@pytest.mark.parametrize("file", sorted(SCHEMAS))
def test_each_schema_is_itself_valid(file: str) -> None:
    jsonschema_rs.meta.validate(SCHEMAS[file])


def test_the_yaml_is_exactly_what_was_meant(docs: Path) -> None:
    assert yaml.safe_load((docs / "asyncapi.yaml").read_text()) == asyncapi()


def test_every_reference_in_the_asyncapi_document_leads_somewhere(docs: Path) -> None:
    document = yaml.safe_load((docs / "asyncapi.yaml").read_text())

    def references(value: object) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if "$ref" in value else []
            return own + [found for inner in value.values() for found in references(inner)]
        return [found for inner in value for found in references(inner)] if isinstance(value, list) else []

    found = references(document)
    assert len(found) > 2 * len(EVENT_TYPES)
    for reference in found:
        file, _, pointer = reference.partition("#")
        if file:
            assert (docs / file).is_file(), reference
        else:
            target = document
            for part in pointer.strip("/").split("/"):
                target = target[part]


def test_every_event_is_in_a_channel_and_in_the_table(docs: Path) -> None:
    channels = yaml.safe_load((docs / "asyncapi.yaml").read_text())["channels"]
    table = (docs / "events.md").read_text()
    for entry in EVENT_TYPES.values():
        assert entry.name in channels[entry.topic]["messages"]
        assert f"| `{entry.name}` |" in table
    assert table.startswith("# Events\n")
    assert table.endswith("\nThe end.\n")


def test_a_check_shows_what_differs_and_writes_nothing(docs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_schema(docs, DEAL_CLOSED, lambda schema: schema.update(description="Something old."))
    before = (docs / "schemas" / DEAL_CLOSED).read_text()
    assert main([str(docs), "--check"]) == 1
    printed = capsys.readouterr()
    assert '+  "description": "A deal was won or lost."' in printed.out
    assert f"{DEAL_CLOSED} differs from the code" in printed.err
    assert "make contracts" in printed.err
    assert (docs / "schemas" / DEAL_CLOSED).read_text() == before


@pytest.mark.parametrize("file", ["asyncapi.yaml", "schemas/cloudevent.v1.json", f"schemas/{DEAL_CLOSED}"])
def test_a_check_misses_a_document_that_is_not_there(docs: Path, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    (docs / file).unlink()
    assert main([str(docs), "--check"]) == 1
    assert file in capsys.readouterr().err


def test_a_check_points_out_a_file_that_belongs_to_no_event(docs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (docs / "schemas" / "notes.txt").write_text("stray")
    assert main([str(docs), "--check"]) == 1
    assert "notes.txt belongs to no event" in capsys.readouterr().err


def test_events_md_needs_its_markers(docs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (docs / "events.md").write_text("# Events\n")
    assert main([str(docs)]) == 1
    assert "lacks the lines" in capsys.readouterr().err


def test_an_older_major_version_keeps_its_file(docs: Path) -> None:
    older = docs / "schemas" / "sales.deal-closed.v0.json"
    older.write_text('{"type": "object"}')
    assert main([str(docs)]) == 0
    assert main([str(docs), "--check"]) == 0
    assert older.read_text() == '{"type": "object"}'


def test_an_event_cannot_vanish(docs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (docs / "schemas" / "sales.deal-archived.v1.json").write_text('{"type": "object"}')
    assert main([str(docs)]) == 1
    assert "sales.deal-archived: the event is gone" in capsys.readouterr().err


def test_a_breaking_change_is_refused_and_nothing_is_written(docs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_schema(docs, DEAL_CLOSED, lambda schema: schema["properties"].update(discount={"type": "string"}))
    (docs / "asyncapi.yaml").unlink()
    assert main([str(docs)]) == 1
    printed = capsys.readouterr().err
    assert f"{DEAL_CLOSED}: data.discount was removed or renamed" in printed
    assert "new major version" in printed
    assert not (docs / "asyncapi.yaml").exists()


def test_an_added_optional_property_is_written(docs: Path) -> None:
    change_schema(docs, DEAL_CLOSED, lambda schema: schema["properties"].pop("reopen_count"))
    assert main([str(docs)]) == 0
    assert "reopen_count" in json.loads((docs / "schemas" / DEAL_CLOSED).read_text())["properties"]


def test_an_event_without_an_example_is_not_published(
    docs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    some = {name: example for name, example in examples().items() if name != "sales.deal-closed"}
    monkeypatch.setattr(publish, "examples", lambda: some)
    assert main([str(docs)]) == 1
    assert "no example of sales.deal-closed" in capsys.readouterr().err


def changes(change: Callable[[Schema], object]) -> list[str]:
    """The complaints about a change to the schema of a closed deal."""
    old = schemas()[DEAL_CLOSED]
    new = copy.deepcopy(old)
    change(new)
    return breaking_changes(old, new)


@pytest.mark.parametrize(
    "change",
    [
        lambda new: None,
        lambda new: new.update(description="In other words."),
        lambda new: new["properties"].update(note={"type": "string", "default": ""}),
        lambda new: new["$defs"]["DealLine"]["properties"].update(note={"type": "string", "default": ""}),
        lambda new: new["properties"]["stage"]["enum"].reverse(),
        lambda new: new["properties"].update(change=new["$defs"].pop("DealClosing")),
    ],
    ids=["none", "description", "optional property", "optional property within", "order of a list", "type inlined"],
)
def test_these_changes_break_no_reader(change: Callable[[Schema], object]) -> None:
    assert changes(change) == []


def rename_amount(new: Schema) -> None:
    new["properties"]["total"] = new["properties"].pop("amount")
    new["required"] = ["total" if name == "amount" else name for name in new["required"]]


@pytest.mark.parametrize(
    ("change", "printed"),
    [
        (lambda new: new["properties"].pop("close_reason"), ["data.close_reason was removed or renamed"]),
        (rename_amount, ["data.amount was removed or renamed", "data.total is new and required"]),
        (
            lambda new: (new["properties"].update(vat={"type": "string"}), new["required"].append("vat")),
            ["data.vat is new and required"],
        ),
        (lambda new: new["required"].append("closed_at"), ["data.closed_at became required"]),
        (lambda new: new["required"].remove("lines"), ["data.lines became optional"]),
        (
            lambda new: new["properties"].update(stage={"anyOf": [new["properties"]["stage"], {"type": "null"}]}),
            ["data.stage may now be null"],
        ),
        (
            lambda new: new["properties"].update(region=new["properties"]["region"]["anyOf"][0]),
            ["data.region may no longer be null"],
        ),
        (
            lambda new: new["properties"]["reopen_count"].update(type="string"),
            ['data.reopen_count changed its type from "integer" to "string"'],
        ),
        (lambda new: new["properties"]["stage"]["enum"].remove("proposal"), ['data.stage lost the value "proposal"']),
        (lambda new: new["properties"]["stage"]["enum"].append("demo"), ['data.stage gained the value "demo"']),
        (
            lambda new: new["properties"]["reopen_count"].update(maximum=9),
            ["data.reopen_count changed its maximum from 2147483647 to 9"],
        ),
        (
            lambda new: new["properties"]["reopen_count"].update(minimum=-5),
            ["data.reopen_count changed its minimum from 0 to -5"],
        ),
        (
            lambda new: new["properties"]["reopen_count"].update(default=1),
            ["data.reopen_count changed its default from 0 to 1"],
        ),
        (
            lambda new: new["properties"]["region"]["anyOf"][0].update(maxLength=8),
            ["data.region changed its maxLength from 64 to 8"],
        ),
        (
            lambda new: new["properties"]["opened_at"].update(format="date"),
            ['data.opened_at changed its format from "date-time" to "date"'],
        ),
        (
            lambda new: new["$defs"]["DealLine"]["properties"].pop("quantity"),
            ["data.lines[].quantity was removed or renamed"],
        ),
        (
            lambda new: new["$defs"]["DealClosing"]["properties"]["outcome"]["enum"].append("drawn"),
            ['data.change.outcome gained the value "drawn"'],
        ),
        (
            lambda new: new["x-event"].update(topic="sales.archive"),
            ["data changed its x-event"],
        ),
    ],
)
def test_these_changes_break_a_reader(change: Callable[[Schema], object], printed: list[str]) -> None:
    found = changes(change)
    assert len(found) == len(printed)
    for sentence, expected in zip(found, printed, strict=True):
        assert sentence.startswith(expected)
