"""The start of Kafka and PostgreSQL is waited for while it makes progress, and given up with the reason otherwise."""

import time
from pathlib import Path

import pytest

from tandem_cli import kafka, postgres, start_limit
from tandem_cli.kafka import EmbeddedKafka
from tandem_cli.postgres import EmbeddedPostgres
from tandem_cli.problem import StackProblem

SILENT = "exec sleep 600"
BUSY = "while :; do echo Recovering unflushed segment; sleep 0.05; done"


def broker_that(behaves: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, stall_seconds: float) -> EmbeddedKafka:
    """Return a broker whose Java formats the log, and then behaves so; it never serves."""
    java = folder / "java"
    java.write_text(f'#!/bin/sh\ncase "$*" in *" format "*) exit 0;; esac\n{behaves}\n')
    java.chmod(0o700)
    monkeypatch.setattr(kafka, "JAVA", java)
    monkeypatch.setattr(kafka, "class_path", lambda _: [])
    return EmbeddedKafka(folder / "kafka", stall_seconds=stall_seconds)


def test_a_start_without_progress_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = broker_that(SILENT, tmp_path, monkeypatch, stall_seconds=1)
    with pytest.raises(StackProblem, match=r"Kafka logged nothing for 1 s while it started\. Free memory"):
        broker.start()
    assert not broker.running


def test_a_start_that_makes_progress_is_waited_for_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_limit, "START_SECONDS", 5.0)
    broker = broker_that(BUSY, tmp_path, monkeypatch, stall_seconds=4)
    began = time.monotonic()
    with pytest.raises(StackProblem, match=r"was still starting after 5 s.*Recovering unflushed segment"):
        broker.start()
    assert time.monotonic() - began > 5
    assert not broker.running


def server_that(
    behaves: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, stall_seconds: float
) -> EmbeddedPostgres:
    """Return a server whose program behaves so, on data that are there; it never gets ready."""
    folder.chmod(0o755)
    binaries = folder / "bin"
    binaries.mkdir()
    program = binaries / "postgres"
    program.write_text(f"#!/bin/sh\n{behaves}\n")
    program.chmod(0o755)
    control = folder / "postgres" / "cluster" / "global" / "pg_control"
    control.parent.mkdir(parents=True)
    control.touch()
    monkeypatch.setattr(postgres, "BINARIES", binaries)
    monkeypatch.setattr(postgres, "_unprivileged_user", lambda _: None)
    return EmbeddedPostgres(folder / "postgres", stall_seconds=stall_seconds)


def test_a_start_of_postgresql_without_progress_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = server_that(SILENT, tmp_path, monkeypatch, stall_seconds=1)
    with pytest.raises(StackProblem, match=r"PostgreSQL logged nothing for 1 s while it started\. Free memory"):
        server.start()
    assert not server.running


def test_a_start_of_postgresql_that_makes_progress_is_waited_for_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_limit, "START_SECONDS", 5.0)
    server = server_that(BUSY.replace("Recovering", "redo in progress,"), tmp_path, monkeypatch, stall_seconds=4)
    began = time.monotonic()
    with pytest.raises(StackProblem, match=r"was still starting after 5 s.*redo in progress"):
        server.start()
    assert time.monotonic() - began > 5
    assert not server.running
