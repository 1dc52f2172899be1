"""Migration steps of the kit's tables, columns and indexes. They are frozen: a later change is a step of its own."""

from typing import Any, cast

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from event_contracts.lists import FIRST_VALUES, ListName, value_id
from service_kit.folding import search_vector, sort_key


def create_outbox() -> None:
    """Create the outbox, and the lease of its relay."""
    op.create_table(
        "outbox",
        sa.Column(
            "position",
            sa.BigInteger(),
            sa.Identity(always=True),
            primary_key=True,
            comment="order within one aggregate only: another transaction's lower position may commit later",
        ),
        sa.Column("id", sa.Uuid(), nullable=False, comment="the event's id"),
        sa.Column("aggregatetype", sa.Text(), nullable=False, comment="the topic"),
        sa.Column("aggregateid", sa.Text(), nullable=False, comment="the Kafka key"),
        sa.Column("type", sa.Text(), nullable=False, comment="the event's type"),
        sa.Column("payload", sa.LargeBinary(), comment="the whole record's value; null is a tombstone"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("parked_reason", sa.Text(), comment="why this row cannot be sent; its key's later rows wait"),
    )
    op.create_index(
        "outbox_parked_idx",
        "outbox",
        ["aggregateid", "position"],
        postgresql_where=sa.text("parked_reason IS NOT NULL"),
    )
    op.create_table(
        "relay_lease",
        sa.Column("id", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column(
            "producer",
            sa.Uuid(),
            server_default=sa.text("gen_random_uuid()"),
            nullable=False,
            comment="names the relays of this database to Kafka, which fences all of them but the newest",
        ),
        sa.Column("epoch", sa.BigInteger(), nullable=False, comment="rises with every relay that becomes active"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "backend_pid", sa.Integer(), nullable=False, comment="of the holder's session; the lease ends with it"
        ),
        sa.Column("backend_started_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("relay_lease_single_row_check")),
        comment="Which relay is the active one; one row.",
    )


def create_idempotency_key() -> None:
    """Create the table of idempotency keys."""
    op.create_table(
        "idempotency_key",
        sa.Column("digest", sa.LargeBinary(), primary_key=True, comment="of the principal and its key"),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False, comment="of method, address, If-Match and body"),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", postgresql.JSONB(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), comment="the id in the answer: what it is about, and is erased with"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.create_index(op.f("idempotency_key_created_at_idx"), "idempotency_key", ["created_at"])
    op.create_index(op.f("idempotency_key_subject_id_idx"), "idempotency_key", ["subject_id"])


def create_imported_record() -> None:
    """Create the table of imported records."""
    op.create_table(
        "imported_record",
        sa.Column("digest", sa.LargeBinary(), primary_key=True, comment="of the resource and the external_ref"),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False, comment="of its history that were done"),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False, comment="of the record and these steps"),
        sa.Column("imported_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.create_index(op.f("imported_record_imported_at_idx"), "imported_record", ["imported_at"])
    op.create_index(op.f("imported_record_record_id_idx"), "imported_record", ["record_id"])


def create_consumer_tables() -> None:
    """Create a consumer's circuit breakers, offsets and dead letters."""
    op.create_table(
        "circuit_breaker",
        sa.Column("consumer", sa.Text(), primary_key=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("bad_records", sa.Integer(), nullable=False, comment="among the latest 1,000"),
        sa.Column(
            "max_dead_letters", sa.Integer(), nullable=False, comment="closes when no more dead letters are unsettled"
        ),
        comment="A row for each consumer that stopped because nearly every record was bad.",
    )
    op.create_table(
        "consumer_offset",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column(
            "cluster_id", sa.Text(), nullable=False, comment="of the Kafka cluster: offsets mean nothing elsewhere"
        ),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column(
            "topic_id",
            sa.Uuid(),
            server_default="00000000-0000-0000-0000-000000000000",
            nullable=False,
            comment="a topic that is recreated under the same name has another id, and other records",
        ),
        sa.Column(
            "next_offset", sa.BigInteger(), nullable=False, comment="of the first record whose effects are not here"
        ),
        sa.Column(
            "log_end",
            sa.BigInteger(),
            comment="where the log ended when reading began: up to there all is of the past; null until that is known",
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "cluster_id", "topic", "partition", name=op.f("consumer_offset_pkey")),
    )
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.Uuid(), primary_key=True, server_default=sa.text("uuidv7()")),
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("cluster_id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("topic_id", sa.Uuid(), server_default="00000000-0000-0000-0000-000000000000", nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary()),
        sa.Column("value", sa.LargeBinary(), comment="the original bytes"),
        sa.Column(
            "headers", postgresql.JSONB(), nullable=False, comment="pairs of name and value, the value in base64"
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="one of a closed list"),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("mended_value", sa.LargeBinary(), comment="what is sent in the original's place"),
        sa.Column("settled_at", sa.DateTime(timezone=True), comment="when it was sent again or discarded"),
        sa.Column("settled_by", sa.Text(), comment="who asked for that"),
        sa.Column("discarded_because", sa.Text()),
        sa.CheckConstraint("status IN ('open', 'sent', 'discarded')", name=op.f("dead_letter_status_check")),
        sa.UniqueConstraint(
            "consumer", "cluster_id", "topic", "topic_id", "partition", "offset", name="dead_letter_record_key"
        ),
    )
    op.create_index("dead_letter_consumer_status_id_idx", "dead_letter", ["consumer", "status", "id"])
    op.create_index(
        "dead_letter_settled_at_idx",
        "dead_letter",
        ["settled_at"],
        postgresql_where=sa.text(
            "status <> 'open' AND (key IS NOT NULL OR value IS NOT NULL OR mended_value <> ''::bytea)"
        ),
    )


def create_seen_sequence() -> None:
    """Create the sequences that the consumers have seen, and the events that contradict them."""
    op.create_table(
        "seen_sequence",
        sa.Column("consumer", sa.Text(), primary_key=True),
        sa.Column("subject", sa.Text(), primary_key=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False, comment="the highest that the consumer has seen"),
        sa.Column("event_id", sa.Uuid(), nullable=False, comment="of the event with this sequence"),
        comment="What is not newer than this has no effect, also where its effects are gone.",
    )
    op.create_table(
        "conflicting_event",
        sa.Column("consumer", sa.Text(), primary_key=True),
        sa.Column("dropped_event_id", sa.Uuid(), primary_key=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False, comment="of the event that counts"),
        sa.Column("noticed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        comment="Events that had no effect because another event of their subject had their sequence.",
    )


_EPOCHS = {"seen_sequence": "the highest that it has seen", "conflicting_event": "of both events"}


def add_epochs(*tables: str) -> None:
    """Add the epoch of the stream that a table's sequences are of."""
    for table in tables:
        column = sa.Column("epoch", sa.Integer(), server_default="1", nullable=False, comment=_EPOCHS[table])
        op.add_column(table, column)


def drop_epochs(*tables: str) -> None:
    """Drop the epoch again."""
    for table in tables:
        op.drop_column(table, "epoch")


def create_audit_entry() -> None:
    """Create the audit, and the trigger that keeps it append-only."""
    op.create_table(
        "audit_entry",
        sa.Column(
            "id",
            sa.Uuid(),
            primary_key=True,
            comment="rises with time; uuid_extract_timestamp(id) is when it was",
        ),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False, comment="the token's subject, or the process"),
        sa.Column("roles", postgresql.JSONB(), comment="that the token claimed; null for a process"),
        sa.Column("operation", sa.Text(), comment="of the API; null for what a process does by itself"),
        sa.Column("request_id", sa.Text()),
        sa.Column("noun", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), comment="the record's afterwards; null where it has none"),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column(
            "changes",
            postgresql.JSONB(),
            nullable=False,
            comment="by field [before, after]; null once erased, and for secrets",
        ),
        sa.CheckConstraint("actor_kind IN ('caller', 'link', 'process')", name=op.f("audit_entry_actor_kind_check")),
        sa.CheckConstraint(
            "action IN ('created', 'updated', 'deleted', 'read')", name=op.f("audit_entry_action_check")
        ),
        comment="Who did what to which record. Only retention deletes entries, and only erasure empties values.",
    )
    for column in ("record_id", "actor", "operation", "noun"):
        op.create_index(f"audit_entry_{column}_id_idx", "audit_entry", [column, "id"])
    op.execute("""
        CREATE FUNCTION refuse_change_of_audit_entry() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            purpose text := coalesce(current_setting('tandem.audit', true), '');
        BEGIN
            IF TG_OP = 'DELETE' AND purpose = 'retention' THEN
                RETURN OLD;
            END IF;
            -- Values may be emptied; no field appears, goes, or gets another value.
            IF TG_OP = 'UPDATE' AND purpose = 'erasure'
                AND to_jsonb(NEW) - 'changes' = to_jsonb(OLD) - 'changes'
                AND OLD.changes || NEW.changes = NEW.changes
                AND NOT EXISTS (
                    SELECT FROM jsonb_each(NEW.changes) AS field
                    WHERE field.value <> 'null' AND OLD.changes -> field.key IS DISTINCT FROM field.value
                       OR NOT OLD.changes ? field.key
                )
            THEN
                RETURN NEW;
            END IF;
            RAISE EXCEPTION 'audit_entry is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
        END
        $$
    """)
    op.execute("""
        CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE ON audit_entry
        FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit_entry()
    """)
    op.execute("""
        CREATE TRIGGER audit_entry_not_truncated BEFORE TRUNCATE ON audit_entry
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_entry()
    """)


def drop_audit_entry() -> None:
    """Drop the audit."""
    op.drop_table("audit_entry")
    op.execute("DROP FUNCTION refuse_change_of_audit_entry()")


def create_published_events(*, schema: str | None = None) -> None:
    """Create what a relay keeps of its log. What was published before is not in it."""
    op.create_table(
        "published_event",
        sa.Column(
            "position", sa.BigInteger(), sa.Identity(always=True), primary_key=True, comment="the order of publishing"
        ),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="the record's key"),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False, comment="the whole record's value, as it was published"),
        comment="Every event that was published; of directories the newest entry of each key.",
        schema=schema,
    )
    op.create_index("published_event_subject_idx", "published_event", ["subject", "epoch", "sequence"], schema=schema)
    op.create_table(
        "stream",
        sa.Column("id", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.Integer(), nullable=False, comment="of the events that are published from now on"),
        sa.Column(
            "epoch_began_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="the recorded time of what corrects the epochs before",
        ),
        sa.Column(
            "is_complete",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="whether all that was ever published is in published_event",
        ),
        sa.Column(
            "is_correcting",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="whether the log is still to be searched for what the epoch corrects",
        ),
        sa.Column(
            "resend_position",
            sa.BigInteger(),
            comment="of the first published event that a new log lacks; null while none has to be filled",
        ),
        sa.CheckConstraint("id = 1", name=op.f("stream_single_row_check")),
        comment="What this database publishes; one row, once it is other than a new one.",
        schema=schema,
    )
    # Where a relay was at work, events were published that are not kept.
    op.execute("INSERT INTO stream (id, epoch, is_complete) SELECT 1, 1, false FROM relay_lease")
    op.create_table(
        "published_topic",
        sa.Column("topic", sa.Text(), primary_key=True),
        sa.Column("cluster_id", sa.Text(), nullable=False),
        sa.Column(
            "topic_id", sa.Uuid(), nullable=False, comment="a topic that is created again under its name has another"
        ),
        comment="The topics that this database published to.",
        schema=schema,
    )
    op.create_table(
        "correction",
        sa.Column("subject", sa.Text(), primary_key=True),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column(
            "changes",
            sa.ARRAY(sa.LargeBinary()),
            nullable=False,
            comment="records that go before, whatever follows",
        ),
        sa.Column(
            "withdrawal",
            sa.LargeBinary(),
            comment="the record that takes the subject back, unless it has published events; null is a tombstone",
        ),
        comment="Subjects of which the log knows more than this database: the relay corrects them.",
        schema=schema,
    )


