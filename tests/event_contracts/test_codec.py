"""An event survives the wire unchanged, and whatever is not an event is refused for the right reason."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_contracts.catalogue import EVENT_TYPES
from event_contracts.codec import MAX_EVENT_BYTES, CloudEvent, UndecodableEvent, decode, encode, type_of, with_epoch
from event_contracts.examples import encoded_example
from event_contracts.fields import MAX_COUNT
from tests.event_contracts.strategies import JSON_VALUES, MOMENTS, events, to_json

REASONS = {"empty", "too-large", "malformed", "unknown-type", "unknown-version", "invalid-data", "nul-in-text"}
NAMES = sorted(EVENT_TYPES)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
DEAL_CLOSED = encoded_example("sales.deal-closed")


def reason_of(record: bytes | None) -> str:
    with pytest.raises(UndecodableEvent) as refusal:
        decode(record)
    return refusal.value.reason


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    """A closed deal's record after `change` was made to its JSON."""
    event = json.loads(DEAL_CLOSED)
    change(event)
    return json.dumps(event).encode()


@pytest.mark.parametrize("name", NAMES)
def test_the_type_is_read_without_decoding(name: str) -> None:
    assert type_of(encoded_example(name)) == name.encode()
    assert type_of(with_epoch(encoded_example(name), 7)) == name.encode()


def test_what_is_no_event_has_no_type() -> None:
    assert type_of(b"") is type_of(b'{"type": 1}') is None


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8, deadline=None)
@given(draws=st.data())
def test_every_event_comes_back_as_it_was_sent(name: str, draws: st.DataObject) -> None:
    data = draws.draw(events(EVENT_TYPES[name]))
    time, recorded_time = draws.draw(MOMENTS), draws.draw(MOMENTS)
    event_id, partition_key = draws.draw(st.uuids()), draws.draw(st.uuids())
    sequence, epoch = draws.draw(st.integers(1, MAX_COUNT)), draws.draw(st.integers(1, MAX_COUNT))
    traceparent = draws.draw(st.none() | st.just(TRACE))
    assert decode(
        encode(
            data,
            event_id=event_id,
            time=time,
            recorded_time=recorded_time,
            sequence=sequence,
            partition_key=partition_key,
            epoch=epoch,
            traceparent=traceparent,
        )
    ) == CloudEvent(
        id=event_id,
        event_type=EVENT_TYPES[name],
        subject=f"{EVENT_TYPES[name].subject_kind}/{data.id}",
        time=time,
        recorded_time=recorded_time,
        sequence=sequence,
        partition_key=str(partition_key),
        traceparent=traceparent,
        data=data,
        epoch=epoch,
    )


def test_encoding_the_same_event_twice_gives_the_same_bytes() -> None:
    event = decode(DEAL_CLOSED)
    again = encode(
        event.data,
        event_id=event.id,
        time=event.time,
        recorded_time=event.recorded_time,
        sequence=event.sequence,
        partition_key=UUID(event.partition_key),
        traceparent=event.traceparent,
    )
    assert again == DEAL_CLOSED


@pytest.mark.parametrize("name", NAMES)
def test_a_record_is_stamped_with_another_epoch_and_nothing_else(name: str) -> None:
    event = decode(encoded_example(name))
    record = encode(
        event.data,
        event_id=event.id,
        time=event.time,
        recorded_time=event.recorded_time,
        sequence=event.sequence,
        partition_key=UUID(event.partition_key),
    )
    assert with_epoch(record, 1) == record
    assert json.loads(with_epoch(record, 3)) == json.loads(record) | {"epoch": 3}


def test_a_record_of_a_former_version_has_no_epoch_and_is_of_the_first() -> None:
    older = DEAL_CLOSED.replace(b'"epoch":1,', b"")
    assert decode(older) == decode(DEAL_CLOSED)
    assert decode(with_epoch(older, 2)) == msgspec.structs.replace(decode(DEAL_CLOSED), epoch=2)


def test_times_are_written_in_utc_whatever_zone_they_came_in() -> None:
    event = decode(DEAL_CLOSED)
    there = event.time.astimezone(datetime.strptime("+0530", "%z").tzinfo)
    record = encode(
        event.data,
        event_id=event.id,
        time=there,
        recorded_time=there + timedelta(seconds=1),
        sequence=1,
        partition_key=event.id,
    )
    assert json.loads(record)["time"] == "2026-03-20T16:30:00Z"
    assert json.loads(record)["recordedtime"] == "2026-03-20T16:30:01Z"


