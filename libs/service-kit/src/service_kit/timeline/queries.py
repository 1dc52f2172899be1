"""The timeline of a customer: the service's own events as they were published, and what the other service's tell.

Own events are found by the records of the customer that the caller may read, so that nothing is kept a second time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from event_contracts.codec import CloudEvent, decode, with_epoch
from service_kit.access import Access
from service_kit.outbox import outbox
from service_kit.published_events import published_event, stream
from service_kit.timeline.entries import holds, is_not_lost, is_not_withdrawn, is_restored, timeline_entry
from service_kit.timeline.facts import RECORDS, SOURCES, facts_of, kinds_of
from service_kit.timeline.request import TimelineQuery
from service_kit.timeline.schemas import (
    TimelineEntryRead,
    TimelineFactsRead,
    TimelinePage,
    TimelinePersonRead,
    TimelineRecordRead,
)
from service_kit.unit_of_work import UnitOfWork

OF_ONE_CUSTOMER: Final = (
    "Everything that happened with the customer in sales and service, the newest first by when it happened. What this"
    " API records is there at once, what the other one records some moments later. Records that your roles may not read"
    " are left out. What was merged into the customer is there too."
)

_ENVELOPE_BYTES: Final = 600
"""At most so long are the attributes before an event's data."""
_NEXT_EPOCH: Final = sa.func.coalesce(sa.select(stream.c.epoch).scalar_subquery(), 1)
"""Of what waits in the outbox: the relay stamps it."""
_MOMENT: Final = sa.DateTime(timezone=True)
_SHOWN: Final = ("event_id", "type", "occurred_at", "customer_id")
"""The columns that both parts have, beside their own."""