def drop_published_events(*, schema: str | None = None) -> None:
    """Drop it again."""
    for table in ("correction", "published_topic", "stream", "published_event"):
        op.drop_table(table, schema=schema)


_HISTORY_INDEXES = (("published_event", "event_id"), ("outbox", "id"), ("outbox", "aggregateid"))


def create_history_indexes(*, schema: str | None = None) -> None:
    """Create the indexes by which events are found, published or not."""
    for table, column in _HISTORY_INDEXES:
        op.create_index(f"{table}_{column}_idx", table, [column], schema=schema)


def drop_history_indexes(*, schema: str | None = None) -> None:
    """Drop them again."""
    for table, column in _HISTORY_INDEXES:
        op.drop_index(f"{table}_{column}_idx", table, schema=schema)


def add_updated_at(table: str) -> None:
    """Add when the latest change was recorded, which for what is there is now, with its index."""
    op.add_column(
        table,
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="when the latest change was recorded, by the clock of this service",
        ),
    )
    create_list_indexes(table, "updated_at")


def create_list_indexes(table: str, *columns: str, schema: str | None = None) -> None:
    """Create the index of each column that lists filter or sort by."""
    for column in columns:
        op.create_index(f"{table}_{column}_id_idx", table, [column, "id"], schema=schema)


