"""Who may read an event of `metrics.events`: those who may read what it is about."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Final
from uuid import UUID

from metrics_worker.customers.queries import account_of, survivors_of
from service_kit.access import Access
from service_kit.history.queries import FoundEvent
from service_kit.history.routes import Sees
from service_kit.unit_of_work import UnitOfWork


def _readers_of(operation: str) -> Sees:
    """Return who may read an event whose subject that operation reads, of whomever it is."""

    async def sees(work: UnitOfWork, access: Access, found: FoundEvent) -> bool:
        access.of(operation)
        return True

    return sees


async def _sees_wait(work: UnitOfWork, access: Access, found: FoundEvent) -> bool:
    """Return whether a caller may list the wait, by who had it when the event was published."""
    had = {name: found.view.event.data[f"{name}_id"] for name in ("owner", "team")}
    wait = SimpleNamespace(**{name: None if one is None else UUID(one) for name, one in had.items()})
    return await access.of("list_waiting").includes(work, wait)


async def _sees_risk(work: UnitOfWork, access: Access, found: FoundEvent) -> bool:
    """Return whether a caller may read the customer's health; the subject of a risk is the customer."""
    reading = access.of("get_customer_health")
    connection, customer = await work.connection(), found.record_id
    survivor = (await survivors_of(connection, [customer]))[customer]
    return await reading.includes(work, await account_of(connection, survivor))


SEES: Final[Mapping[str, Sees]] = {
    "targets": _readers_of("list_targets"),
    "periods": _readers_of("list_periods"),
    "restatements": _readers_of("list_restatements"),
    "risks": _sees_risk,
    "waits": _sees_wait,
}
"""By kind of subject."""