@dataclass(frozen=True)
class OwnRecords:
    """Records of a customer: their kind in the subjects of their events, their table, its column with the customer.

    `title` is the column with what people call a record. Records without a customer have that of the lead that `by`
    names in their own column `lead_id`. `key` are the columns with the Kafka key of their events, the first that is not
    null.
    """

    records: str
    table: sa.Table
    customer: str
    title: str | None = None
    by: sa.Table | None = None
    key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Timeline:
    """The timelines of a service: its topic and the other one's, its customers' table, and what it has of customers.

    `customers` has `merged_into`: what was merged into a customer is on the timeline of both. `people` are whose names
    are shown.
    """

    topic: str
    other_topic: str
    customers: sa.Table
    people: sa.Table
    own: tuple[OwnRecords, ...]

    @property
    def kinds(self) -> list[str]:
        """Return the kinds of entries."""
        return sorted([*kinds_of(self.topic), *kinds_of(self.other_topic)])

    async def page(self, work: UnitOfWork, access: Access, query: TimelineQuery, customer_id: UUID) -> TimelinePage:
        """Return one page of the timeline of a customer whom the caller may see."""
        statement = await self.statement(work, access, query, customer_id)
        rows: Sequence[Any] = [] if statement is None else (await work.execute(statement)).all()
        shown = rows[: query.limit]
        entries = [_Entry.of(row) for row in shown]
        names = await self._names(work, entries)
        return TimelinePage(
            items=[self._view(entry, names) for entry in entries],
            next_cursor=None
            if len(rows) <= len(shown)
            else query.cursor_after(shown[-1].occurred_at, shown[-1].event_id),
        )

    async def statement(
        self, work: UnitOfWork, access: Access, query: TimelineQuery, customer_id: UUID
    ) -> sa.Select[Any] | None:
        """Return the query of a page's rows, and one more; None where nothing is asked for that the caller may see."""
        customers = await self._with_merged(work, customer_id)
        parts = []
        own_kinds = _asked(query, self.topic, kinds_of(self.topic))
        if own_kinds:
            parts.append(await self._own(work, access, query, customers, own_kinds))
        mirrored = access.mirrored & RECORDS[self.other_topic].keys()
        other_kinds = _asked(query, self.other_topic, kinds_of(self.other_topic, frozenset(mirrored)))
        if other_kinds:
            parts.append(_mirrored(query, customers, other_kinds))
        if not parts:
            return None
        found = sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery("found")
        newest = sa.select(found).order_by(found.c.occurred_at.desc(), found.c.event_id.desc())
        return newest.limit(query.limit + 1)

    async def _own(
        self, work: UnitOfWork, access: Access, query: TimelineQuery, customers: Sequence[UUID], kinds: Sequence[str]
    ) -> sa.Select[Any]:
        records = [await self._of_noun(work, access, each, customers) for each in self.own]
        own = sa.union_all(*records).cte("own").prefix_with("MATERIALIZED", dialect="postgresql")
        of_subject = _published_of(own.c.subject, self.topic).correlate(own).lateral("of_subject")
        published = (
            sa.select(own.c.subject, of_subject.c.epoch, of_subject.c.payload, sa.true().label("is_published"))
            .add_columns(own.c.customer_id, own.c.title)
            .select_from(own.join(of_subject, sa.true()))
        )
        keys = sa.select(own.c.key).distinct().subquery("keys")
        of_key = _waiting_under(keys.c.key, self.topic).correlate(keys).lateral("of_key")
        of_keys = (
            sa.select(of_key.c.payload, _attribute(_envelope(of_key.c.payload), "subject").label("subject"))
            .select_from(keys.join(of_key, sa.true()))
            .cte("of_keys")
            .prefix_with("MATERIALIZED", dialect="postgresql")
        )
        # What waits is the newest of its subject: nothing later has taken it back.
        waiting = (
            sa.select(of_keys.c.subject, _NEXT_EPOCH.label("epoch"), of_keys.c.payload)
            .add_columns(sa.false().label("is_published"), own.c.customer_id, own.c.title)
            .select_from(of_keys.join(own, of_keys.c.subject == own.c.subject))
        )
        # OFFSET, here and below: what is read of the payload is read once.
        each = sa.union_all(published, waiting).subquery("each")
        with_envelope = sa.select(each, _envelope(each.c.payload).label("envelope"))
        both = with_envelope.offset(sa.literal_column("0")).subquery("both")
        read = sa.select(
            sa.cast(_attribute(both.c.envelope, "id"), sa.Uuid).label("event_id"),
            _attribute(both.c.envelope, "type").label("type"),
            sa.cast(_attribute(both.c.envelope, "time"), _MOMENT).label("occurred_at"),
            both.c.customer_id,
            both.c.title,
            both.c.epoch,
            both.c.payload,
            both.c.is_published,
            *_nothing(("subject", sa.Text), ("recorded_at", _MOMENT), ("facts", JSONB)),
        ).subquery("read")
        read = sa.select(read).offset(sa.literal_column("0")).subquery("attributes")
        page = sa.select(read).where(*_conditions(query, read.c, kinds))
        return page.order_by(read.c.occurred_at.desc(), read.c.event_id.desc()).limit(query.limit + 1)

    async def _of_noun(
        self, work: UnitOfWork, access: Access, each: OwnRecords, customers: Sequence[UUID]
    ) -> sa.Select[Any]:
        """Return the subjects of the customer's records that the caller may read, with their titles."""
        table = each.table
        within = await access.within(work, table)
        title = _no_title()
        if each.title is not None:
            is_shown = await access.shows_personal(work, table)
            title = sa.case((is_shown, table.c[each.title]), else_=sa.null())
        whose: sa.ColumnElement[Any] = table.c[each.customer]
        condition: sa.ColumnElement[bool] = whose == _any_of(customers)
        if each.by is not None:
            of_lead = sa.select(each.by.c.account_id).where(each.by.c.id == table.c.lead_id).scalar_subquery()
            theirs = sa.select(each.by.c.id).where(each.by.c.account_id == _any_of(customers))
            condition = sa.or_(condition, sa.and_(whose.is_(None), table.c.lead_id.in_(theirs)))
            whose = sa.func.coalesce(whose, of_lead)
        key = sa.func.coalesce(*(table.c[name] for name in each.key or (each.customer,)))
        return sa.select(
            sa.func.concat(f"{each.records}/", table.c.id).label("subject"),
            sa.cast(key, sa.Text).label("key"),
            whose.label("customer_id"),
            title.label("title"),
        ).where(condition, *([] if within is None else [within.condition()]))

    async def _with_merged(self, work: UnitOfWork, customer_id: UUID) -> list[UUID]:
        """Return a customer and all that were merged into it, by way of others too."""
        table = self.customers
        found = sa.select(sa.literal(customer_id, sa.Uuid).label("id")).cte("found", recursive=True)
        # `union` drops what was found before, so that a circle ends it too.
        found = found.union(sa.select(table.c.id).where(table.c.merged_into == found.c.id))
        return list((await work.execute(sa.select(found.c.id))).scalars())

    async def _names(self, work: UnitOfWork, entries: Iterable["_Entry"]) -> Mapping[str, str]:
        """Return the names of this service's people, by their ids."""
        people = self.people.c
        named = {id_ for entry in entries for id_ in entry.people if entry.topic == self.topic}
        if not named:
            return {}
        ids = sa.literal(sorted(UUID(each) for each in named), sa.ARRAY(sa.Uuid))
        rows = await work.execute(sa.select(people.id, people.name).where(people.id == sa.any_(ids)))
        return {str(row.id): row.name for row in rows}

    def _view(self, entry: "_Entry", names: Mapping[str, str]) -> TimelineEntryRead:
        known = names if entry.topic == self.topic else {}

        def person(name: str) -> TimelinePersonRead | None:
            id_ = entry.facts.get(name)
            return None if id_ is None else TimelinePersonRead(id=id_, name=known.get(id_))

        records, _, record_id = entry.subject.partition("/")
        noun = RECORDS[entry.topic][records]
        return TimelineEntryRead(
            id=entry.event_id,
            kind=entry.type,
            source=SOURCES[entry.topic],
            occurred_at=entry.occurred_at,
            recorded_at=entry.recorded_at,
            customer_id=entry.customer_id,
            record=TimelineRecordRead(noun=noun, id=record_id, path=f"/v1/{noun}/{record_id}", title=entry.title),
            person=person("person_id"),
            previous_person=person("previous_person_id"),
            facts=TimelineFactsRead.model_validate(entry.facts),
        )


