"""A whole system to break, and the report of what became of it."""

import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tandem_cli.stack import LocalStack
from tests.faults.experiment import Experiment, Findings, Form, experiment_on, running_stack
from tests.faults.report import FORM, Report

SHORT_SEED = 1


def _scope_of_stack(fixture_name: str, config: pytest.Config) -> str:
    """Return one stack for all short experiments; the long ones leave a log that takes the oracle long to read."""
    return "module" if config.getoption("form") == "long" else "session"


@pytest.fixture(scope=_scope_of_stack)  # type: ignore[arg-type]
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """All processes on embedded parts, with two relays and two consumers of each kind."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The same for one experiment alone, after which it cannot be used any more."""
    with running_stack(tmp_path_factory.mktemp("own-stack")) as running:
        yield running


@pytest.fixture
def form(request: pytest.FixtureRequest) -> Form:
    """The form that is asked for by `--form`."""
    options = request.config.getoption
    return Form.of(options("form"), options("per_second"))


@pytest.fixture
def seed(request: pytest.FixtureRequest, form: Form) -> int:
    """The seed, which can be given again by `--seed`; the short form has the same in every run."""
    if (given := request.config.getoption("--seed")) is not None:
        return int(given)
    return random.SystemRandom().randrange(10**6) if form.is_long else SHORT_SEED


@pytest.fixture
def findings(request: pytest.FixtureRequest, seed: int) -> Findings:
    """Takes the figures of an experiment for the report."""
    found = Findings()
    request.node.user_properties += [("figures", found.figures), ("seed", seed)]
    return found


@pytest.fixture
async def experiment(
    stack: LocalStack, seed: int, form: Form, findings: Findings, tmp_path: Path
) -> AsyncIterator[Experiment]:
    """An experiment on the stack that others use too."""
    async with experiment_on(stack, seed, form, findings, tmp_path) as made:
        yield made


@pytest.fixture
async def own_experiment(
    own_stack: LocalStack, seed: int, form: Form, findings: Findings, tmp_path: Path
) -> AsyncIterator[Experiment]:
    """An experiment on a stack of its own."""
    async with experiment_on(own_stack, seed, form, findings, tmp_path) as made:
        yield made


def pytest_configure(config: pytest.Config) -> None:
    """Collect what the report says of each row, where it is asked for."""
    if config.getoption("write_faults_report") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Report(config.getoption(FORM)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Show each test's report which rows it is a script of."""
    for item in items:
        if rows := [mark.kwargs["number"] for mark in item.iter_markers("fault")]:
            item.user_properties.append(("fault", rows))