def create_name_index(table: str, column: str) -> None:
    """Create the index that sorts names without case and accents."""
    op.create_index(f"{table}_{column}_name_idx", table, [sort_key(sa.column(column)), sa.column("id")])


def create_search_index(table: str, *columns: str, phones: tuple[str, ...] = ()) -> None:
    """Create the index of the words in some columns, and of the phone numbers in others."""
    vector = search_vector([sa.column(one) for one in columns], [sa.column(one) for one in phones])
    op.create_index(f"{table}_search_idx", table, [vector], postgresql_using="gin")


def _record_columns() -> list[sa.Column[Any]]:
    """Return the columns that every record of the kit's own nouns begins with."""
    return [
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="when the latest change was recorded, by the clock of this service",
        ),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
    ]


def create_saved_view(*, schema: str | None = None) -> None:
    """Create the table of saved views."""
    op.create_table(
        "saved_view",
        *_record_columns(),
        sa.Column(
            "list",
            sa.Text(),
            nullable=False,
            comment="the plural noun of the list's address: `deals`, `check-ins`",
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False, comment="as the list's address has it after the question mark"),
        sa.Column("subject", sa.Text(), nullable=False, comment="of the tokens of who made it"),
        sa.Column("is_shared", sa.Boolean(), nullable=False),
        sa.UniqueConstraint("subject", "list", "name", name=op.f("saved_view_subject_list_name_key")),
        schema=schema,
    )
    create_list_indexes("saved_view", "updated_at", schema=schema)
    op.create_index(
        "saved_view_shared_idx", "saved_view", ["list", "id"], postgresql_where=sa.text("is_shared"), schema=schema
    )


