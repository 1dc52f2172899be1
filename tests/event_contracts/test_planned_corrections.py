"""After a restore, work that is planned is corrected by events that old readers of what was done never meet."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from event_contracts.codec import decode
from event_contracts.corrections import restored, withdrawn
from event_contracts.examples import encoded_example

LOST = UUID("01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11")
AT = datetime(2026, 7, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("noun", "done"),
    [
        ("sales.activity", "completed"),
        ("service.check-in", "completed"),
        ("service.training", "delivered"),
        ("service.maintenance", "performed"),
        ("service.onboarding-step", "completed"),
    ],
)
def test_planned_work_and_what_was_done_are_corrected_by_events_of_their_own(noun: str, done: str) -> None:
    service, _, fact = noun.partition(".")
    for step, corrected in (
        (done, fact),
        ("amended", fact),
        ("planned", f"planned-{fact}"),
        ("moved", f"planned-{fact}"),
        ("missed", f"planned-{fact}"),
        ("cancelled", f"planned-{fact}"),
    ):
        event = decode(encoded_example(f"{noun}-{step}"))
        again: Any = decode(restored(event, [LOST], epoch=2, at=AT))
        (gone,) = (decode(each) for each in withdrawn(event, [], at=AT))
        assert (again.event_type.name, again.epoch) == (f"{service}.{corrected}-restored", 2), step
        assert (gone.event_type.name, gone.sequence) == (f"{service}.{corrected}-withdrawn", event.sequence + 1), step
        assert again.data.id == gone.data.id == event.data.id
        assert again.data.change.lost_events == [LOST]
