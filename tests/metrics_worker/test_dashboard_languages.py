"""The dashboard says in every language what the catalogue of KPIs says in English, and every alert."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast, get_args

import pytest

from event_contracts.catalogue import SALES_TOPIC, SERVICE_TOPIC
from metrics_worker.alerts.schemas import AlertKind, AlertRule
from metrics_worker.kpis.catalogue import KPIS
from service_kit.timeline.facts import kinds_of

FOLDER: Final = Path(__file__).resolve().parents[2] / "services/metrics-worker/dashboard/src/i18n"
LANGUAGES: Final = ("cs", "de", "it", "lt", "ru", "vi")
SHORTER: Final = {"lead_conversion_rate": "Lead conversion", "first_response_minutes": "First response"}
"""Titles that stand beside values and have to be short."""
TRANSLATED_FROM: Final = "translated-from.json"
"""A hash of each English text as it was when it was translated."""


def read(path: str) -> dict[str, str]:
    return cast("dict[str, str]", json.loads((FOLDER / path).read_text()))


def definitions() -> Mapping[str, str]:
    """What metrics-api answers of KPIs and their variants."""
    found = {}
    for kpi in KPIS.values():
        found[f"kpi.{kpi.name}"] = kpi.description
        found |= {f"kpi.{kpi.name}.{name}": formula.definition for name, formula in kpi.variants.items()}
    return found


def test_the_english_titles_are_those_of_the_catalogue() -> None:
    messages = read("messages/en.json")
    titles = {kpi.name: messages.get(f"kpi.{kpi.name}") for kpi in KPIS.values()}
    assert titles == {kpi.name: SHORTER.get(kpi.name, kpi.title) for kpi in KPIS.values()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kpi_is_explained_in(language: str) -> None:
    prose = read(f"prose/{language}.json")
    assert prose.keys() == definitions().keys()
    assert [key for key, text in prose.items() if not text.strip() or text == definitions().get(key)] == []


def test_every_alert_has_a_sentence_a_title_and_what_to_do() -> None:
    # That each language has every message of English is a test of the messages themselves.
    messages = read("messages/en.json").keys()
    ways = {rule: (".up", ".down") if rule == "target-missed" else ("",) for rule in get_args(AlertRule)}
    said = {f"says.{rule}{way}" for rule, of_rule in ways.items() for way in of_rule}
    said |= {f"{what}.{kind}" for kind in get_args(AlertKind) for what in ("alert", "do")}
    assert said - messages == set()


def test_every_kind_of_a_timelines_entries_has_its_words() -> None:
    source = (FOLDER.parent / "timeline.ts").read_text()
    deeds = {kind: (group, deed) for kind, group, deed in re.findall(r'"([\w.-]+)": \["(\w+)", "(\w+)"\]', source)}
    assert deeds.keys() == {*kinds_of(SALES_TOPIC), *kinds_of(SERVICE_TOPIC)}
    # What the event says decides between some.
    by_facts = {"contact": {"contactIn", "contactOut", "note"}, "closed": {"closed", "won", "lost"}}
    said = {f"kind.{group}" for group, _ in deeds.values()}
    said |= {f"deed.{each}" for _, deed in deeds.values() for each in by_facts.get(deed, {deed})}
    assert said - read("messages/en.json").keys() == set()


def test_what_was_translated_is_what_the_catalogue_says_now() -> None:
    now = {key: hashlib.sha256(text.encode()).hexdigest()[:12] for key, text in definitions().items()}
    then = read(f"prose/{TRANSLATED_FROM}")
    changed = {key: text for key, text in now.items() if then.get(key) != text}
    assert changed == {}, f"translate these again in prose/, then give {TRANSLATED_FROM} these hashes"
    assert then.keys() == now.keys()