def number_dead_letters(*, schema: str | None = None) -> None:
    """Give dead letters a version, which is their ETag."""
    version = sa.Column("version", sa.Integer(), nullable=False, server_default="1", comment="rises with each change")
    op.add_column("dead_letter", version, schema=schema)


def unnumber_dead_letters(*, schema: str | None = None) -> None:
    """Take it away."""
    op.drop_column("dead_letter", "version", schema=schema)


_CUSTOM_COLUMNS = {
    "custom": "values of custom fields by their names",
    "custom_personal": "the same of personal fields: never in an event",
}


def create_custom_fields() -> None:
    """Create the table of custom fields, the index of their values, and the function that enters values there."""
    op.create_table(
        "custom_field",
        *_record_columns(),
        sa.Column("noun", sa.Text(), nullable=False, comment="the plural noun of the records' address: `deals`"),
        sa.Column("name", sa.Text(), nullable=False, comment="by which values are given and filtered; never reused"),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("options", postgresql.JSONB(), comment="that a value is chosen from; null of other types"),
        sa.Column("is_required", sa.Boolean(), nullable=False, comment="of a new record"),
        sa.Column(
            "is_personal",
            sa.Boolean(),
            nullable=False,
            comment="its values are in no event, and are erased with the person",
        ),
        sa.Column("archived_at", sa.DateTime(timezone=True), comment="since when it takes no values"),
        sa.CheckConstraint(
            "type IN ('text', 'number', 'date', 'boolean', 'choice', 'choices', 'url')",
            name=op.f("custom_field_type_check"),
        ),
        sa.UniqueConstraint("noun", "name", name=op.f("custom_field_noun_name_key")),
    )
    create_list_indexes("custom_field", "updated_at")
    op.create_table(
        "custom_value",
        sa.Column("record_id", sa.Uuid(), primary_key=True),
        sa.Column("field_id", sa.Uuid(), primary_key=True),
        sa.Column("text", sa.Text(), primary_key=True, comment="the value; one of several where the field has several"),
        sa.Column("number", sa.Numeric(), comment="the value of a number"),
        sa.Column("day", sa.Date(), comment="the value of a date"),
        comment="Values of custom fields as lists filter and sort by them; a trigger of each customized table writes"
        " it.",
    )
    op.create_index("custom_value_text_idx", "custom_value", ["field_id", "text", "record_id"])
    for column in ("number", "day"):
        op.create_index(
            f"custom_value_{column}_idx",
            "custom_value",
            ["field_id", column, "record_id"],
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )
    op.execute("""
        CREATE FUNCTION enter_custom_values() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP <> 'INSERT' THEN
                DELETE FROM custom_value WHERE record_id = OLD.id;
            END IF;
            IF TG_OP <> 'DELETE' THEN
                INSERT INTO custom_value (record_id, field_id, text, number, day)
                SELECT NEW.id, field.id, one.text,
                       CASE field.type WHEN 'number' THEN one.text::numeric END,
                       CASE field.type WHEN 'date' THEN one.text::date END
                FROM jsonb_each(NEW.custom || NEW.custom_personal) AS given
                JOIN custom_field AS field ON field.noun = TG_ARGV[0] AND field.name = given.key
                CROSS JOIN LATERAL jsonb_array_elements_text(
                    CASE jsonb_typeof(given.value) WHEN 'array' THEN given.value
                    ELSE jsonb_build_array(given.value) END
                ) AS one(text);
            END IF;
            RETURN NULL;
        END
        $$
    """)


