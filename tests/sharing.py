"""Several workers share one run: one PostgreSQL and one Kafka for all of them, and each file is run by one worker."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tandem_cli.kafka import EmbeddedKafka
from tandem_cli.postgres import EmbeddedPostgres
from tests.support import CARELESS

FIRST = ("tests/e2e", "tests/faults", "tests/tandem_cli", "tests/service_kit")
"""The folders that take longest: begun last, they would leave the other workers idle."""
ONE_SYSTEM = ("tests/e2e", "tests/faults")
"""The folders whose files share one system each, so that one worker has to run them all."""

_servers = pytest.StashKey["_Servers"]()


class _Servers:
    """What the workers share, run by the process that leads them."""

    def __init__(self) -> None:
        self._dir = tempfile.TemporaryDirectory(prefix="tandem-tests-", ignore_cleanup_errors=True)
        self.postgres: EmbeddedPostgres | None = None
        self.kafka: EmbeddedKafka | None = None
        if not os.environ.get("TEST_DATABASE_URL"):
            self.postgres = EmbeddedPostgres(Path(self._dir.name, "postgres"), options=CARELESS)
            self.postgres.start()
        if not os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
            self.kafka = EmbeddedKafka(Path(self._dir.name, "kafka"))
            self.kafka.start()

    def addresses(self) -> dict[str, str]:
        found = {}
        if self.postgres is not None:
            found["postgres"] = self.postgres.url("postgres")
        if self.kafka is not None:
            found["kafka"] = self.kafka.bootstrap_servers
        return found

    def stop(self) -> None:
        if self.kafka is not None:
            self.kafka.stop()
        if self.postgres is not None:
            self.postgres.stop()
        self._dir.cleanup()


def postgres_of(config: pytest.Config) -> str | None:
    """The URL of the PostgreSQL that this worker shares with others; None when it is the only one."""
    return getattr(config, "workerinput", {}).get("postgres")


def kafka_of(config: pytest.Config) -> str | None:
    """The address of the Kafka that this worker shares with others; None when it is the only one."""
    return getattr(config, "workerinput", {}).get("kafka")


def pytest_configure_node(node: WorkerController) -> None:
    """Pass the servers' addresses to each worker before it starts."""
    stash = node.config.stash
    if _servers not in stash:
        stash[_servers] = _Servers()
    node.workerinput.update(stash[_servers].addresses())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stops the servers when all workers have ended."""
    if _servers in config.stash:
        config.stash[_servers].stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest folders first, in the order in which workers are given them."""

    def rank(item: pytest.Item) -> int:
        return next((place for place, folder in enumerate(FIRST) if item.nodeid.startswith(folder)), len(FIRST))

    items.sort(key=rank)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "_ByFile":
    """Gives workers whole files, since their tests share fixtures."""
    return _ByFile(config, log)


class _ByFile(LoadScopeScheduling):
    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        folder = next((folder for folder in ONE_SYSTEM if nodeid.startswith(folder)), None)
        return folder or nodeid.partition("::")[0]
