"""A stack starts its processes with the right settings, notices when one ends, and stops them all."""

import json
import os
import shutil
import signal
import socket
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from typer.testing import CliRunner

from tandem_cli.app import app
from tandem_cli.data_dir import DataDir
from tandem_cli.kafka import standard_topics
from tandem_cli.ports import Ports, RememberedPorts, free_port
from tandem_cli.postgres import EmbeddedPostgres
from tandem_cli.problem import StackProblem
from tandem_cli.processes import SupervisedProcess
from tandem_cli.stack import External, Listener, LocalStack
from tandem_cli.system import DATABASES, Program
from tests.support import Kafka, eventually
from tests.tandem_cli.fake_system import MIGRATION, WORKER, fake_system

Usage = namedtuple("Usage", "total used free")


class Notes(Listener):
    """Record every call."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.states: list[tuple[str, str]] = []

    def line(self, name: str, text: str) -> None:
        self.lines.append((name, text))

    def state(self, name: str, state: str) -> None:
        self.states.append((name, state))


@pytest.fixture(scope="module")
def external(new_database: Callable[[str], str], kafka: Kafka) -> External:
    """The session's servers, so that a stack of these tests starts in a moment."""
    return External({name: new_database(name) for name in DATABASES}, kafka=kafka.bootstrap_servers)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def stack(tmp_path: Path, external: External, notes: Notes) -> Iterator[LocalStack]:
    stack = LocalStack(tmp_path / "data", external=external, listener=notes, system=fake_system())
    yield stack
    stack.stop()


def get(url: str) -> dict[str, str]:
    found: dict[str, str] = httpx.get(url).raise_for_status().json()
    return found


def test_every_process_is_ready_and_has_its_settings(stack: LocalStack, external: External, kafka: Kafka) -> None:
    stack.start()
    for name, process in stack.processes.items():
        settings = get(f"http://127.0.0.1:{process.port}/settings")
        assert settings["DATABASE_URL"] == external.databases[process.program.database], name
        assert settings["KAFKA_BOOTSTRAP_SERVERS"] == kafka.bootstrap_servers
        assert settings["AUTH_ISSUER"] == "http://127.0.0.1/tandem-local"
        assert settings["AUTH_AUDIENCE"] == "tandem"
        assert json.loads(Path(settings["AUTH_JWKS"].removeprefix("file://")).read_text())["keys"]
        assert settings["LOG_FORMAT"] == "console"
        assert {"http://localhost:5173", "http://127.0.0.1:3000"} <= set(settings["CORS_ORIGINS"].split(","))
        assert len(settings["SURVEY_LINK_SECRET"]) >= 32
        assert (settings["REPORTING_CURRENCY"], settings["REPORTING_TIMEZONE"]) == ("EUR", "UTC")
    assert set(stack.urls) == {"sales", "service", "metrics"}


def test_every_process_shows_its_metrics_at_a_port_that_is_not_public(stack: LocalStack) -> None:
    stack.start()
    running = stack.data.running()
    assert running is not None
    ports = {part.name: part.metrics_port for part in running.parts if part.serves_health}
    assert len(set(ports.values())) == len(stack.processes)
    for name, process in stack.processes.items():
        settings = get(f"http://127.0.0.1:{process.port}/settings")
        if process.program.api:
            assert settings["PROMETHEUS_PORT"] == str(ports[name])
            assert ports[name] != process.port
        else:
            assert ports[name] == process.port
    shown = CliRunner().invoke(app, ["status", "--data-dir", str(stack.data.path)], env={"COLUMNS": "120"})
    assert shown.exit_code == 0
    assert f"Kafka     {stack.bootstrap_servers}" in shown.output
    for name, port in ports.items():
        (line,) = (line for line in shown.output.splitlines() if line.startswith(name))
        assert str(port) in line.split()