def drop_custom_fields() -> None:
    """Drop them again."""
    op.execute("DROP FUNCTION enter_custom_values()")
    op.drop_table("custom_value")
    op.drop_table("custom_field")


def customize(table: str, noun: str) -> None:
    """Add the values of a noun's custom fields to its table, with the triggers that keep `custom_value` up to date."""
    for name, comment in _CUSTOM_COLUMNS.items():
        empty = sa.text("'{}'::jsonb")
        op.add_column(table, sa.Column(name, postgresql.JSONB(), server_default=empty, nullable=False, comment=comment))
    changed = "(OLD.custom, OLD.custom_personal) IS DISTINCT FROM (NEW.custom, NEW.custom_personal)"
    for event, when in (
        ("INSERT", "NEW.custom <> '{}' OR NEW.custom_personal <> '{}'"),
        ("UPDATE", changed),
        ("DELETE", "OLD.custom <> '{}' OR OLD.custom_personal <> '{}'"),
    ):
        op.execute(f"""
            CREATE TRIGGER {table}_custom_{event.lower()} AFTER {event} ON {table} FOR EACH ROW
            WHEN ({when}) EXECUTE FUNCTION enter_custom_values('{noun}')
        """)


def uncustomize(table: str) -> None:
    """Drop the values again."""
    for event in ("insert", "update", "delete"):
        op.execute(f"DROP TRIGGER {table}_custom_{event} ON {table}")
    for name in _CUSTOM_COLUMNS:
        op.drop_column(table, name)


