"""What a run leaves behind, in comparable form: every table that follows from events, and each key's last record."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from operator import add
from typing import Any, Final
from uuid import UUID, uuid5

import asyncpg
import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from event_contracts import codec
from event_contracts.catalogue import METRICS_TOPIC, SALES_TOPIC, SERVICE_TOPIC
from metrics_worker.domain.kinds import KIND_BY_NAME, KIND_BY_SUBJECT_KIND, Kind
from metrics_worker.ledger.tables import CUSTOMER, POSTING, bucket_column
from metrics_worker.maintenance.stored_sums import stored_blocks
from service_kit.timeline.entries import holds, is_not_lost, is_not_withdrawn, is_restored, timeline_entry
from tests.simulation.databases import Databases
from tests.simulation.histories import BEGAN
from tests.simulation.memory_log import MemoryLog
from tests.simulation.scheduler import NAMESPACE

_TIME = re.compile(r"20(2[1-9]|[3-9]\d)-\d\d-\d\dT[\d:.]+(Z|\+00:00)?")
SALES_TABLES: Final = ("account", "deal", "deal_line", "lead", "taken_suggestion")
SERVICE_TABLES: Final = ("won_deal", "customer", "ticket", "interaction", "upsell_suggestion", "suggested_sale")
UNKNOWN: Final = re.compile("'origin': 'sales', 'name': None.*'registered_at': None")
ERASED: Final = re.compile("'erased_at': '")
NOTHING: Final = "[None]"
"""A tombstone: in a log that begins with it, it is not."""
FOLLOWS: Final = (
    *("blocks", "postings", "subject_state", "account_merge", "sequence_gap", "sales.", "customer", "won_deal"),
    *("suggested_sale", "timeline", "dead_letter", "tasks of risks"),
)
"""The beginnings of the names of tables that follow from events; no event has to fail."""
NOT_COMPARED: Final = {
    "customer": {"version"},
    "won_deal": set[str](),
    "upsell_suggestion": {"version"},
}
"""Columns that count how often a consumer wrote: how many events a batch had."""


@dataclass
class Outcome:
    """Tables by their names; each a mapping of a row's key to the rest of it, as text."""

    tables: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    silent_conflicts: set[str] = field(default_factory=set)
    """Subjects whose newest sequence two events of the log have, without an alarm in the ledger."""

    def followed(self, other: "Outcome") -> "Outcome":
        """Return what follows from events, but nothing of customers that are not known any more.

        Nothing of those either that are erased here or in the other outcome: an erasure that a restore took back stays
        in the copy of service until it is repeated.
        """
        rows = [*self.tables["customer"].items(), *other.tables["customer"].items()]
        erased = {key for key, row in rows if ERASED.search(row)}
        return Outcome(
            {
                name: {
                    key: row
                    for key, row in of_table.items()
                    if row != NOTHING and not UNKNOWN.search(row) and not (name == "customer" and key in erased)
                }
                for name, of_table in self.tables.items()
                if name.startswith(FOLLOWS)
            }
        )

    def differences(self, reference: "Outcome") -> list[str]:
        """Return how this outcome differs from the one that it has to be like."""
        found = []
        for name in sorted(self.tables.keys() | reference.tables.keys()):
            ours, theirs = self.tables.get(name, {}), reference.tables.get(name, {})
            found += [
                f"{name} {key}: {ours.get(key)} where the reference has {theirs.get(key)}"
                for key in sorted(ours.keys() | theirs.keys())
                if ours.get(key) != theirs.get(key)
            ]
        return found


HOLD_ONBOARDINGS: Final = ("ticket", "timeline in sales", "subject_state of ticket", f"{SERVICE_TOPIC}: tickets")
"""Tables with a row for each onboarding. How often one was cancelled and reinstated, and so its version, depends on how
many of its deal's events a batch had: which there are in the end does not, nor does what they count for."""
HOLD_SUGGESTIONS: Final = ("subject_state of upsell", f"{SERVICE_TOPIC}: upsells")
"""The same of suggestions, by how many events of their leads a batch had: what became of them is in their table."""
OF_TASKS: Final = (
    *("subject_state of activity", "blocks of activity", "postings of activity"),
    *(f"{SALES_TOPIC}: activities", f"{METRICS_TOPIC}: risks"),
)
"""Tables with what became of a risk between two evaluations: how often there was a task, and when. Who has one in the
end, and why, is in a table of its own."""
_VISIBLE: Final = str(
    sa.select(timeline_entry)
    .where(
        timeline_entry.c.correction.is_(None),
        timeline_entry.c.type != "service.upsell-outcome-changed",
        timeline_entry.c.records != "activities",
        holds(timeline_entry, is_restored),
        is_not_lost(timeline_entry),
        is_not_withdrawn(timeline_entry),
    )
    .compile(
        dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]
        compile_kwargs={"literal_binds": True},
    )
)
"""What a timeline shows of the other service."""


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return "now" if value.year > BEGAN.year else value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value


