"""Real PostgreSQL and real Kafka for every test: started once a session, or given by environment variables."""

import gc
import os
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings

from event_contracts.watermark import watermarks_topic
from tandem_cli.issuer import ISSUER
from tandem_cli.kafka import EmbeddedKafka, ExternalKafka, Topic
from tandem_cli.postgres import EmbeddedPostgres, ExternalPostgres
from tests import sharing
from tests.support import CARELESS, Kafka, Postgres, eventually

# Of the tokens that tests make; no API takes any without.
os.environ.setdefault("AUTH_ISSUER", ISSUER)

# The same examples in every run, and none fails for its time: `--hypothesis-profile default` looks for others.
settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")

WHOLE_SYSTEM = ("tests/e2e", "tests/faults")
SERVERS = {"postgres", "kafka"}
ZONES = (UTC, ZoneInfo("Europe/Vilnius"))
NEAR = timedelta(seconds=15)


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running PostgreSQL server; TEST_DATABASE_URL names another than the embedded one."""
    if given := sharing.postgres_of(request.config) or os.environ.get("TEST_DATABASE_URL"):
        yield ExternalPostgres(given)
        return
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), options=CARELESS)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A running Kafka; KAFKA_BOOTSTRAP_SERVERS names another than the embedded one."""
    if given := sharing.kafka_of(request.config) or os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield ExternalKafka(given)
        return
    broker = EmbeddedKafka(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def new_database(postgres: Postgres) -> Iterator[Callable[[str], str]]:
    """Call it with a prefix: makes a fresh empty database and returns its `postgresql+asyncpg://` URL.

    Session-scoped, so that fixtures of any scope may use it; the databases are dropped when the session ends.
    """
    made: list[str] = []

    def create(prefix: str) -> str:
        name = f"{prefix}_{uuid.uuid4().hex[:12]}"
        postgres.create_database(name)
        made.append(name)
        return postgres.url(name)

    yield create
    for name in made:
        postgres.drop_database(name)


@pytest.fixture(scope="session")
def new_topic(kafka: Kafka) -> Iterator[Callable[..., str]]:
    """Call it with a prefix, and `partitions=6`, `compacted=False` if need be: creates a topic, returns its name.

    With `watermarked=True` it has a topic of watermarks beside it.
    """
    made: list[str] = []

    def create(prefix: str, partitions: int = 6, *, compacted: bool = False, watermarked: bool = False) -> str:
        name = f"{prefix}.{uuid.uuid4().hex[:12]}"
        topics = [Topic(name, partitions, compacted)]
        if watermarked:
            topics.append(Topic(watermarks_topic(name), 1, compacted=True))
        kafka.create_topics(topics)
        made.extend(topic.name for topic in topics)
        return name

    yield create
    if made and isinstance(kafka, ExternalKafka):
        kafka.delete_topics(made)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker more than processors, since some tests do nothing but wait; more than four only take memory."""
    return min((os.cpu_count() or 1) + 1, 4)


@pytest.fixture
async def within_one_day() -> None:
    """Begin after midnight, UTC or of the reporting time zone, when that is near: the test relies on what day it is."""

    def is_midnight_far() -> bool:
        now = datetime.now(UTC)
        return all(now.astimezone(zone).date() == (now + NEAR).astimezone(zone).date() for zone in ZONES)

    await eventually(is_midnight_far, 2 * NEAR.total_seconds(), every=0.2)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test by its tier: `e2e`, `integration` or `unit`.

    What asks for a server is `integration` without being marked so; what starts its own processes is marked.
    """
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.nodeid.startswith(WHOLE_SYSTEM):
            item.add_marker("e2e")
        elif fixtures & SERVERS:
            item.add_marker("integration")
        elif item.get_closest_marker("integration") is None:
            item.add_marker("unit")


def pytest_collection_finish() -> None:
    """Leaves thousands of collected tests out of every collection of garbage to come."""
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    """Lets workers share one PostgreSQL and one Kafka."""
    config.pluginmanager.register(sharing)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--seed N` repeats an experiment of tests/faults; others give the size of it, or of a benchmark of tests/load."""
    parser.addoption("--seed", type=int, help="seed of the experiments under tests/faults; printed by each")
    parser.addoption(
        "--form", choices=["short", "long"], default="short", help="of the experiments: 20 or 120 s of load"
    )
    parser.addoption("--per-second", type=float, help="deals, and as many tickets, that the experiments begin a second")
    parser.addoption("--previous", help="the commit that runs beside this one; the one before the newest migration")
    parser.addoption("--write-faults-report", action="store_true", help="write what was found to docs/faults.md")
    parser.addoption("--events", type=int, default=1_000_000, help="events of the log that the benchmarks consume")
    parser.addoption("--records", type=int, default=1_000_000, help="records of the lists that the benchmarks read")
    parser.addoption(
        "--postings", type=int, default=10_000_000, help="postings of the ledger that the benchmarks query"
    )