async def test_the_topics_are_made(stack: LocalStack) -> None:
    stack.start()
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap_servers)
    await admin.start()
    try:
        found = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
    finally:
        await admin.close()
    for topic in standard_topics():
        assert found[topic.name] == topic.partitions
    assert {name: found[name] for name in ("sales.events", "sales.events.watermarks")} == {
        "sales.events": 6,
        "sales.events.watermarks": 1,
    }


def test_migrations_are_done_before_a_process_of_their_database_starts(stack: LocalStack, notes: Notes) -> None:
    stack.start()
    for program in stack.system.programs:
        migrated = notes.states.index((f"{program.database}-migrate", "done"))
        assert migrated < notes.states.index((program.name, "starting"))


def test_lines_come_under_their_process_and_are_kept_in_its_log_file(stack: LocalStack, notes: Notes) -> None:
    stack.start()
    assert ("metrics-consumer", "at work") in notes.lines
    assert ("sales-migrate", "migrated") in notes.lines
    stack.stop()
    assert (stack.data.path / "logs" / "metrics-consumer.log").read_text() == "at work\n"


def test_control_characters_of_a_process_do_not_reach_the_terminal(
    tmp_path: Path, external: External, notes: Notes
) -> None:
    overrides = {"WORKER_SAY": "before\x1b[2J\x1b]0;title\x07after\ttab"}
    with LocalStack(tmp_path, external=external, listener=notes, system=fake_system(), env_overrides=overrides):
        shown = dict(notes.lines)["sales-api"]
    assert shown == "before]0;titleafter\ttab"


def test_a_process_that_ends_by_itself_is_reported_with_its_last_words(stack: LocalStack) -> None:
    stack.start()
    victim = stack.processes["service-relay"]
    os.kill(victim.pid, signal.SIGKILL)
    with pytest.raises(StackProblem, match=r"service-relay ended unexpectedly with signal SIGKILL(.|\n)*at work"):
        stack.wait(lambda: False)


def test_a_process_that_we_kill_is_no_surprise_and_comes_back_on_its_port(stack: LocalStack) -> None:
    stack.start()
    before, port = stack.processes["sales-relay"].pid, stack.processes["sales-relay"].port
    stack.kill("sales-relay")
    stack.check()
    stack.restart("sales-relay", env_overrides={"WORKER_SAY": "again"})
    assert stack.processes["sales-relay"].pid != before
    assert get(f"http://127.0.0.1:{port}/settings")["WORKER_SAY"] == "again"
    stack.check()


def test_one_more_process_can_join(stack: LocalStack) -> None:
    stack.start()
    stack.add(Program("metrics-consumer-2", WORKER, "metrics"))
    assert stack.processes["metrics-consumer-2"].ready()


def test_a_process_that_cannot_start_stops_the_stack(stack: LocalStack) -> None:
    stack.env_overrides["WORKER_EXIT"] = "3"
    with pytest.raises(StackProblem, match=r"ended unexpectedly with exit code 3(.|\n)*cannot go on"):
        stack.start()
    assert not [process.name for process in stack.processes.values() if process.running]
    assert not stack.data.locked()


def test_a_migration_that_fails_stops_the_stack(stack: LocalStack, notes: Notes) -> None:
    broken = (*MIGRATION[:2], "raise SystemExit('no such column')")
    stack.system = replace(stack.system, migrations={**stack.system.migrations, "service": broken})
    with pytest.raises(StackProblem, match=r"service-migrate ended unexpectedly with exit code 1(.|\n)*no such column"):
        stack.start()
    assert ("service-api", "starting") not in notes.states


def test_all_end_when_the_stack_stops(stack: LocalStack) -> None:
    stack.start()
    processes = [psutil.Process(process.pid) for process in stack.processes.values()]
    stack.stop()
    assert not [process for process in processes if process.is_running()]
    assert not stack.data.locked()


async def test_a_process_that_ignores_its_stop_is_killed(tmp_path: Path, notes: Notes) -> None:
    port = free_port()
    env = {"HTTP_HOST": "127.0.0.1", "HTTP_PORT": str(port), "WORKER_STUBBORN": "yes"}
    process = SupervisedProcess(Program("mule", WORKER, "sales"), env, port, tmp_path / "mule.log", notes.line)
    process.start()
    await eventually(process.ready)
    assert process.stop(seconds=0.3) is False
    assert process.exit_code == -9


