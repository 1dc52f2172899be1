"""The tables of the books: subjects, postings and balances of each kind, and what is known of the books as a whole."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.types import TypeEngine

from metrics_worker.books.fold import SEGMENT_BUCKETS
from metrics_worker.domain.kinds import KINDS, TOLD_KINDS, Kind
from metrics_worker.domain.measure import Measure
from service_kit.consumer.circuit_breaker import circuit_breaker
from service_kit.consumer.dead_letters import dead_letter
from service_kit.consumer.offsets import consumer_offset
from service_kit.idempotency import idempotency_key
from service_kit.outbox import outbox
from service_kit.tables import own_metadata

metadata = own_metadata(circuit_breaker, consumer_offset, dead_letter, idempotency_key, outbox)

books = Table(
    "books",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("timezone", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("rules_version", Integer, nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("id = 1", name="single_row"),
    comment="By which settings and rules these books are kept; one row.",
)

freshness = Table(
    "freshness",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("complete_until", DateTime(timezone=True), nullable=False),
    comment="Up to which recorded time all of a partition's events are in the books.",
)

sequence_gap = Table(
    "sequence_gap",
    metadata,
    Column("kind", Text, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("first_missing", Integer, nullable=False),
    Column("last_missing", Integer, nullable=False),
    Column("noticed_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("kind", "subject_id", "first_missing"),
    comment="Runs of a subject's sequence that were jumped over and have not arrived since.",
)


def _column_type(measure: Measure) -> TypeEngine[Any]:
    # Money sums outgrow 64 bits when somebody enters absurd amounts; that must spoil a chart, not stop the books.
    return Numeric(38, 0) if measure.unit == "money" else BigInteger()


def _measures(kind: Kind, names: Iterable[str], *, nullable: bool) -> list[Column[Any]]:
    return [Column(name, _column_type(kind.measure_named(name)), nullable=nullable) for name in names]


def bucket_column(duration: str) -> str:
    """The column of a posting that holds a duration's bucket; null where the posting says nothing of it."""
    return f"{duration}_bucket"


def _dimensions(kind: Kind, type_: TypeEngine[Any]) -> list[Column[Any]]:
    return [
        *([Column("split", Boolean, nullable=False)] if kind.split_by else []),
        *(Column(name, type_) for name in kind.dimensions),
    ]


def _told(kind: Kind, dimension: TypeEngine[Any]) -> list[Column[Any]]:
    """What a posting tells, with dimensions of some type."""
    return [
        *_dimensions(kind, dimension),
        *_measures(kind, kind.measures, nullable=True),
        *(Column(bucket_column(name), SmallInteger) for name in kind.durations),
    ]


def _subject(kind: Kind) -> Table:
    return Table(
        f"{kind.name}_subject",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("sequence", Integer, nullable=False),
        Column("event_id", Uuid, nullable=False),
        Column("state", LargeBinary, nullable=False),
        comment=f"The newest state of each {kind.name} that the books have seen, as the event told it (JSON).",
    )


def _posting(kind: Kind) -> Table:
    name = f"{kind.name}_posting"
    return Table(
        name,
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("event_id", Uuid, nullable=False),
        Column("subject_id", Uuid, nullable=False),
        Column("event_time", DateTime(timezone=True), nullable=False),
        Column("recorded_time", DateTime(timezone=True), nullable=False),
        Column("day", Date, nullable=False),
        *_told(kind, Text()),
        # Combinations of filters scan a range of days; a rebuild appends in roughly that order.
        Index(f"{name}_day_idx", "day"),
        # Balances are not kept by customer, and postings move to another one when the two are found to be one.
        *([Index(f"{name}_customer_day_idx", "customer", "day")] if "customer" in kind.dimensions else []),
        comment=f"What changes of {kind.name} subjects added to the sums of a day. Never changed, only appended to; "
        "a measure that it adds nothing to is null.",
    )


AS_WRITTEN = {"autosummarize": "on"}


def _narrow(kind: Kind) -> Table:
    name = f"{kind.name}_narrow"
    return Table(
        name,
        metadata,
        Column("day", Date, nullable=False),
        Column("recorded_time", DateTime(timezone=True), nullable=False),
        *_told(kind, Integer()),
        Index(f"{name}_day_idx", "day"),
        # Rows stand in the order in which they were recorded, more or less: what came after a moment is found by it.
        Index(f"{name}_recorded_time_idx", "recorded_time", postgresql_using="brin", postgresql_with=AS_WRITTEN),
        comment=f"A copy of what {kind.name} postings are summed by, made in the background up to the posting that "
        "`narrowed` names: dimensions by their codes in `dimension_value`.",
    )