def create_list_values(*lists: str) -> None:
    """Create the table of the values of these declared lists, with those that each begins with."""
    named = ", ".join(f"'{name}'" for name in lists)
    op.create_table(
        "list_value",
        *_record_columns(),
        sa.Column("list", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="what records and events have; it never changes"),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), comment="since when new records do not take it"),
        sa.Column("merged_into", sa.Text(), comment="the key of the value of the list that it counts as"),
        sa.CheckConstraint(f"list IN ({named})", name=op.f("list_value_list_check")),
        sa.UniqueConstraint("list", "key", name=op.f("list_value_list_key_key")),
    )
    create_list_indexes("list_value", "updated_at")
    _declare_first_values(lists)


def add_lists(*lists: str, before: tuple[str, ...]) -> None:
    """Let the table of `create_list_values` have these lists besides those before, and declare their first values."""
    _allow_lists(*before, *lists)
    _declare_first_values(lists)


def remove_lists(*lists: str, before: tuple[str, ...]) -> None:
    """Take the lists and their values away."""
    op.execute(sa.delete(_LIST_VALUE).where(_LIST_VALUE.c.list.in_(lists)))
    _allow_lists(*before)


def _allow_lists(*lists: str) -> None:
    op.drop_constraint(op.f("list_value_list_check"), "list_value")
    named = ", ".join(f"'{name}'" for name in lists)
    op.create_check_constraint(op.f("list_value_list_check"), "list_value", f"list IN ({named})")


_LIST_VALUE = sa.table(
    "list_value",
    sa.column("id", sa.Uuid()),
    sa.column("version", sa.Integer()),
    *(sa.column(name, sa.Text()) for name in ("list", "key", "label")),
)


def _declare_first_values(lists: tuple[str, ...]) -> None:
    op.bulk_insert(
        _LIST_VALUE,
        [
            {"id": value_id(name, key), "version": 1, "list": name, "key": key, "label": label}
            for name in lists
            for key, label in FIRST_VALUES[cast("ListName", name)].items()
        ],
    )


def plan_work(table: str, *, due: str, done: str) -> None:
    """Add the columns of planned work: `done` is null while it is not done, by the day or time in `due`."""
    comments = {
        "planned_at": "null for what was recorded when it was done",
        "missed_at": None,
        "cancelled_at": None,
    }
    done_status = sa.Column("status", sa.Text(), server_default="done", nullable=False)
    op.add_column(table, done_status)
    op.add_column(table, sa.Column("purpose", sa.Text(), comment="a code of what it is for"))
    for name, comment in comments.items():
        op.add_column(table, sa.Column(name, sa.DateTime(timezone=True), comment=comment))
    op.add_column(table, sa.Column("cancel_reason", sa.Text()))
    moves = sa.Column(
        "moves",
        postgresql.JSONB(),
        server_default=sa.text("'[]'::jsonb"),
        nullable=False,
        comment="each time that it was moved, with what was before",
    )
    op.add_column(table, moves)
    op.alter_column(table, done, nullable=True, comment="null while it is not done")
    op.create_check_constraint(
        op.f(f"{table}_status_check"), table, "status IN ('planned', 'done', 'missed', 'cancelled')"
    )
    op.create_check_constraint(op.f(f"{table}_planned_has_due_check"), table, f"status = 'done' OR {due} IS NOT NULL")
    create_list_indexes(table, "status", "purpose")
    op.create_index(f"{table}_open_idx", table, [due, "id"], postgresql_where=sa.text("status = 'planned'"))


