"""The databases of the simulation: one set for all runs of a session."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import structlog

from tests.simulation.databases import open_databases
from tests.simulation.simulation import Simulation


@pytest.fixture(scope="session")
async def simulation(new_database: Callable[[str], str]) -> AsyncIterator[Simulation]:
    async with open_databases(new_database) as databases:
        yield Simulation(databases)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Log nothing: faults are all that there would be."""
    configured = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**configured)
