"""A ledger of real files that `tandem replay` rebuilds gives the same answers as before."""

import asyncio

from tests.e2e.conftest import Imports, Run


async def test_a_replay_of_real_files_leaves_the_ledger_exact(imports: Imports, tandem: Run) -> None:
    replayed = await asyncio.to_thread(tandem, "replay")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert "The ledger is rebuilt from" in replayed.stdout
    verified = await asyncio.to_thread(tandem, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


async def test_a_time_zone_that_does_not_exist_leaves_the_ledger_alone(imports: Imports, tandem: Run) -> None:
    refused = await asyncio.to_thread(tandem, "rebucket", "--timezone", "Europe/Nowhere")
    assert refused.returncode == 1
    assert "The ledger is unchanged: 'Europe/Nowhere' is not a time zone" in " ".join(refused.stderr.split())
