"""Kafka's start is waited for as long as it makes progress, and given up with the reason otherwise."""

import time
from pathlib import Path

import pytest

from tandem_cli import kafka
from tandem_cli.kafka import EmbeddedKafka
from tandem_cli.problem import StackProblem

SILENT = "exec sleep 600"
BUSY = "while :; do echo Recovering unflushed segment; sleep 0.05; done"


def broker_that(behaves: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedKafka:
    """Return a broker whose Java formats the log, and then behaves so; it never serves."""
    java = folder / "java"
    java.write_text(f'#!/bin/sh\ncase "$*" in *" format "*) exit 0;; esac\n{behaves}\n')
    java.chmod(0o700)
    monkeypatch.setattr(kafka, "JAVA", java)
    monkeypatch.setattr(kafka, "class_path", lambda _: [])
    return EmbeddedKafka(folder / "kafka")


def test_a_start_without_progress_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "STALL_SECONDS", 1.0)
    broker = broker_that(SILENT, tmp_path, monkeypatch)
    with pytest.raises(StackProblem, match=r"Kafka logged nothing for 1 s while it started\. Free memory"):
        broker.start()
    assert not broker.running


def test_a_start_that_makes_progress_is_waited_for_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "STALL_SECONDS", 2.0)
    monkeypatch.setattr(kafka, "START_SECONDS", 5.0)
    broker = broker_that(BUSY, tmp_path, monkeypatch)
    began = time.monotonic()
    with pytest.raises(StackProblem, match=r"was still starting after 5 s.*Recovering unflushed segment"):
        broker.start()
    assert time.monotonic() - began > 5
    assert not broker.running