def test_a_second_stack_on_the_same_data_is_refused(stack: LocalStack, external: External) -> None:
    stack.start()
    second = LocalStack(stack.data.path, external=external, system=fake_system())
    with pytest.raises(StackProblem, match=r"already runs on .* \(pid \d+\); stop it with `tandem down`"):
        second.start()
    second.stop()
    stack.check()
    assert stack.data.running() is not None


def test_a_busy_port_is_named_with_the_option_that_changes_it(tmp_path: Path, external: External) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack = LocalStack(tmp_path, Ports(metrics=port), external=external, system=fake_system())
        with pytest.raises(StackProblem, match=f"Port {port} for metrics is in use .* --metrics-port"):
            stack.start()
    assert not stack.data.locked()


def test_every_port_is_the_same_after_a_restart(stack: LocalStack, external: External, notes: Notes) -> None:
    def ports(of: LocalStack) -> dict[str, tuple[int, int]]:
        running = of.data.running()
        assert running is not None
        return {part.name: (part.port, part.metrics_port) for part in running.parts if part.serves_health}

    stack.start()
    before = ports(stack)
    stack.stop()
    again = LocalStack(stack.data.path, external=external, listener=notes, system=fake_system())
    with again:
        assert ports(again) == before
    # Within one process too, whose first stack has given its ports out.
    stack.start()
    assert ports(stack) == before


def test_the_servers_keep_their_ports_unless_another_program_has_them(tmp_path: Path) -> None:
    kafka, postgres = free_port(), free_port()
    (tmp_path / "ports.json").write_text(json.dumps({"kafka": kafka, "postgres": postgres}))
    stack = LocalStack(tmp_path)
    assert isinstance(stack.postgres, EmbeddedPostgres)
    with socket.create_server(("127.0.0.1", postgres)):
        assert stack.bootstrap_servers == f"127.0.0.1:{kafka}"
        assert stack.postgres.port != postgres


@pytest.mark.parametrize("text", ["", '{"kafka": 2'])
def test_ports_that_were_not_written_whole_are_chosen_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "ports.json").write_text(text)
    remembered = RememberedPorts(tmp_path / "ports.json")
    port = remembered.choose("kafka")
    remembered.keep()
    assert RememberedPorts(tmp_path / "ports.json").choose("kafka") == port


def test_too_little_disk_is_reported_before_anything_starts(
    stack: LocalStack, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**40, 2**40, 100 * 2**20))
    with pytest.raises(StackProblem, match="Only 100 MiB are free"):
        stack.start()
    assert notes.states == []


def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackProblem, match="is not a directory"):
        DataDir(tmp_path / "file").claim()


def test_a_program_that_is_not_installed_is_named(stack: LocalStack) -> None:
    stack.system = replace(stack.system, programs=(Program("ghost", ("/nowhere/ghost",), "sales"),))
    with pytest.raises(StackProblem, match="ghost is not installed; run `make bootstrap`"):
        stack.start()


def test_given_servers_take_the_place_of_embedded_ones(tmp_path: Path) -> None:
    given = External.from_environment(
        {
            "DATABASE_URL": "postgresql://ann@db.example/postgres",
            "METRICS_DATABASE_URL": "postgresql://ann@ledger.example/ledger",
            "KAFKA_BOOTSTRAP_SERVERS": "broker.example:9092",
        }
    )
    stack = LocalStack(tmp_path, external=given, system=fake_system())
    assert stack.database_url("sales") == "postgresql+asyncpg://ann@db.example/sales"
    assert stack.database_url("metrics") == "postgresql+asyncpg://ann@ledger.example/ledger"
    assert stack.bootstrap_servers == "broker.example:9092"


def test_a_database_url_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackProblem, match="must begin with postgresql://"):
        LocalStack(tmp_path, external=External(server="mysql://db/x"), system=fake_system())
