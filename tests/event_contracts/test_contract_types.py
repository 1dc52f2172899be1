"""What holds for every event there is and every one that will be added: no floats, no free text, whole states."""

import re
from collections.abc import Iterator
from inspect import getdoc
from typing import Any, get_args, get_type_hints

import msgspec.inspect as inspect
import pytest

from event_contracts.catalogue import (
    EVENT_TYPES,
    SALES_DIRECTORY_TOPIC,
    SERVICE_DIRECTORY_TOPIC,
    EventType,
    State,
    event,
    event_type_of,
)
from event_contracts.codec import Envelope
from event_contracts.fields import CODE_PATTERN
from event_contracts.planned_work import PlannedWork
from event_contracts.sales import DealClosed

DIRECTORY_TOPICS = {SALES_DIRECTORY_TOPIC, SERVICE_DIRECTORY_TOPIC}
KNOWN_PATTERNS = {CODE_PATTERN, "^[A-Z]{3}$"}
ENTRIES = [EVENT_TYPES[name] for name in sorted(EVENT_TYPES)]

every_event = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


def leaves(kind: inspect.Type, path: str = "data") -> Iterator[tuple[str, inspect.Type]]:
    """Every field that is not made of others, with its path; a text with a pattern stays wrapped in its metadata."""
    match kind:
        case inspect.StructType(fields=fields):
            for field in fields:
                yield from leaves(field.type, f"{path}.{field.encode_name}")
        case inspect.UnionType(types=types):
            for each in types:
                yield from leaves(each, path)
        case inspect.ListType(item_type=item):
            yield from leaves(item, f"{path}[]")
        case inspect.DictType(value_type=value):
            yield from leaves(value, f"{path}.*")
        case inspect.Metadata(type=inner) if not isinstance(inner, inspect.StrType):
            yield from leaves(inner, path)
        case _:
            yield path, kind


def bare(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


EXACT_KINDS = (
    inspect.BoolType,
    inspect.DateTimeType,
    inspect.DateType,
    inspect.DecimalType,
    inspect.IntType,
    inspect.LiteralType,
    inspect.NoneType,
    inspect.StrType,
    inspect.UUIDType,
)


@every_event
def test_no_field_is_a_float_or_of_no_type(entry: EventType) -> None:
    odd = {
        path: kind for path, kind in leaves(inspect.type_info(entry.data)) if not isinstance(bare(kind), EXACT_KINDS)
    }
    assert odd == {}


@every_event
def test_every_text_is_a_code_or_has_a_known_pattern_unless_it_is_in_the_directory(entry: EventType) -> None:
    texts = {
        path: kind for path, kind in leaves(inspect.type_info(entry.data)) if isinstance(bare(kind), inspect.StrType)
    }
    free = {
        path
        for path, kind in texts.items()
        if not isinstance(kind, inspect.Metadata) or (kind.extra_json_schema or {}).get("pattern") not in KNOWN_PATTERNS
    }
    # Of custom fields those that were declared not to be personal.
    free -= {"data.custom.*", "data.custom.*[]"}
    assert free == ({"data.name"} if entry.topic in DIRECTORY_TOPICS else set())


@every_event
def test_every_integer_has_bounds(entry: EventType) -> None:
    unbounded = [
        path
        for path, kind in leaves(inspect.type_info(entry.data))
        if isinstance(kind, inspect.IntType) and (kind.ge is None or kind.le is None)
    ]
    assert unbounded == []


@every_event
def test_every_instant_must_have_a_zone(entry: EventType) -> None:
    naive = [
        path
        for path, kind in leaves(inspect.type_info(entry.data))
        if isinstance(kind, inspect.DateTimeType) and kind.tz is not True
    ]
    assert naive == []


def test_every_instant_of_the_envelope_must_have_a_zone() -> None:
    instants = [kind for _, kind in leaves(inspect.type_info(Envelope)) if isinstance(kind, inspect.DateTimeType)]
    assert [kind.tz for kind in instants] == [True, True]


@every_event
def test_every_event_carries_the_whole_state_and_describes_itself(entry: EventType) -> None:
    state = entry.data.__mro__[1]
    assert issubclass(state, State)
    assert state is not State, "an event extends the state of its aggregate"
    added = set(entry.data.__struct_fields__) - set(state.__struct_fields__)
    assert added <= {"change"}
    assert entry.data.__struct_config__.frozen
    assert (getdoc(entry.data) or "").endswith((".", ")."))


@every_event
def test_every_event_is_named_for_its_service_and_kept_on_its_topics(entry: EventType) -> None:
    assert re.fullmatch(r"(sales|service|metrics)\.[a-z]+(-[a-z]+)*", entry.name)
    service, _, fact = entry.name.partition(".")
    assert entry.topic.startswith(f"{service}.")
    assert entry.source == {"sales": "/sales-api", "service": "/service-api", "metrics": "/metrics-worker"}[service]
    class_name = "".join(word.capitalize() for word in fact.split("-"))
    assert entry.data.__name__ in (class_name, f"{service.capitalize()}{class_name}")


def named_by(entry: EventType) -> set[str]:
    """The kinds of what a directory entry names, which are aggregates of their own; of all other events one."""
    if entry.topic not in DIRECTORY_TOPICS:
        return {entry.subject_kind}
    return set(get_args(get_type_hints(entry.data)["kind"]))


@every_event
def test_an_aggregates_events_share_one_state_one_topic_and_one_version_count(entry: EventType) -> None:
    siblings = [
        other
        for other in ENTRIES
        if (other.topic, other.subject_kind) == (entry.topic, entry.subject_kind) and named_by(other) & named_by(entry)
    ]
    states: set[Any] = {other.data.__mro__[1] for other in siblings}
    # Of work that may be planned, what was done is a narrower state with the same fields.
    (whole,) = {state.__mro__[1] if state.__mro__[2] is PlannedWork else state for state in states}
    assert {frozenset(state.__struct_fields__) for state in states} == {frozenset(whole.__struct_fields__)}


def test_an_event_cannot_be_declared_twice() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        event("sales.deal-closed", topic="sales.events", subject_kind="deals")(DealClosed)
    assert event_type_of(DealClosed) is EVENT_TYPES["sales.deal-closed"]