def unplan_work(table: str, *, due: str, done: str) -> None:
    """Drop them again, with the work that is not done."""
    op.drop_index(f"{table}_open_idx", table)
    op.execute(sa.delete(sa.table(table)).where(sa.column(done).is_(None)))
    op.alter_column(table, done, nullable=False, comment=None)
    for name in ("status", "purpose", "planned_at", "missed_at", "cancelled_at", "cancel_reason", "moves"):
        op.drop_column(table, name)


def create_timeline_entry() -> None:
    """Create the table of what another service's events tell of customers."""
    op.create_table(
        "timeline_entry",
        sa.Column("subject", sa.Text(), primary_key=True),
        sa.Column("epoch", sa.Integer(), primary_key=True),
        sa.Column("sequence", sa.Integer(), primary_key=True),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False, comment="the event's type"),
        sa.Column("records", sa.Text(), nullable=False, comment="the kind of the subject: tickets"),
        sa.Column("customer_id", sa.Uuid(), comment="that the event names; it may be unknown here, or null of a lead"),
        sa.Column(
            "lead_id", sa.Uuid(), comment="whose customer it is of: of a lead itself, and of what has no customer"
        ),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "correction", sa.Text(), comment="`restored` or `withdrawn`, of what corrects a subject after a restore"
        ),
        sa.Column(
            "facts",
            postgresql.JSONB(),
            nullable=False,
            comment="codes, amounts, times and ids; neither names nor texts",
        ),
        comment="What the other service's events tell of customers.",
    )
    table = "timeline_entry"
    op.create_index("timeline_entry_customer_idx", table, ["customer_id", "occurred_at", "event_id"])
    op.create_index("timeline_entry_lead_idx", table, ["lead_id"], postgresql_where=sa.text("customer_id IS NULL"))
    op.create_index(
        "timeline_entry_customer_lead_idx",
        table,
        ["customer_id", "lead_id"],
        postgresql_where=sa.text("lead_id IS NOT NULL"),
    )
    op.create_index(
        "timeline_entry_withdrawn_idx", table, ["subject"], postgresql_where=sa.text("correction = 'withdrawn'")
    )


def drop_timeline_entry() -> None:
    """Drop it again."""
    op.drop_table("timeline_entry")


def create_planning_rules(*columns: sa.Column[Any], triggers: tuple[str, ...], **one_of: tuple[str, ...]) -> None:
    """Create the table of planning rules, with the service's own columns; `one_of` are those of closed lists."""
    op.create_table(
        "planning_rule",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column(
            "days",
            sa.Integer(),
            nullable=False,
            comment="from what it follows until it is due; of intervals, from one to the next",
        ),
        sa.Column("purpose", sa.Text(), nullable=False, comment="a code of what it is for"),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False, comment="what happened before plans nothing"),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("region", sa.Text(), comment="null for every region"),
        sa.Column("segment", sa.Text(), comment="null for every segment"),
        *columns,
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="when the latest change was recorded, by the clock of this service",
        ),
        sa.CheckConstraint("days BETWEEN 1 AND 3660", name=op.f("planning_rule_days_check")),
        *(
            sa.CheckConstraint(
                f"{name} IN ({', '.join(repr(value) for value in values)})", name=op.f(f"planning_rule_{name}_check")
            )
            for name, values in {"trigger": triggers, **one_of}.items()
        ),
    )
    create_list_indexes("planning_rule", "trigger", "active", "updated_at")
    create_name_index("planning_rule", "name")
    create_search_index("planning_rule", "name")


