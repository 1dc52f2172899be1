"""The documents agree with the code: links resolve, and commands, settings, metrics and names exist."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import metrics_worker.settings
import sales_api.settings
import service_api.settings
from event_contracts.examples import encoded_example
from metrics_worker.jobs import webhooks
from metrics_worker.ledger import sequence_conflicts
from service_kit import telemetry
from service_kit.settings import ServiceSettings
from tandem_cli.app import COMMANDS
from tandem_cli.kafka_access import PROCESSES

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
OPERATIONS = (ROOT / "docs/quickstart-operations.md").read_text()
MEASURES = (telemetry, webhooks, sequence_conflicts)  # importing them registers them
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def anchors(document: Path) -> set[str]:
    """Return the anchors that a renderer gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", CODE_BLOCK.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_document
def test_every_link_within_the_project_resolves(document: Path) -> None:
    for target in LINK.findall(CODE_BLOCK.sub("", document.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), f"{target} does not exist"
        assert file.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(file), f"{target}: no such heading"


@every_document
def test_every_named_make_target_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^|\$ )make ([a-z0-9-]+)", document.read_text(), re.MULTILINE)) <= targets


@every_document
def test_every_named_tandem_command_exists(document: Path) -> None:
    named = set(re.findall(r"(?:`|^|/|run --rm issuer )tandem ([a-z][a-z-]*)\b", document.read_text(), re.MULTILINE))
    assert named <= set(COMMANDS)


def path_of_a_closed_deal() -> list[tuple[str, list[str]]]:
    """Return the rows of the table: a file, and the names that it should contain."""
    rows = re.findall(r"^\| \d+ \| \[[^\]]+\]\(\.\./([^)]+)\) \| (.*) \|$", ARCHITECTURE, re.MULTILINE)
    return [(file, re.findall(r"`([A-Za-z_]+)`", what)) for file, what in rows]


def test_the_path_of_a_closed_deal_names_existing_code() -> None:
    rows = path_of_a_closed_deal()
    assert len(rows) == 15
    for file, names in rows:
        source = (ROOT / file).read_text()
        assert names, file
        for name in names:
            assert re.search(rf"\b(def|class) {name}\b|import .*\b{name}\b", source), f"{name} is not in {file}"


def test_the_architecture_fits_on_a_page_with_one_diagram() -> None:
    assert len(re.findall(r"^```", ARCHITECTURE, re.MULTILINE)) == 2
    assert len(ARCHITECTURE.splitlines()) <= 90


def test_the_shown_event_is_the_published_example() -> None:
    text = (ROOT / "docs/quickstart-events.md").read_text()
    (shown,) = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]
    example = json.loads(encoded_example("sales.deal-closed"))
    assert shown["data"].pop("…")
    assert shown["data"].items() <= example.pop("data").items()
    del shown["data"], example["traceparent"]
    assert shown == example


def title_and_status(decision: str) -> tuple[str, str]:
    """Return a decision's title and status, without the remark in brackets."""
    title = decision.partition("\n")[0].partition(": ")[2]
    (status,) = re.findall(r"^- Status: (.+?)(?: \([^()]*\))?$", decision, re.MULTILINE)
    return title, status


@pytest.mark.parametrize("decision", sorted((ROOT / "docs/decisions").glob("0*.md")), ids=lambda path: path.stem)
def test_every_decision_has_the_same_form(decision: Path) -> None:
    headings = re.findall(r"^## (.+)$", decision.read_text(), re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences", "Alternatives", "Revisit when"]
    assert re.search(r"^- Date: \d{4}-\d\d-\d\d$", decision.read_text(), re.MULTILINE)


def test_every_decision_is_listed_under_its_own_title_and_status() -> None:
    folder = ROOT / "docs/decisions"
    rows = re.findall(r"^\| \[\d{4}\]\(([^)]+)\) \| (.+) \| (.+) \|$", (folder / "README.md").read_text(), re.MULTILINE)
    listed = {name: (title, status) for name, title, status in rows}
    pages = {path.name: path.read_text() for path in folder.glob("*.md") if path.name != "README.md"}
    titles = {name: title_and_status(page) for name, page in pages.items()}
    assert listed == titles
    numbers = [name[:4] for name in sorted(titles)]
    # Numbers that were set aside and not used leave a gap.
    assert len(set(numbers)) == len(numbers)


def test_every_metric_of_the_operations_guide_is_registered() -> None:
    measured = {metric.name for metric in REGISTRY.collect()} | {
        f"{metric.name}_total" for metric in REGISTRY.collect()
    }
    named = set(re.findall(r"`(tandem_[a-z_]+)`", OPERATIONS))
    assert named
    assert named <= measured


def test_the_operations_guide_lists_exactly_the_existing_settings() -> None:
    table = OPERATIONS.partition("| variable |")[2].partition("\n\n")[0]
    named = {name for row in table.splitlines() for name in re.findall(r"`([A-Z_]+)`", row.partition(" | ")[0])}
    packages = (metrics_worker.settings, sales_api.settings, service_api.settings)
    classes = [
        each
        for package in packages
        for each in vars(package).values()
        if isinstance(each, type) and issubclass(each, ServiceSettings)
    ]
    assert named == {field.upper() for each in classes for field in each.model_fields}


def test_the_operations_guide_lists_the_users_of_kafka() -> None:
    section = OPERATIONS.partition("### Kafka's users")[2].partition("\n\nThose that write")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    shown = {name.strip("`"): [re.findall(r"`([^`]+)`", cell) for cell in cells] for name, *cells in rows}
    assert shown == {
        name: [[*access.writes, *access.returns], [*access.reads], [*access.groups]]
        for name, access in PROCESSES.items()
    }