class _Reader:
    def __init__(self, names: dict[str, str]) -> None:
        self._names = names
        self._pattern = re.compile("|".join(names)) if names else None

    def text(self, *values: Any) -> str:
        """Return values as text, in which onboardings are named for their deals, leads that sales-consumer made for
        their suggestions, and times of the run are `now`."""
        shown = _TIME.sub("now", str([_plain(value) for value in values]))
        return self._pattern.sub(lambda found: self._names[found[0]], shown) if self._pattern else shown


async def read_outcome(databases: Databases, log: MemoryLog) -> Outcome:
    """Return what the databases and the log hold."""
    outcome = Outcome()
    async with databases.service.session() as session:
        onboardings = await session.fetch(
            "SELECT id, onboarding_deal_id, onboarding_since, cancelled_at FROM ticket"
            " WHERE onboarding_deal_id IS NOT NULL"
        )
    names = {str(row["id"]): str(uuid5(NAMESPACE, f"onboarding {row['onboarding_deal_id']}")) for row in onboardings}
    async with databases.sales.session() as session:
        leads = await session.fetch(
            "SELECT id, upsell_suggestion_id FROM lead WHERE upsell_suggestion_id IS NOT NULL ORDER BY id"
        )
    of_suggestions = {str(row["id"]): str(uuid5(NAMESPACE, f"lead of {row['upsell_suggestion_id']}")) for row in leads}
    reader = _Reader(names | of_suggestions)
    outcome.tables["onboardings"] = {
        str(row["onboarding_deal_id"]): str(row["onboarding_since"])
        for row in onboardings
        if row["cancelled_at"] is None
    }
    async with databases.sales.session() as session:
        for table in SALES_TABLES:
            await _read_table(session, table, outcome, reader)
    async with databases.service.session() as session:
        for table in SERVICE_TABLES:
            await _read_table(session, table, outcome, reader)
    outcome.tables["won_deal"] = {key: row for key, row in outcome.tables["won_deal"].items() if "won_at': '" in row}
    for database in (databases.sales, databases.service):
        async with database.session() as session:
            for row in await session.fetch(_VISIBLE):
                key = reader.text(row["subject"], row["epoch"], row["sequence"])
                shown = [row[name] for name in ("type", "customer_id", "lead_id", "occurred_at", "facts")]
                outcome.tables[f"timeline in {database.name}"][key] = reader.text(*shown)
    async with databases.sales.session() as session:
        for account, reasons in await session.fetch(
            "SELECT account_id, array_agg(to_jsonb(reasons)::text ORDER BY id) FROM activity"
            " WHERE purpose = 'customer-at-risk' AND status = 'planned' GROUP BY account_id"
        ):
            outcome.tables["tasks of risks"][reader.text(account)] = str(reasons)
    await _read_ledger(databases, outcome, reader)
    outcome.silent_conflicts = await _silent_conflicts(databases, log)
    _read_log(log, outcome, reader)
    for table in (*HOLD_SUGGESTIONS, *OF_TASKS):
        outcome.tables.pop(table, None)
    for table in HOLD_ONBOARDINGS:
        rows = outcome.tables[table]
        outcome.tables[table] = {
            key: row for key, row in rows.items() if not any(map(key.__contains__, names.values()))
        }
    return outcome


async def _silent_conflicts(databases: Databases, log: MemoryLog) -> set[str]:
    ids: dict[str, dict[tuple[int, int], set[UUID]]] = defaultdict(lambda: defaultdict(set))
    for part, records in log.records.items():
        for record in records if part.topic in (SALES_TOPIC, SERVICE_TOPIC) else ():
            event = codec.decode(record.value)
            if event.event_type.subject_kind in KIND_BY_SUBJECT_KIND:
                ids[event.subject][event.epoch, event.sequence].add(event.id)
    contested = {subject for subject, of_subject in ids.items() if len(of_subject[max(of_subject)]) > 1}
    async with databases.metrics.session() as session:
        rows = await session.fetch(
            "SELECT kind, subject_id FROM sequence_conflict JOIN subject_state AS state"
            " USING (kind, epoch, sequence) WHERE state.id = subject_id"
        )
    return contested - {f"{KIND_BY_NAME[row['kind']].subject_kind}/{row['subject_id']}" for row in rows}