def plan_by_rules(table: str) -> None:
    """Add to the table of some planned work by which rule it was planned, and after what."""
    rule = sa.Column(
        "planning_rule_id",
        sa.Uuid(),
        sa.ForeignKey("planning_rule.id"),
        comment="the rule that planned it; null for people",
    )
    op.add_column(table, rule)
    comment = "the record that it follows from; of intervals, the work before or the customer"
    op.add_column(table, sa.Column("trigger_id", sa.Uuid(), comment=comment))
    undone: sa.Column[Any] = sa.Column(
        "trigger_undone",
        sa.Boolean(),
        server_default=sa.text("false"),
        nullable=False,
        comment="whether that was taken back before it was done",
    )
    op.add_column(table, undone)
    create_list_indexes(table, "planning_rule_id")
    once = sa.text("NOT trigger_undone")
    op.create_index(
        f"{table}_trigger_idx", table, ["trigger_id", "planning_rule_id"], unique=True, postgresql_where=once
    )


def unplan_by_rules(table: str) -> None:
    """Remove that again; what rules planned stays."""
    for name in ("planning_rule_id", "trigger_id", "trigger_undone"):
        op.drop_column(table, name)


def add_kept_keys(*tables: str) -> None:
    """Add to tables of customers' records the key of the events of those that are corrected to another customer."""
    comment = "the key of its events, where it is no longer its customer's id: that was corrected"
    for table in tables:
        op.add_column(table, sa.Column("keyed_by", sa.Uuid(), comment=comment))


def drop_kept_keys(*tables: str) -> None:
    """Remove it again. Refused where one is kept: its events would go to another partition."""
    for table in tables:
        check = sa.text(f"SELECT count(*) FROM {table} WHERE keyed_by IS NOT NULL")  # noqa: S608 -- a migration's own names
        if op.get_bind().execute(check).scalar_one():
            raise RuntimeError(f"{table} has records that were corrected to another customer")
        op.drop_column(table, "keyed_by")


def name_lost_events(*, schema: str | None = None) -> None:
    """Let corrections name the events that a restore lost."""
    op.add_column(
        "correction",
        sa.Column(
            "lost",
            sa.ARRAY(sa.Uuid()),
            server_default="{}",
            nullable=False,
            comment="the ids of its events that this database does not know",
        ),
        schema=schema,
    )


def drop_lost_events(*, schema: str | None = None) -> None:
    """Drop them again."""
    op.drop_column("correction", "lost", schema=schema)


def keep_rivals_in_timelines() -> None:
    """Keep every event of one version in timelines, and what corrections say of them."""
    table = "timeline_entry"
    op.drop_constraint("timeline_entry_pkey", table)
    op.create_primary_key("timeline_entry_pkey", table, ["subject", "epoch", "sequence", "event_id"])
    op.add_column(
        table,
        sa.Column("lost_events", sa.ARRAY(sa.Uuid()), comment="of what restores a subject: what has not happened"),
    )
    op.create_index(
        "timeline_entry_restored_idx", table, ["subject"], postgresql_where=sa.text("correction = 'restored'")
    )


def keep_one_in_timelines() -> None:
    """Keep the one of them that was recorded first."""
    op.drop_index("timeline_entry_restored_idx", "timeline_entry")
    op.drop_column("timeline_entry", "lost_events")
    op.execute(
        "DELETE FROM timeline_entry AS entry USING timeline_entry AS first"
        " WHERE (first.subject, first.epoch, first.sequence) = (entry.subject, entry.epoch, entry.sequence)"
        " AND first.event_id < entry.event_id"
    )
    op.drop_constraint("timeline_entry_pkey", "timeline_entry")
    op.create_primary_key("timeline_entry_pkey", "timeline_entry", ["subject", "epoch", "sequence"])
