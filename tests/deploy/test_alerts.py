"""The alert rules name metrics that there are, and every metric that an operator acts on has a rule."""

import re
from pathlib import Path

import yaml
from prometheus_client import REGISTRY

import metrics_worker.main
import sales_api.main
import service_api.main

ROOT = Path(__file__).resolve().parents[2]
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PROGRAMS = (metrics_worker.main, sales_api.main, service_api.main)
"""Imported so that their metrics are registered."""
OF_SERIES = ("_total", "_count", "_bucket", "_sum")


def metrics_in(text: str) -> set[str]:
    found = re.findall(r"\btandem_[a-z_]+", text)
    return {next((name.removesuffix(end) for end in OF_SERIES if name.endswith(end)), name) for name in found}


def test_every_rule_is_of_metrics_that_there_are_and_says_what_is_wrong() -> None:
    assert PROGRAMS
    registered = {metric.name: metric for metric in REGISTRY.collect()}
    labels = {name: set(collector._labelnames) for collector, (name, *_) in REGISTRY._collector_to_names.items()
              if hasattr(collector, "_labelnames")}  # fmt: skip
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        named = metrics_in(rule["expr"])
        assert named, rule
        assert named <= registered.keys(), rule
        assert rule["labels"]["severity"] in ("critical", "warning")
        shown = set(re.findall(r"\$labels\.([a-z_]+)", rule["annotations"]["summary"]))
        # `job` is what Prometheus adds to every series; a metric's own would be renamed.
        assert shown <= {"job"}.union(*(labels[name] for name in named)), rule
    assert not [name for name, of_metric in labels.items() if {"job", "instance"} & of_metric]


def test_every_metric_of_the_operations_guide_has_a_rule() -> None:
    guide = (ROOT / "docs/quickstart-operations.md").read_text()
    table = guide.partition("| metric | act when |")[2].partition("\n\n")[0]
    named = set().union(*(metrics_in(row.split(" | ")[0]) for row in table.splitlines()))
    assert named
    assert named == set().union(*(metrics_in(rule["expr"]) for rule in RULES))
