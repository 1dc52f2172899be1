"""The whole system, started once for all tests of this folder, and the means to use it as a person would."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from metrics_worker.ledger.status import fresh_as_of
from tandem_cli.stack import LocalStack
from tests.commands import run_script
from tests.faults.oracle import outbox_rows
from tests.support import CARELESS, eventually

TANDEM = str(Path(sys.executable).parent / "tandem")
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
"""Real files, which are not part of the project; their licences do not allow it."""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """All processes on embedded parts, on free ports. What a crash of the machine would lose may be lost."""
    # A line a request would cost a tenth of the time.
    quiet = {"LOG_LEVEL": "warning"}
    system = LocalStack(tmp_path_factory.mktemp("stack"), postgres_options=CARELESS, env_overrides=quiet)
    system.start()
    yield system
    system.stop()


@pytest.fixture(scope="session")
def tandem(stack: LocalStack) -> Run:
    """Runs the command on the stack's data directory: `tandem("import", "olist", file)`."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return run_script("tandem", *arguments, "--data-dir", stack.data.path)

    return run


@dataclass(frozen=True)
class Kpis:
    """Asks metrics-api."""

    http: httpx.AsyncClient

    async def ask(self, name: str, first: str, last: str, **parameters: str) -> dict[str, Any]:
        """A KPI's answer over the days from `first` to `last`."""
        answer = await self.http.get(f"/v1/kpis/{name}", params={"from": first, "to": last, **parameters})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def client_of(stack: LocalStack, api: str, *roles: str) -> httpx.AsyncClient:
    """Return a client of an API, as someone in these roles."""
    headers = {"Authorization": f"Bearer {stack.token(*roles)}"}
    return httpx.AsyncClient(base_url=stack.urls[api], headers=headers, timeout=30)


@pytest.fixture(scope="session")
async def kpis(stack: LocalStack) -> AsyncIterator[Kpis]:
    """The KPIs over HTTP."""
    async with client_of(stack, "metrics", "analyst") as http:
        yield Kpis(http)


@pytest.fixture(scope="session")
async def sales(stack: LocalStack) -> AsyncIterator[httpx.AsyncClient]:
    """sales-api over HTTP."""
    async with client_of(stack, "sales", "analyst") as http:
        yield http


@pytest.fixture(scope="session")
async def service(stack: LocalStack) -> AsyncIterator[httpx.AsyncClient]:
    """service-api over HTTP."""
    async with client_of(stack, "service", "analyst") as http:
        yield http


@pytest.fixture(scope="session")
async def managers(stack: LocalStack) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """Each API as the manager of its function uses it; metrics-api as service's."""
    roles = {"sales": "sales-manager", "service": "service-manager", "metrics": "service-manager"}
    async with AsyncExitStack() as opened:
        yield {api: await opened.enter_async_context(client_of(stack, api, role)) for api, role in roles.items()}


@dataclass(frozen=True)
class Imports:
    """The output of `tandem import` for the real files."""

    olist: subprocess.CompletedProcess[str]
    incidents: subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
async def imports(stack: LocalStack, tandem: Run) -> Imports:
    """Leads, deals and tickets of the real files, all imported and in the ledger.

    Both are imported at once, while relays, jobs and consumers are away: that takes half the time, since what they have
    to catch up with comes in large batches, and shows on the way that an import needs the two APIs only.
    """
    leads, deals, log = real_files("olist_leads.csv.gz", "olist_closed_deals.csv.gz", "incident_log_sample.csv.gz")
    away = [name for name in stack.processes if name.endswith(("-relay", "-jobs", "-consumer"))]
    for name in away:
        await asyncio.to_thread(stack.processes[name].stop)
    olist, incidents = await asyncio.gather(
        asyncio.to_thread(tandem, "import", "olist", deals, leads),
        asyncio.to_thread(tandem, "import", "incidents", log),
    )
    await asyncio.gather(*(asyncio.to_thread(stack.restart, name) for name in away))
    await settled(stack)
    return Imports(olist, incidents)


async def published(stack: LocalStack) -> None:
    """Wait until every event is in Kafka."""

    async def nothing_waits() -> bool:
        return await outbox_rows(stack) == 0

    await eventually(nothing_waits, 60, every=0.1)


async def booked(stack: LocalStack) -> None:
    """Wait until every event so far is published and in the ledger."""
    await published(stack)
    since = datetime.now(UTC)
    engine = create_async_engine(stack.database_url("metrics"))

    async def complete() -> bool:
        async with engine.connect() as connection:
            until = await fresh_as_of(connection)
        return until is not None and until > since

    try:
        await eventually(complete, 60, every=0.1)
    finally:
        await engine.dispose()


async def settled(stack: LocalStack) -> None:
    """Wait until every event is published and in the ledger; then prove that the ledger equals the log."""
    await published(stack)
    servers = {"DATABASE_URL": stack.database_url("metrics"), "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers}
    verified = await asyncio.to_thread(
        run_script, "metrics-verify", env={**os.environ, **servers, "LOG_LEVEL": "error"}
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr


def real_files(*names: str) -> list[Path]:
    """The files of these names; the test is skipped where they are not."""
    paths = [DATA / name for name in names]
    if missing := [path.name for path in paths if not path.exists()]:
        pytest.skip(f"real data is absent: {', '.join(missing)} in {DATA}")
    return paths
