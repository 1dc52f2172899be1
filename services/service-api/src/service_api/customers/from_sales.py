"""The consumers that copy customers, won deals and what comes of suggestions from `sales.events`, names, and sales'
events, mirrored for the timelines of customers."""

import asyncio
from collections.abc import Sequence
from functools import partial
from operator import itemgetter
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from event_contracts import codec
from event_contracts.catalogue import SALES_DIRECTORY_TOPIC, SALES_TOPIC
from event_contracts.codec import CloudEvent
from event_contracts.directory import SalesDirectoryEntrySet
from event_contracts.sales import Account, Deal
from service_api.corrected_deals import follow_deals
from service_api.customers.erasure import erase_copy
from service_api.customers.model import Customer
from service_api.suggested_sales import follow_sales, may_be_suggested
from service_api.timeline import CONSUMER as TIMELINE
from service_api.won_deals import copy_deals, may_have_been_won
from service_kit.clock import SYSTEM_CLOCK, Clock
from service_kit.consumer.consumer import Consumer
from service_kit.consumer.offsets import OffsetResetPolicy
from service_kit.consumer.records import Record
from service_kit.consumer.seen_sequences import Version
from service_kit.kafka import Kafka
from service_kit.outbox_notify import OutboxNotifier
from service_kit.timeline.entries import timeline_consumer
from service_kit.unit_of_work import written_durably

ACCOUNTS = "service-customers"
NAMES = "service-customer-names"
"""The consumer groups, and the names of their offsets and dead letters. Two, because a record without a value is a dead
letter on the one topic and an erasure on the other."""

_customer: Any = Customer.table
_new = insert(_customer)
_UNKNOWN: dict[str, Any] = {
    "version": 1,
    "origin": "sales",
    "name": None,
    "region": None,
    "segment": None,
    "external_ref": None,
    "registered_at": None,
    "erased_at": None,
    "merged_into": None,
}

_SET_ACCOUNT = _new.on_conflict_do_update(
    index_elements=[_customer.c.id],
    set_={
        "version": _customer.c.version + 1,
        "region": _new.excluded.region,
        "segment": _new.excluded.segment,
        "registered_at": _new.excluded.registered_at,
        "merged_into": _new.excluded.merged_into,
        "updated_at": sa.func.now(),
    },
    where=_customer.c.origin == "sales",
)
_SET_NAME = _new.on_conflict_do_update(
    index_elements=[_customer.c.id],
    set_={"version": _customer.c.version + 1, "name": _new.excluded.name, "updated_at": sa.func.now()},
    # Names have a log of their own: one may arrive after the erasure.
    where=(_customer.c.origin == "sales") & _customer.c.erased_at.is_(None),
)
_ERASE_NAME = (
    sa.update(_customer)
    .where(_customer.c.id == sa.bindparam("customer_id"), _customer.c.origin == "sales", _customer.c.name.is_not(None))
    .values(name=None, version=_customer.c.version + 1)
)


def version_of(event: CloudEvent) -> Version | None:
    """Return the version of what is copied: see `is_copied`."""
    return Version(event.subject, event.epoch, event.sequence, event.id) if is_copied(event) else None


def is_copied(event: CloudEvent) -> bool:
    """Return whether an event can change a copy: of an account, a deal that may have been won, a suggested sale."""
    return (
        isinstance(event.data, Account)
        or (isinstance(event.data, Deal) and (event.may_follow_lost_states or may_have_been_won(event.data)))
        or may_be_suggested(event)
    )


def version_of_name(entry: CloudEvent | None) -> Version | None:
    """Return the version of an account's name; None for a tombstone, and for the name of something else."""
    is_named = entry is not None and isinstance(entry.data, SalesDirectoryEntrySet) and entry.data.kind == "account"
    return Version(entry.subject, entry.epoch, entry.sequence, entry.id) if is_named and entry is not None else None


