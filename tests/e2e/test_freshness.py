"""Answers tell how fresh they are, whatever stands still: here the relay of sales."""

import signal
from datetime import UTC, datetime
from typing import Any

from tandem_cli.stack import LocalStack
from tests.business import connected
from tests.e2e.conftest import client_of
from tests.support import eventually

SECONDS = 60


async def test_fresh_as_of_stays_before_a_deal_that_a_stopped_relay_has_not_published(stack: LocalStack) -> None:
    business = connected(stack, seed=1)
    async with client_of(stack, "metrics", "analyst") as metrics:

        async def answer(kpi: str) -> Any:
            found = await metrics.get(f"/v1/kpis/{kpi}")
            assert found.status_code == 200, found.text
            return found.json()

        async def fresh_as_of() -> datetime | None:
            moment = (await answer("revenue"))["fresh_as_of"]
            return datetime.fromisoformat(moment) if moment else None

        async def is_fresher_than(moment: datetime) -> bool:
            fresh = await fresh_as_of()
            return fresh is not None and fresh > moment

        try:
            await business.found(accounts=1)
            await business.win_a_deal(channel="referral")
            published = datetime.now(UTC)
            await eventually(lambda: is_fresher_than(published), SECONDS, every=0.2)
            stack.kill("sales-relay", signal.SIGSTOP)
            before, tickets = await answer("revenue"), await answer("tickets_opened")
            closing = datetime.now(UTC)
            await business.win_a_deal(channel="referral")
            await business.resolve_a_ticket()

            async def service_goes_on() -> bool:
                return bool((await answer("tickets_opened"))["value"] != tickets["value"])

            await eventually(service_goes_on, SECONDS, every=0.2)
            during = await answer("revenue")
            assert during["value"] == before["value"]
            assert datetime.fromisoformat(during["fresh_as_of"]) < closing
        finally:
            stack.kill("sales-relay", signal.SIGCONT)

        async def has_caught_up() -> bool:
            return await is_fresher_than(closing) and (await answer("revenue"))["value"] != before["value"]

        await eventually(has_caught_up, SECONDS, every=0.2)
    await business.http.close()