@dataclass(frozen=True)
class _Entry:
    """An entry, whichever part it comes from."""

    topic: str
    event_id: UUID
    type: str
    subject: str
    customer_id: UUID
    title: str | None
    occurred_at: datetime
    recorded_at: datetime
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, row: Any) -> "_Entry":
        """Return that of a row."""
        shared: dict[str, Any] = {name: getattr(row, name) for name in _SHOWN}
        if row.payload is None:
            topic = next(each for each, source in SOURCES.items() if row.type.startswith(f"{source}."))
            return cls(
                topic=topic,
                subject=row.subject,
                title=None,
                recorded_at=row.recorded_at,
                facts=row.facts,
                **shared,
            )
        event: CloudEvent = decode(row.payload if row.is_published else with_epoch(row.payload, row.epoch))
        return cls(
            topic=event.event_type.topic,
            subject=event.subject,
            title=row.title,
            recorded_at=event.recorded_time,
            facts=facts_of(event.data),
            **shared,
        )

    @property
    def people(self) -> list[str]:
        """Return the ids of who is named in it."""
        return [id_ for name in ("person_id", "previous_person_id") if (id_ := self.facts.get(name)) is not None]


def _mirrored(query: TimelineQuery, ids: Sequence[UUID], kinds: Sequence[str]) -> sa.Select[Any]:
    """Return the entries mirrored from the other service, of the customers and of leads that became theirs."""
    table = timeline_entry
    customers = sa.func.unnest(sa.literal(list(ids), sa.ARRAY(sa.Uuid))).table_valued("id").render_derived("customers")
    conditions = [
        table.c.correction.is_(None),
        *_conditions(query, table.c, kinds),
        holds(table, is_restored),
        is_not_lost(table),
        is_not_withdrawn(table),
    ]

    def newest(*where: sa.ColumnElement[bool], of: sa.FromClause, name: str) -> Any:
        """Return so many by the index, whatever else the customer has."""
        rows = sa.select(table).where(*where, *conditions).correlate(of)
        return rows.order_by(table.c.occurred_at.desc(), table.c.event_id.desc()).limit(query.limit + 1).lateral(name)

    by_customer = newest(table.c.customer_id == customers.c.id, of=customers, name="by_customer")
    became = table.alias("became")
    leads = (
        sa.select(became.c.lead_id, sa.func.min(sa.cast(became.c.customer_id, sa.Text)).label("customer"))
        .where(became.c.customer_id == _any_of(ids), became.c.lead_id.is_not(None))
        .where(holds(became, is_restored), is_not_lost(became))
        .group_by(became.c.lead_id)
        .subquery("leads")
    )
    by_lead = newest(table.c.lead_id == leads.c.lead_id, table.c.customer_id.is_(None), of=leads, name="by_lead")
    found = sa.union_all(
        _mirrored_columns(by_customer, customers.c.id, customers.join(by_customer, sa.true())),
        _mirrored_columns(by_lead, sa.cast(leads.c.customer, sa.Uuid), leads.join(by_lead, sa.true())),
    ).subquery("mirrored")
    newest_of_all = sa.select(found).order_by(found.c.occurred_at.desc(), found.c.event_id.desc())
    return newest_of_all.limit(query.limit + 1)