async def copy_accounts(connection: AsyncConnection, records: Sequence[Record[CloudEvent]]) -> None:
    """Copy the accounts in a batch, with their merges, and erase those that sales erased.

    An account comes once at most, in its newest version. Of one that sales has lost nothing is known any more.
    """
    # In the order of the key: two batches of different partitions must not wait for each other in a circle.
    accounts = sorted((each.value.data for each in records if isinstance(each.value.data, Account)), key=_id_of)
    lost = {each.value.data.id for each in records if each.value.event_type.correction == "withdrawn"}
    rows = [
        _UNKNOWN | {"id": account.id}
        if account.id in lost
        else _UNKNOWN
        | {
            "id": account.id,
            "region": account.region,
            "segment": account.segment,
            "registered_at": account.registered_at,
            "merged_into": account.merged_into,
        }
        for account in accounts
    ]
    if rows:
        await connection.execute(_SET_ACCOUNT, rows)
    erased = [account for account in accounts if account.erased_at is not None]
    if erased:
        async with written_durably(connection, ACCOUNTS) as work:
            for account in erased:
                await erase_copy(work, account.id, account.erased_at or account.registered_at)


async def copy_names(connection: AsyncConnection, records: Sequence[Record[CloudEvent | None]]) -> None:
    """Copy the accounts' names in a batch, and erase those that sales erased.

    A name comes once at most, in its newest version. Raise ValueError for an erasure whose key is not an id.
    """
    newest: dict[UUID, str | None] = {}
    for record in records:
        if record.value is None:
            newest[UUID((record.key or b"").decode())] = None
        elif isinstance(record.value.data, SalesDirectoryEntrySet) and record.value.data.kind == "account":
            newest[record.value.data.id] = record.value.data.name
    names = sorted(newest.items(), key=itemgetter(0))
    set_ = [_UNKNOWN | {"id": customer_id, "name": name} for customer_id, name in names if name is not None]
    erased = [{"customer_id": customer_id} for customer_id, name in names if name is None]
    if set_:
        await connection.execute(_SET_NAME, set_)
    if erased:
        await connection.execute(_ERASE_NAME, erased)


async def copy_events(
    connection: AsyncConnection, records: Sequence[Record[CloudEvent]], *, onboarding_days: int = 0
) -> None:
    """Copy the accounts and won deals in a batch, and follow what becomes of them and of suggestions.

    Each subject comes once at most, in its newest version.
    """
    # Customers first: a deal's onboarding is opened for one.
    await copy_accounts(connection, records)
    await copy_deals(connection, records, ACCOUNTS, onboarding_days=onboarding_days)
    await follow_deals(connection, records, ACCOUNTS)
    await follow_sales(connection, records, ACCOUNTS)


def _id_of(account: Account) -> UUID:
    return account.id


def decode_name(value: bytes | None) -> CloudEvent | None:
    """Return a directory record, or None for a tombstone. Raise `UndecodableEvent`."""
    return None if value is None else codec.decode(value)


class SalesCustomers:
    """The three consumers, ready to run."""

    def __init__(
        self,
        engine: AsyncEngine,
        kafka: Kafka,
        *,
        events_topic: str = SALES_TOPIC,
        directory_topic: str = SALES_DIRECTORY_TOPIC,
        offset_reset: OffsetResetPolicy = "stop",
        onboarding_days: int = 0,
        revision: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._outbox_notifier = OutboxNotifier(engine)

        self.accounts: Consumer[CloudEvent] = Consumer(
            name=ACCOUNTS,
            engine=engine,
            kafka=kafka,
            topics=[events_topic],
            decode=codec.decode,
            handle=partial(copy_events, onboarding_days=onboarding_days),
            is_relevant=is_copied,
            version_of=version_of,
            on_commit=self._outbox_notifier.notify,
            offset_reset=offset_reset,
            revision=revision,
            clock=clock,
        )
        self.names: Consumer[CloudEvent | None] = Consumer(
            name=NAMES,
            engine=engine,
            kafka=kafka,
            topics=[directory_topic],
            decode=decode_name,
            handle=copy_names,
            version_of=version_of_name,
            offset_reset=offset_reset,
            revision=revision,
            clock=clock,
        )
        self.timeline: Consumer[CloudEvent] = timeline_consumer(
            TIMELINE, engine, kafka, [events_topic], offset_reset=offset_reset, revision=revision, clock=clock
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Copy until `stop` is set. Raise an exception group with `OperatorRequired`."""
        async with self._outbox_notifier.running(), asyncio.TaskGroup() as group:
            for each in (self.accounts, self.names, self.timeline):
                group.create_task(each.run(stop))
