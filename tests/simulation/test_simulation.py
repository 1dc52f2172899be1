"""Whatever is repeated, late, stopped, killed, cut off or shuffled, everything ends as without it.

`pytest tests/simulation --seed N` runs one seed and shrinks it when it fails; `make faults` runs tens of thousands.
"""

from collections.abc import Iterable

import pytest

from tests.faults.rows import fault
from tests.simulation.regressions import REGRESSIONS
from tests.simulation.simulation import Simulation, plan_of

SHORT = 48
"""Seeds in `make test`; a third of a second each."""
LONG = 20_000
CHUNK = 12


@fault(32)
@pytest.mark.parametrize("name", REGRESSIONS)
async def test_what_failed_once_ends_as_without_faults(simulation: Simulation, name: str) -> None:
    assert await simulation.failures_of(REGRESSIONS[name]) == []


@pytest.mark.parametrize("first", range(0, SHORT, CHUNK))
async def test_a_run_with_faults_ends_as_without_them(
    simulation: Simulation, first: int, pytestconfig: pytest.Config
) -> None:
    seeds: Iterable[int] = range(first, first + CHUNK)
    if (seed := pytestconfig.getoption("--seed")) is not None:
        seeds = [seed] if first == 0 else []
    for each in seeds:
        await simulation.require_success(plan_of(each))


@pytest.mark.long
@pytest.mark.parametrize("first", range(SHORT, LONG, 20 * CHUNK))
async def test_tens_of_thousands_of_runs_with_faults_end_as_without_them(simulation: Simulation, first: int) -> None:
    for seed in range(first, first + 20 * CHUNK):
        await simulation.require_success(plan_of(seed))