def _mirrored_columns(rows: Any, customer: sa.ColumnElement[Any], source: sa.FromClause) -> sa.Select[Any]:
    """Return the columns of entries in the order of those of own events."""
    return sa.select(
        rows.c.event_id,
        rows.c.type,
        rows.c.occurred_at,
        customer.label("customer_id"),
        *_nothing(("title", sa.Text), ("epoch", sa.Integer), ("payload", sa.LargeBinary), ("is_published", sa.Boolean)),
        rows.c.subject,
        rows.c.recorded_at,
        rows.c.facts,
    ).select_from(source)


def _published_of(subject: sa.ColumnElement[str], topic: str) -> sa.Select[Any]:
    """Return what was published of a subject and holds, by its index, whatever the planner expects of the customer."""
    sent = published_event
    found = sa.select(sent.c.epoch, sent.c.payload).where(sent.c.subject == subject, sent.c.topic == topic)
    return found.where(holds(sent, _is_restored_here)).offset(sa.literal_column("0"))


def _waiting_under(key: sa.ColumnElement[str], topic: str) -> sa.Select[Any]:
    """Return what waits in the outbox under a key, by its index: OFFSET keeps the table from being read as a whole."""
    waits = outbox.c
    conditions = (waits.aggregateid == key, waits.aggregatetype == topic, waits.payload.is_not(None))
    return sa.select(waits.payload).where(*conditions).offset(sa.literal_column("0"))


def _any_of(ids: Sequence[UUID]) -> Any:
    return sa.any_(sa.literal(list(ids), sa.ARRAY(sa.Uuid)))


def _asked(query: TimelineQuery, topic: str, kinds: Sequence[str]) -> list[str]:
    """Return those of a topic's kinds that the query asks for."""
    if query.sources is not None and SOURCES[topic] not in query.sources:
        return []
    return [kind for kind in kinds if query.kinds is None or kind in query.kinds]


def _conditions(query: TimelineQuery, columns: Any, kinds: Sequence[str]) -> list[sa.ColumnElement[bool]]:
    found = [columns.type == sa.any_(sa.literal(list(kinds), sa.ARRAY(sa.Text)))]
    if query.since is not None:
        found.append(columns.occurred_at >= query.since)
    if query.before is not None:
        found.append(columns.occurred_at < query.before)
    if query.after is not None:
        place = sa.tuple_(sa.literal(query.after.value, _MOMENT), sa.literal(query.after.id, sa.Uuid))
        found.append(sa.tuple_(columns.occurred_at, columns.event_id) < place)
    return found


def _envelope(payload: sa.ColumnElement[bytes]) -> sa.ColumnElement[str]:
    """Return the beginning of an event as text: its attributes, which come before the data."""
    found: sa.ColumnElement[str] = sa.func.encode(
        sa.func.substring(payload, 1, _ENVELOPE_BYTES), "escape", type_=sa.Text
    )
    return found


def _attribute(envelope: sa.ColumnElement[str], name: str) -> sa.ColumnElement[str]:
    """Return an attribute that is a text, without parsing the JSON: its first occurrence is the envelope's."""
    after = sa.func.split_part(envelope, f'"{name}":"', 2)
    found: sa.ColumnElement[str] = sa.func.split_part(after, '"', 1, type_=sa.Text)
    return found


def _is_restored_here(events: Any) -> sa.ColumnElement[bool]:
    return _attribute(_envelope(events.c.payload), "type").like("%-restored")


def _nothing(*columns: tuple[str, Any]) -> list[sa.ColumnElement[Any]]:
    return [sa.cast(sa.null(), type_).label(name) for name, type_ in columns]


def _no_title() -> sa.ColumnElement[Any]:
    return sa.cast(sa.null(), sa.Text)
