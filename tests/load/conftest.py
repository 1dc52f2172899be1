"""Servers of the benchmarks: set up as for work, not for tests, and kept under .tandem/bench between runs."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tandem_cli.kafka import EmbeddedKafka
from tandem_cli.postgres import EmbeddedPostgres
from tandem_cli.stack import LocalStack
from tests.load.prepared_log import PreparedLog, prepare

KEPT = Path(__file__).parents[2] / ".tandem" / "bench"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """All processes on embedded parts, on free ports."""
    system = LocalStack(tmp_path_factory.mktemp("stack"))
    system.start()
    yield system
    system.stop()


@pytest.fixture(scope="session")
def bench_kafka() -> Iterator[EmbeddedKafka]:
    """A broker whose log is kept between runs."""
    broker = EmbeddedKafka(KEPT / "kafka", heap_mb=512)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def bench_postgres() -> Iterator[EmbeddedPostgres]:
    """A server that loses nothing in a crash, with memory as on a small machine."""
    server = EmbeddedPostgres(KEPT / "postgres", options={"shared_buffers": "256MB", "max_wal_size": "4GB"})
    server.start()
    yield server
    server.stop()


@pytest.fixture
def bench_database(bench_postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of an empty database, dropped afterwards."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    bench_postgres.create_database(name)
    yield bench_postgres.url(name)
    bench_postgres.drop_database(name)


@pytest.fixture(scope="session")
async def prepared_log(bench_kafka: EmbeddedKafka, request: pytest.FixtureRequest) -> PreparedLog:
    """The log of `--events` events."""
    events = int(request.config.getoption("--events"))
    return await prepare(bench_kafka, events, lambda made: print(f"preparing the log: {made:,} events"))
