"""The tables of the ledger: the newest state of each subject, the postings of each kind, the blocks that sum them up,
and the state of the ledger as a whole. All of them can be derived from the log again."""

from typing import Any, Final

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
    text,
)
from sqlalchemy.types import TypeEngine

from metrics_worker.domain.kinds import KINDS, Kind
from metrics_worker.domain.measure import Measure
from service_kit.consumer.circuit_breaker import circuit_breaker
from service_kit.consumer.offsets import consumer_offset
from service_kit.tables import own_metadata

CUSTOMER: Final = "customer"
"""The dimension that postings hold as it is, and not by a code."""

CONSUMER: Final = "metrics-worker"
"""The consumer group of the ledger, and the name under which its offsets and dead letters are kept."""

metadata = own_metadata(circuit_breaker, consumer_offset)

ledger = Table(
    "ledger",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("timezone", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("rules_version", Integer, nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("id = 1", name="single_row"),
    comment="The time zone, currency and rules version of this ledger; one row.",
)

freshness = Table(
    "freshness",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column(
        "complete_until",
        DateTime(timezone=True),
        comment="the recorded time up to which the ledger has all events of the partition; null before it is known",
    ),
    Column(
        "history_read_at",
        DateTime(timezone=True),
        comment="when a batch last had much in it that was recorded long after it happened",
    ),
    comment="How far the ledger is complete, by partition.",
)

sequence_gap = Table(
    "sequence_gap",
    metadata,
    Column("kind", Text, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("first_missing", Integer, nullable=False),
    Column("last_missing", Integer, nullable=False),
    Column("noticed_at", DateTime(timezone=True), nullable=False),
    Column("epoch", Integer, nullable=False, server_default="1", comment="of the subject when it was noticed"),
    PrimaryKeyConstraint("kind", "subject_id", "first_missing"),
    comment="Runs of a subject's sequence that a later event jumped over and that have not arrived since.",
)

sequence_conflict = Table(
    "sequence_conflict",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("subject_id", Uuid, primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("event_id", Uuid, nullable=False, comment="of the event that counts"),
    Column("dropped_event_id", Uuid, primary_key=True),
    Column("noticed_at", DateTime(timezone=True), nullable=False),
    Column("epoch", Integer, nullable=False, server_default="1", comment="of both events"),
    comment="Events whose sequence another event of their subject had already. The last one of a subject contradicts "
    "its source until a later event comes.",
)

subject_state = Table(
    "subject_state",
    metadata,
    Column("kind", Text, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("state", LargeBinary, comment="null when the subject was withdrawn: nothing of it counts"),
    Column("epoch", Integer, nullable=False, server_default="1", comment="of the stream that the sequence is of"),
    PrimaryKeyConstraint("kind", "id"),
    comment="The newest state of each subject that the ledger has seen, as its event carries it (JSON).",
)

open_wait = Table(
    "open_wait",
    metadata,
    Column("id", Uuid, primary_key=True, comment="always the same for the same wait, in the order of time"),
    Column("kind", Text, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("customer", Uuid, comment="as the subject names them; null for a lead that is no customer yet"),
    Column("owner", Uuid),
    Column("team", Uuid),
    Column("region", Text),
    Column("segment", Text),
    Column("product", Text),
    Column("channel", Text),
    Index("open_wait_customer_idx", "customer"),
    Index("open_wait_owner_id_idx", "owner", "id"),
    Index("open_wait_team_id_idx", "team", "id"),
    comment="The customers who wait for us: what begins and ends a wait is in the newest state of its subject.",
)

block = Table(
    "block",
    metadata,
    Column("kind", Text, nullable=False),
    Column("dimension", Text, nullable=False, comment="'all' for the total"),
    Column("span", Text, nullable=False, comment="'month' or 'year'"),
    Column("start", Date, nullable=False, comment="the first day of the month or year"),
    Column("value", Text, nullable=False, comment="of the dimension; '' for postings without one"),
    Column("part", SmallInteger, nullable=False, comment="the writer's; readers add the parts"),
    Column("sums", ARRAY(BigInteger), nullable=False, comment="over the span, by measure in the kind's order"),
    Column("cells", ARRAY(SmallInteger), nullable=False, comment="measure << 8 | day of the month; months only"),
    Column("amounts", ARRAY(BigInteger), nullable=False, comment="the sum of each cell"),
    Column("buckets", ARRAY(SmallInteger), nullable=False, comment="duration << 10 | bucket of its histogram"),
    Column("counts", ARRAY(Integer), nullable=False, comment="how many durations each bucket holds"),
    # Spans and starts precede values: most reads take all values of some months or years.
    PrimaryKeyConstraint("kind", "dimension", "span", "start", "value", "part"),
    # Rows of a busy month are some kilobytes. Within the page, an update writes its changes to the log, and no more.
    postgresql_with={"toast_tuple_target": 8160},
    comment="Sums of postings by kind, dimension, value and month or year, kept apart by writer.",
)

block_part = Table(
    "block_part",
    metadata,
    Column("part", SmallInteger, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False, comment="a random number that each write of the part replaces"),
    comment="Parts of blocks. A writer locks its part, and trusts its memory while the revision is its own.",
)


dimension_value = Table(
    "dimension_value",
    metadata,
    Column("code", Integer, Identity(always=True), primary_key=True),
    Column("value", Text, nullable=False, unique=True),
    comment="The codes by which postings hold the values of dimensions.",
)


def _column_type(measure: Measure) -> TypeEngine[Any]:
    # Money sums outgrow 64 bits when absurd amounts are entered; that must spoil a chart, not stop the consumer.
    return Numeric(38, 0) if measure.unit == "money" else BigInteger()


def bucket_column(duration: str) -> str:
    """Return the column of a posting that holds a duration's bucket; null where the posting has none."""
    return f"{duration}_bucket"


def _posting(kind: Kind) -> Table:
    name = f"{kind.name}_posting"
    return Table(
        name,
        metadata,
        # A scan takes a row apart up to the last column that it filters by: these come first, and have fixed widths.
        Column("id", BigInteger, Identity(always=True), nullable=False),
        Column("event_time", DateTime(timezone=True), nullable=False),
        Column("recorded_time", DateTime(timezone=True), nullable=False),
        Column("day", Date, nullable=False),
        *([Column("split", Boolean, nullable=False)] if kind.split_by else []),
        # Customers are too many for codes: each would be one more row to write.
        *(Column(dimension, Uuid if dimension == CUSTOMER else Integer) for dimension in kind.dimensions),
        Column("event_id", Uuid, nullable=False),
        Column("subject_id", Uuid, nullable=False),
        *(Column(measure, _column_type(kind.measure_named(measure)), nullable=True) for measure in kind.measures),
        *(Column(bucket_column(duration), SmallInteger) for duration in kind.durations),
        # `explain` pages through it by day and id.
        PrimaryKeyConstraint("day", "id"),
        # Rows are in the order of recording, and more or less of days. A few late ones in a range of pages keep it from
        # no scan of other days: a range has several runs of days.
        Index(
            f"{name}_recorded_time_day_idx",
            "recorded_time",
            "day",
            postgresql_using="brin",
            postgresql_ops={"day": "date_minmax_multi_ops"},
            postgresql_with={"autosummarize": "on", "pages_per_range": 32},
        ),
        # Blocks are not kept by customer, and postings move to another one when the two are merged.
        *([Index(f"{name}_customer_day_idx", "customer", "day")] if CUSTOMER in kind.dimensions else []),
        comment=f"The contributions of changes of {kind.name} subjects to the sums of a day. Append-only; a measure "
        "that a posting does not contribute to is null. Dimensions are codes of dimension_value.",
    )


directory_name = Table(
    "directory_name",
    metadata,
    Column("topic", Text, nullable=False, comment="the directory that it is from: each erases its own"),
    Column("id", Uuid, nullable=False),
    Column(
        "kind",
        Text,
        nullable=False,
        comment="account, customer, rep, agent, team, product, or the list of a value: channels",
    ),
    Column("name", Text, nullable=False),
    Column(
        "code", Text, comment="by which events name it: a product's, a value's key; null for what they name by its id"
    ),
    Column("epoch", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("parent_id", Uuid, comment="the team above a team"),
    Column("merged_into", Text, comment="the code of the value that a list's value counts as"),
    PrimaryKeyConstraint("topic", "id"),
    Index("directory_name_id_idx", "id"),
    Index("directory_name_parent_idx", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
    Index("directory_name_merged_idx", "kind", postgresql_where=text("merged_into IS NOT NULL")),
    Index("directory_name_code_idx", "code", postgresql_where=text("code IS NOT NULL")),
    comment="Names as the directories have them; a tombstone deletes its row. Personal data, in no backup.",
)

account_merge = Table(
    "account_merge",
    metadata,
    Column("customer", Uuid, primary_key=True),
    Column("merged_into", Uuid, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("event_time", DateTime(timezone=True), nullable=False),
    Column("recorded_time", DateTime(timezone=True), nullable=False),
    comment="Customers that were merged into another one, and the event that did it.",
)

customer_timeline = Table(
    "customer_timeline",
    metadata,
    Column("customer", Uuid, primary_key=True),
    Column("entries", Integer, nullable=False),
    comment="Customers that have a timeline, and the number of its entries; a writer locks the row.",
)

timeline_entry = Table(
    "timeline_entry",
    metadata,
    Column("customer", Uuid, nullable=False, comment="the one that survives, if customers were merged"),
    Column("entry", LargeBinary, nullable=False),
    Index("timeline_entry_customer_idx", "customer"),
    comment="The facts of each customer's timeline, with their events (JSON).",
)

risk_review = Table(
    "risk_review",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("customer", Uuid, nullable=False),
    Column("day", Date, nullable=False),
    Index("risk_review_day_idx", "day"),
    comment="Customers whose risk is to be reviewed on a day or after it, because it may have changed.",
)

POSTING: Final[dict[Kind, Table]] = {kind: _posting(kind) for kind in KINDS if kind.has_postings}

DERIVED: Final[tuple[Table, ...]] = (
    ledger,
    subject_state,
    open_wait,
    dimension_value,
    *POSTING.values(),
    block,
    block_part,
    account_merge,
    customer_timeline,
    timeline_entry,
    risk_review,
    sequence_gap,
    sequence_conflict,
)
"""The tables that a rebuild makes anew. The others of the ledger say how far it has been read."""
