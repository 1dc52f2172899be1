"""A whole system to break, started once for all experiments of this folder."""

import random
from collections.abc import AsyncIterator, Iterator

import pytest

from tandem_cli.stack import LocalStack
from tests.business import Business, connected


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """All processes on embedded parts, on free ports. fsync stays on: crashes are what is tried here."""
    system = LocalStack(tmp_path_factory.mktemp("stack"))
    system.start()
    yield system
    system.stop()


@pytest.fixture
async def business(stack: LocalStack, request: pytest.FixtureRequest) -> AsyncIterator[Business]:
    """A business on the stack. Its seed is printed, and can be given again by `--seed`."""
    seed = request.config.getoption("--seed") or random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 -- pytest shows it with any failure
    made = connected(stack, seed)
    try:
        await made.found()
        yield made
    finally:
        await made.http.close()