def test_a_property_of_a_later_minor_version_is_ignored() -> None:
    later = changed(lambda event: (event.update(priority=3), event["data"].update(warranty_months=24)))
    assert decode(later) == decode(DEAL_CLOSED)


def test_an_optional_property_that_an_older_event_lacks_has_its_default() -> None:
    older = decode(changed(lambda event: event["data"].pop("reopen_count")))
    assert older == decode(DEAL_CLOSED)


def test_something_that_is_no_event_cannot_be_encoded() -> None:
    closing = decode(DEAL_CLOSED).data.change  # type: ignore[attr-defined]
    with pytest.raises(KeyError):
        encode(
            closing,
            event_id=UUID(int=1),
            time=decode(DEAL_CLOSED).time,
            recorded_time=decode(DEAL_CLOSED).time,
            sequence=1,
            partition_key=UUID(int=1),
        )


@pytest.mark.parametrize("record", [None, b""])
def test_a_record_without_a_value_is_empty(record: bytes | None) -> None:
    assert reason_of(record) == "empty"


def test_a_record_over_the_limit_is_refused_before_it_is_parsed() -> None:
    assert reason_of(b"[" * (MAX_EVENT_BYTES + 1)) == "too-large"
    assert reason_of(b"[" * MAX_EVENT_BYTES) == "malformed"


@pytest.mark.parametrize(
    "record",
    [
        b"\x00",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        b"NaN",
        DEAL_CLOSED[:-1],
        DEAL_CLOSED + b"x",
        DEAL_CLOSED.replace(b'"sequence":3', b'"sequence":' + b"9" * 5000),
        DEAL_CLOSED.replace(b'"data":{', b'"data":{"deep":' + b"[" * 100_000 + b"]" * 100_000 + b","),
    ],
    ids=lambda record: record[:20],
)
def test_what_is_not_an_envelope_is_malformed(record: bytes) -> None:
    assert reason_of(record) == "malformed"


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("id", "not-a-uuid"),
        ("id", None),
        ("time", "2026-03-20T16:30:00"),
        ("time", "yesterday"),
        ("time", 1774024200),
        ("recordedtime", "2026-02-30T00:00:00Z"),
        ("sequence", 0),
        ("sequence", -1),
        ("sequence", "3"),
        ("sequence", 3.5),
        ("sequence", True),
        ("sequence", MAX_COUNT + 1),
        ("subject", 7),
        ("partitionkey", None),
        ("traceparent", ["00"]),
    ],
)
def test_an_attribute_of_the_wrong_kind_is_malformed(attribute: str, value: object) -> None:
    assert reason_of(changed(lambda event: event.update({attribute: value}))) == "malformed"


OPTIONAL = {"traceparent", "datacontenttype", "epoch"}


@pytest.mark.parametrize("attribute", sorted(set(json.loads(DEAL_CLOSED)) - OPTIONAL))
def test_a_missing_attribute_is_malformed(attribute: str) -> None:
    assert reason_of(changed(lambda event: event.pop(attribute))) == "malformed"


@pytest.mark.parametrize("name", ["sales.deal-enlarged", "", "sales.deal-closed ", "x" * 5000])
def test_an_undeclared_event_is_an_unknown_type(name: str) -> None:
    assert reason_of(changed(lambda event: event.update(type=name))) == "unknown-type"


@pytest.mark.parametrize(
    "attributes",
    [
        {"dataschema": "urn:tandem:schema:sales.deal-closed:2"},
        {"dataschema": "urn:tandem:schema:sales.deal-opened:1"},
        {"dataschema": ""},
        {"specversion": "2.0"},
    ],
)
def test_a_version_of_another_time_is_an_unknown_version(attributes: dict[str, str]) -> None:
    assert reason_of(changed(lambda event: event.update(attributes))) == "unknown-version"


@pytest.mark.parametrize(
    "fields",
    [
        {"id": None},
        {"stage": "daydreaming"},
        {"stage": None},
        {"region": ""},
        {"region": "r" * 65},
        {"region": 5},
        {"reopen_count": -1},
        {"reopen_count": 1.5},
        {"reopen_count": "1"},
        {"reopen_count": MAX_COUNT + 1},
        {"lines": {}},
        {"lines": [{"product": "scheduling"}]},
        {"amount": "1299.00"},
        {"amount": {"amount": "twelve", "currency": "EUR"}},
        {"amount": {"amount": "12.00", "currency": "EURO"}},
        {"opened_at": "2026-03-06T10:00:00"},
        {"expected_close_on": "2026-02-30"},
        {"change": {"outcome": "maybe", "previous_stage": "proposal"}},
        {"change": None},
    ],
    ids=str,
)
def test_data_that_does_not_fit_its_event_is_invalid(fields: dict[str, object]) -> None:
    assert reason_of(changed(lambda event: event["data"].update(fields))) == "invalid-data"


