"""The tables that the kit keeps in the database of a service which records, publishes and reads events."""

from typing import Final

from service_kit.audit.entries import audit_entry
from service_kit.consumer.circuit_breaker import circuit_breaker
from service_kit.consumer.dead_letters import dead_letter
from service_kit.consumer.offsets import consumer_offset
from service_kit.consumer.seen_sequences import conflicting_event, seen_sequence
from service_kit.custom_fields.model import custom_value
from service_kit.idempotency import idempotency_key
from service_kit.imports.records import imported_record
from service_kit.outbox import outbox
from service_kit.published_events import correction, published_event, published_topic, stream
from service_kit.relay_lease import relay_lease
from service_kit.timeline.entries import timeline_entry

SERVICE_TABLES: Final = (
    audit_entry,
    circuit_breaker,
    conflicting_event,
    consumer_offset,
    correction,
    custom_value,
    dead_letter,
    idempotency_key,
    imported_record,
    outbox,
    published_event,
    published_topic,
    relay_lease,
    seen_sequence,
    stream,
    timeline_entry,
)