async def _read_table(session: asyncpg.Connection, table: str, outcome: Outcome, reader: _Reader) -> None:
    for row in await session.fetch(f'SELECT * FROM "{table}"'):
        key, *_ = row.values()
        rest = {name: _plain(value) for name, value in row.items() if name not in NOT_COMPARED.get(table, ())}
        outcome.tables[table][reader.text(key)] = reader.text(rest)


async def _read_ledger(databases: Databases, outcome: Outcome, reader: _Reader) -> None:
    tables = outcome.tables
    async with databases.metrics.engine.connect() as connection:
        blocks, contradictory = await stored_blocks(connection)
    for key, block in blocks.items():
        tables[f"blocks of {key.kind}"][reader.text(*key)] = reader.text(*_cells(block))
    for where in contradictory:
        tables["blocks that contradict themselves"][reader.text(*where)] = ""
    async with databases.metrics.session() as session:
        for kind, subject, epoch, sequence, state in await session.fetch(
            "SELECT kind, id, epoch, sequence, state FROM subject_state"
        ):
            tables[f"subject_state of {kind}"][reader.text(subject)] = reader.text(epoch, sequence, state)
        rows = await session.fetch("SELECT code, value FROM dimension_value")
        values: dict[int, str] = {row["code"]: row["value"] for row in rows}
        for posting_kind in POSTING:
            table = tables[f"postings of {posting_kind.name}"]
            await _read_postings(session, posting_kind, values, table, reader)
        for customer, into in await session.fetch("SELECT customer, merged_into FROM account_merge"):
            tables["account_merge"][reader.text(customer)] = reader.text(into)
        for kind, subject, first, last in await session.fetch(
            "SELECT kind, subject_id, first_missing, last_missing FROM sequence_gap"
        ):
            tables["sequence_gap"][reader.text(kind, subject, first)] = reader.text(last)
    for database in databases:
        async with database.session() as session:
            for row in await session.fetch('SELECT consumer, topic, partition, "offset", detail FROM dead_letter'):
                tables["dead_letter"][reader.text(*row)] = ""


async def _read_postings(
    session: asyncpg.Connection, kind: Kind, values: dict[int, str], table: dict[str, str], reader: _Reader
) -> None:
    """Sum the postings of each day and dimensions: how many there are depends on what was read in between."""
    sums: dict[str, list[int]] = {}
    buckets = [bucket_column(duration) for duration in kind.durations]
    split = ["split"] if kind.split_by else []
    for row in await session.fetch(f"SELECT * FROM {POSTING[kind].name}"):
        dimensions = [row[name] if name == CUSTOMER else values.get(row[name]) for name in kind.dimensions]
        key = reader.text(*(row[name] for name in ("day", *split, *buckets)), *dimensions)
        amounts = [int(row[measure] or 0) for measure in kind.measures]
        sums[key] = list(map(add, sums.get(key, [0] * len(amounts)), amounts))
    table |= {key: str(amounts) for key, amounts in sums.items() if any(amounts)}


def _cells(block: Any) -> tuple[dict[int, int], dict[int, int]]:
    return (
        {number: amount for number, amount in sorted(block.cells.items()) if amount},
        {number: count for number, count in sorted(block.buckets.items()) if count},
    )


def _read_log(log: MemoryLog, outcome: Outcome, reader: _Reader) -> None:
    for part, records in log.records.items():
        newest: dict[str, tuple[tuple[int, int], str]] = {}
        for record in records:
            if part.topic.endswith("directory"):
                value = None if record.value is None else codec.decode(record.value)
                outcome.tables[part.topic][reader.text(record.key)] = reader.text(
                    None if value is None else msgspec.to_builtins(value.data)
                )
            else:
                event = codec.decode(record.value)
                shown = reader.text(msgspec.to_builtins(event.data))
                version = event.epoch, event.sequence
                if newest.get(event.subject, ((0, 0), ""))[0] < version:
                    newest[event.subject] = (version, shown)
        for subject, (version, shown) in newest.items():
            outcome.tables[f"{part.topic}: {subject.partition('/')[0]}"][reader.text(subject)] = f"{version}: {shown}"