@pytest.mark.parametrize(
    "field", ["id", "account_id", "stage", "lines", "amount", "owner_id", "region", "opened_at", "change"]
)
def test_data_that_lacks_a_required_property_is_invalid(field: str) -> None:
    assert reason_of(changed(lambda event: event["data"].pop(field))) == "invalid-data"


@pytest.mark.parametrize("data", [b"null", b"[]", b"7", b'"text"'])
def test_data_that_is_no_object_is_invalid(data: bytes) -> None:
    head, _, _ = DEAL_CLOSED.partition(b'"data":')
    assert reason_of(head + b'"data":' + data + b"}") == "invalid-data"


def test_data_that_is_not_utf8_is_invalid() -> None:
    assert reason_of(DEAL_CLOSED.replace(b'"EMEA"', b'"EM\xffA"')) == "invalid-data"


@pytest.mark.parametrize("subject", ["deals/00000000-0000-0000-0000-000000000000", "leads/{id}", "", "{id}"])
def test_a_subject_that_is_not_the_datas_own_is_invalid(subject: str) -> None:
    of_the_data = subject.replace("{id}", json.loads(DEAL_CLOSED)["data"]["id"])
    assert reason_of(changed(lambda event: event.update(subject=of_the_data))) == "invalid-data"


@pytest.mark.parametrize("where", ["partitionkey", "subject", "type"])
def test_a_nul_anywhere_is_refused_since_no_database_could_keep_it(where: str) -> None:
    assert reason_of(changed(lambda event: event.update({where: "a\x00b"}))) == "nul-in-text"
    assert reason_of(changed(lambda event: event["data"].update(region="a\x00b"))) == "nul-in-text"


def test_half_a_surrogate_pair_is_malformed() -> None:
    assert reason_of(changed(lambda event: event["data"].update(region="\ud800"))) == "malformed"


@settings(max_examples=300, deadline=None)
@given(record=st.binary(max_size=400) | JSON_VALUES.map(to_json))
def test_no_bytes_whatever_raise_anything_but_a_refusal(record: bytes) -> None:
    assert reason_of(record) in REASONS


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(NAMES), where=st.integers(0, 2000), cut=st.integers(0, 20), put=st.binary(max_size=8))
def test_an_event_with_bytes_cut_out_or_put_in_is_an_event_or_refused(
    name: str, where: int, cut: int, put: bytes
) -> None:
    record = encoded_example(name)
    begin = where % len(record)
    damaged = record[:begin] + put + record[begin + cut :]
    assert outcome_of(damaged) in REASONS | {"decoded"}


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(NAMES), in_data=st.booleans(), position=st.integers(0, 40), value=JSON_VALUES)
def test_an_event_with_any_value_exchanged_is_an_event_or_refused(
    name: str, in_data: bool, position: int, value: object
) -> None:
    event = json.loads(encoded_example(name))
    within: dict[str, object] = event["data"] if in_data else event
    within[sorted(within)[position % len(within)]] = value
    assert outcome_of(to_json(event)) in REASONS | {"decoded"}


def outcome_of(record: bytes) -> str:
    """`decoded`, or the reason of the refusal; any other exception passes through and fails the test."""
    try:
        event = decode(record)
    except UndecodableEvent as refusal:
        return refusal.reason
    assert event.subject == f"{event.event_type.subject_kind}/{event.data.id}"
    return "decoded"


@pytest.mark.parametrize(
    ("time", "far"),
    [
        (b'"closed_at":"2026-03-20T16:30:00Z"', b'"closed_at":"9999-03-20T16:30:00Z"'),
        (b'"closed_at":"2026-03-20T16:30:00Z"', b'"closed_at":"1969-12-31T23:00:00Z"'),
        (b'"on":"2026-03-20"', b'"on":"9999-03-20"'),
    ],
)
def test_a_time_outside_the_calendar_is_refused_wherever_it_is(time: bytes, far: bytes) -> None:
    assert time in DEAL_CLOSED
    with pytest.raises(UndecodableEvent, match="is not between"):
        decode(DEAL_CLOSED.replace(time, far))