narrowed = Table(
    "narrowed",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("posting_id", BigInteger, nullable=False),
    comment="Up to which posting, that one included, a kind's narrow copy is complete; without a row it is empty.",
)


def _opening(kind: Kind) -> Table:
    name = f"{kind.name}_opening"
    return Table(
        name,
        metadata,
        Column("day", Date, nullable=False),
        *_dimensions(kind, Integer()),
        *_measures(kind, kind.levels, nullable=False),
        Index(f"{name}_day_idx", "day"),
        comment=f"What stood of {kind.name} postings at the beginning of the days that `opening_balance` names, as far "
        "as their narrow copy goes: rows of the same day and dimensions add up.",
    )


opening_balance = Table(
    "opening_balance",
    metadata,
    Column("kind", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("rows_made", BigInteger, nullable=False),
    Column("rows_added", BigInteger, nullable=False),
    PrimaryKeyConstraint("kind", "day"),
    comment="Of which days there are opening balances: how many rows each was made of, and how many were added to "
    "it by postings that came late.",
)

dimension_value = Table(
    "dimension_value",
    metadata,
    Column("code", Integer, Identity(always=True), primary_key=True),
    Column("value", Text, nullable=False, unique=True),
    comment="The values of all dimensions, and the codes that narrow copies hold in their place.",
)

ROOM_TO_CHANGE = {"fillfactor": 60}
"""Sums are changed again and again: where the page has room for the new row, the index need not be touched."""


def _balance(kind: Kind) -> Table:
    return Table(
        f"{kind.name}_balance",
        metadata,
        Column("dimension", Text, nullable=False),
        Column("span", Text, nullable=False),
        Column("day", Date, nullable=False),
        Column("value", Text, nullable=False),
        *_measures(kind, kind.measures, nullable=False),
        PrimaryKeyConstraint("dimension", "span", "day", "value"),
        postgresql_with=ROOM_TO_CHANGE,
        comment=f"Sums of {kind.name} postings by one dimension ('all' is the total), the day, month or year "
        "that begins on a day, and value ('' for none).",
    )


def _histogram(kind: Kind) -> Table:
    return Table(
        f"{kind.name}_histogram",
        metadata,
        Column("duration", Text, nullable=False),
        Column("dimension", Text, nullable=False),
        Column("span", Text, nullable=False),
        Column("day", Date, nullable=False),
        Column("value", Text, nullable=False),
        Column("segment", SmallInteger, nullable=False),
        Column("counts", ARRAY(Integer), nullable=False),
        PrimaryKeyConstraint("duration", "dimension", "span", "day", "value", "segment"),
        postgresql_with=ROOM_TO_CHANGE,
        comment=f"How many durations of {kind.name} postings fall into each bucket, {SEGMENT_BUCKETS} to a segment, "
        "by the months and years of the balances.",
    )


account_merge = Table(
    "account_merge",
    metadata,
    Column("customer", Uuid, primary_key=True),
    Column("merged_into", Uuid, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("event_time", DateTime(timezone=True), nullable=False),
    Column("recorded_time", DateTime(timezone=True), nullable=False),
    comment="Customers that were found to be another one, and the event that told of it.",
)

relationship_subject = Table(
    "relationship_subject",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("facts", Integer, nullable=False),
    comment="Customers whose stories are told, and how many facts they have; whoever adds to a story locks its row.",
)

relationship_fact = Table(
    "relationship_fact",
    metadata,
    Column("customer", Uuid, nullable=False, comment="the one that remains, if customers were merged"),
    Column("told", LargeBinary, nullable=False),
    Index("relationship_fact_customer_idx", "customer"),
    comment="What events told of what matters to customers' stories, as the books read it (JSON).",
)

relationship_review = Table(
    "relationship_review",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("customer", Uuid, nullable=False),
    Column("day", Date, nullable=False),
    Index("relationship_review_day_idx", "day"),
    comment="Customers whose risk has to be looked at on a day or after it, because it may have changed.",
)

SUBJECT: dict[Kind, Table] = {kind: _subject(kind) for kind in TOLD_KINDS}
POSTING: dict[Kind, Table] = {kind: _posting(kind) for kind in KINDS if kind.kept}
NARROW: dict[Kind, Table] = {kind: _narrow(kind) for kind in KINDS if kind.kept}
OPENING: dict[Kind, Table] = {kind: _opening(kind) for kind in KINDS if kind.levels}
BALANCE: dict[Kind, Table] = {kind: _balance(kind) for kind in KINDS if kind.kept}
HISTOGRAM: dict[Kind, Table] = {kind: _histogram(kind) for kind in KINDS if kind.durations}
