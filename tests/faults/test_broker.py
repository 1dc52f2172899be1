"""A broker that dies, freezes and comes back, empty or with other topics."""

import asyncio
import time

from tests.faults.experiment import Experiment
from tests.faults.rows import fault

DOWN_SECONDS = 20.0


@fault(6)
async def test_the_broker_is_killed_and_restarted_under_load(experiment: Experiment) -> None:
    """Writes go on meanwhile. In the long form a clean restart follows."""
    down = DOWN_SECONDS if experiment.form.is_long else DOWN_SECONDS / 4
    async with experiment.load():
        await experiment.answers(20)
        await asyncio.to_thread(experiment.kafka.kill)
        killed_at = time.monotonic()
        while time.monotonic() - killed_at < down:
            await experiment.answers(10, 10)
        await asyncio.to_thread(experiment.kafka.start)
        experiment.repaired()
        await experiment.answers(20)
        if experiment.form.is_long:
            await asyncio.to_thread(experiment.kafka.stop)
            await asyncio.to_thread(experiment.kafka.start)
            experiment.repaired()
    await experiment.caught_up(within=60)
    await experiment.all_agree()
    unavailable = [status for status in experiment.recording.statuses if status >= 500]
    assert unavailable == [], "Kafka being down must fail no write"
    assert not experiment.recording.failures
