"""kill -9 of the SLA clock while service levels run out: each breach is published exactly once."""

import os
import sys
from asyncio.subprocess import DEVNULL, create_subprocess_exec
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

import service_api
from event_contracts.codec import decode
from event_contracts.service import SlaBreached
from service_api.tickets.model import Ticket
from service_api.tickets.sla import SlaTerms
from service_kit.database import create_engine
from service_kit.identifiers import new_id
from service_kit.migrations import migrate
from service_kit.outbox import outbox
from service_kit.settings import ServiceSettings
from service_kit.unit_of_work import units_of_work
from tandem_cli.ports import free_port
from tandem_cli.spawn import clock_variables
from tests.support import eventually

TICKETS = 300
KILLED_AT = (50, 350)
"""Breaches published so far; each ticket has two."""


async def test_a_clock_that_is_killed_while_levels_run_out_publishes_each_breach_once(
    new_database: Callable[[str], str],
) -> None:
    settings = ServiceSettings(database_url=new_database("clock"))
    await migrate(service_api, settings)
    engine = create_engine(settings, application="test")
    await open_tickets(engine)

    async def published() -> int:
        async with engine.connect() as connection:
            return int((await connection.execute(sa.select(sa.func.count()).select_from(outbox))).scalar_one())

    # Kafka is away, so that every event stays in the outbox.
    environment = {
        "PATH": os.environ["PATH"],
        **clock_variables(),
        "DATABASE_URL": settings.database_url,
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "HTTP_PORT": "0",
    }
    for enough in (*KILLED_AT, 2 * TICKETS):
        relay = await create_subprocess_exec(
            Path(sys.executable).parent / "service-relay", env=environment, stdout=DEVNULL, stderr=DEVNULL
        )
        try:

            async def is_enough(enough: int = enough) -> bool:
                return await published() >= enough

            await eventually(is_enough, 150)
        finally:
            relay.kill()
            await relay.wait()
    async with engine.connect() as connection:
        events = [decode(row.payload) for row in await connection.execute(sa.select(outbox.c.payload))]
    await engine.dispose()
    breached = [event.data for event in events if isinstance(event.data, SlaBreached)]
    breaches = Counter((breach.id, breach.change.target) for breach in breached)
    assert (len(breaches), set(breaches.values())) == (2 * TICKETS, {1})
    assert Counter(event.sequence for event in events) == {2: TICKETS, 3: TICKETS}


async def open_tickets(engine: AsyncEngine) -> None:
    """Tickets whose two levels run out within the next seconds, one after the other."""
    policy_id, customer_id, now = new_id(), new_id(), datetime.now(UTC)
    terms = SlaTerms(policy_id=policy_id, first_response_seconds=1, resolution_seconds=2)
    async with units_of_work(engine, process="tests")() as work:
        await work.execute(
            sa.text(
                "INSERT INTO sla_policy (id, version, name, active, survey_credit)"
                " VALUES (:id, 1, 'quick', true, 'resolver')"
            ),
            {"id": policy_id},
        )
        await work.execute(
            sa.text("INSERT INTO customer (id, version, origin, registered_at) VALUES (:id, 1, 'service', now())"),
            {"id": customer_id},
        )
        for number in range(TICKETS):
            ticket, _ = Ticket.open(
                customer_id=customer_id,
                kind="problem",
                channel="web",
                priority="normal",
                at=now + timedelta(milliseconds=5 * number),
                terms=terms,
            )
            work.add(ticket)
        await work.commit()
