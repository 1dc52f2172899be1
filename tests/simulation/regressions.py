"""Plans that failed once, shrunk: each names what was wrong."""

import math
from typing import Final

from tests.simulation.faults import ClockJump, Crash, Cut, LateStart, Overload, Pause, Repeat, Restore, SendFails
from tests.simulation.histories import Action
from tests.simulation.world import Plan

_TAKEN_BACK: Final = [
    Action("sales-1", "register", "one"),
    Action("sales-1", "open", "deal", of="one"),
    Action("sales-1", "close", "deal", how="won"),
    Action("sales-1", "reopen", "deal"),
    Action("sales-1", "close", "deal", how="lost"),
]
_LEAVING: Final = [
    Action("sales-1", "register", "one"),
    Action("sales-1", "rename", "one", how="one 1"),
    Action("sales-1", "rename", "one", how="one 2"),
    Action("sales-1", "erase", "one"),
]
_NAMED: Final = [
    Action("sales-1", "register", "one"),
    *(Action("sales-1", "rename", "one", how=f"one {number}") for number in range(1, 6)),
]

REGRESSIONS: Final[dict[str, Plan]] = {
    "a win that comes again after all its events were read in one batch opens an onboarding": Plan(
        schedule=1, history=_TAKEN_BACK, faults=[LateStart("accounts"), Repeat(2)]
    ),
    "a batch that exceeds its time-out is tried in its full size for ever": Plan(
        schedule=1, history=_NAMED, faults=[LateStart("names"), Overload("names-1", 1)]
    ),
    "a relay that was stopped before it sent brings an erased name back": Plan(
        schedule=2, history=_LEAVING, faults=[Pause("sales-relay-1", "send", 2, 20.0, cuts=True)]
    ),
    "the same while its connection stays open": Plan(
        schedule=2, history=_LEAVING, faults=[Pause("sales-relay-1", "send", 2, 20.0)]
    ),
    "a deal that was lost, and won under the same sequence after a restore, is dropped silently": Plan(
        schedule=1,
        history=[*_TAKEN_BACK[:2], Action("sales-1", "close", "deal", how="lost")],
        faults=[Restore(20, 120)],
    ),
    "a relay that is stopped blocks its standby": Plan(
        schedule=1, history=_LEAVING, faults=[Pause("sales-relay-1", "wait", 1, math.inf)]
    ),
    "a ledger's consumer gets the same cut connection from the pool for ever": Plan(
        schedule=25,
        history=_TAKEN_BACK,
        faults=[Cut(5, "metrics"), Crash("ledger-1", "read", 2), Crash("ledger-2", "read", 2)],
    ),
    "a win that is taken back and won again in one batch leaves the onboarding of the first": Plan(
        schedule=112,
        history=[
            Action("sales-1", "register", "sales-1-1"),
            Action("sales-1", "open", "sales-1-1-deal", of="sales-1-1", how="100.00"),
            Action("sales-1", "close", "sales-1-1-deal", how="won"),
            Action("sales-1", "reopen", "sales-1-1-deal"),
            Action("sales-1", "close", "sales-1-1-deal", how="won"),
            Action("service", "answer", "ticket-own", how="outbound"),
            Action("service", "resolve", "ticket-own"),
            Action("service", "answer", "ticket-1", how="inbound"),
            Action("service", "answer", "ticket-0", how="inbound"),
            Action("service", "resolve", "ticket-0"),
            Action("service", "resolve", "ticket-own"),
        ],
        faults=[],
    ),
    "an event that is sent again under the next epoch leaves the reversal of a lost deal": Plan(
        schedule=460,
        history=[
            Action("sales-1", "register", "sales-1-1"),
            Action("sales-1", "register", "sales-1-0", how="steady"),
            Action("sales-1", "open", "sales-1-0-deal-0", of="sales-1-0", how="29.50"),
            Action("sales-1", "open", "sales-1-1-deal", of="sales-1-1", how="100.00"),
            Action("sales-1", "close", "sales-1-1-deal", how="won"),
            Action("sales-1", "reopen", "sales-1-1-deal"),
            Action("sales-1", "close", "sales-1-0-deal-0", how="won"),
            Action("sales-1", "close", "sales-1-1-deal", how="lost"),
            Action("sales-2", "register", "sales-2-1", how="steady"),
            Action("sales-2", "close", "sales-2-0-deal", how="won"),
            Action("sales-2", "close", "sales-2-1-deal-0", how="won"),
            Action("sales-2", "reopen", "sales-2-0-deal"),
            Action("sales-2", "amend", "sales-2-1-deal-0", how="41.00"),
            Action("sales-2", "close", "sales-2-0-deal", how="lost"),
            Action("service", "register_customer", "own"),
            Action("service", "open_ticket", "ticket-0", of="sales-1-0"),
            Action("service", "answer", "ticket-0", how="inbound"),
            Action("service", "open_ticket", "ticket-1", of="sales-2-1"),
            Action("service", "answer", "ticket-1", how="inbound"),
            Action("service", "open_ticket", "ticket-own", of="own"),
            Action("service", "resolve", "ticket-1"),
            Action("service", "answer", "ticket-own", how="outbound"),
            Action("service", "resolve", "ticket-own"),
            Action("service", "reopen_ticket", "ticket-0"),
        ],
        faults=[
            SendFails(process="sales-relay-2", visit=6, reaches=True),
            Restore(taken=56, restored=102),
            ClockJump(step=110, database="sales", seconds=3.0),
        ],
    ),
    "a deal that is lost after a restore took its win back stays won in service": Plan(
        schedule=483,
        history=[
            Action("sales-1", "register", "sales-1-0", how="steady"),
            Action("sales-1", "register", "sales-1-1"),
            Action("sales-1", "open", "sales-1-0-deal-0", of="sales-1-0", how="80.50"),
            Action("sales-2", "register", "sales-2-1"),
            Action("sales-2", "open", "sales-2-1-deal", of="sales-2-1", how="100.00"),
            Action("sales-2", "register", "sales-2-0", how="steady"),
            Action("sales-2", "open", "sales-2-0-deal-0", of="sales-2-0", how="10.50"),
            Action("sales-2", "close", "sales-2-0-deal-0", how="won"),
            Action("sales-2", "close", "sales-2-1-deal", how="won"),
            Action("sales-2", "close", "sales-2-1-deal", how="won"),
            Action("service", "answer", "ticket-1", how="inbound"),
            Action("service", "resolve", "ticket-1"),
        ],
        faults=[
            Pause(process="accounts-2", seam="read", visit=5, seconds=0.5, cuts=False),
            Restore(taken=40, restored=151),
        ],
    ),
    "an onboarding that is opened anew after a restore is in another region than before": Plan(
        schedule=113,
        history=[
            Action("sales-1", "register", "sales-1-0"),
            Action("sales-1", "register", "sales-1-1"),
            Action("sales-1", "open", "sales-1-0-deal", of="sales-1-0", how="10.00"),
            Action("sales-1", "close", "sales-1-0-deal", how="lost"),
            Action("sales-1", "rename", "sales-1-0", how="sales-1-0 1"),
            Action("sales-1", "rename", "sales-1-0", how="sales-1-0 2"),
            Action("sales-1", "erase", "sales-1-0"),
            Action("sales-2", "register", "sales-2-0"),
            Action("sales-2", "register", "sales-2-0-twin"),
            Action("sales-2", "move", "sales-2-0-twin", how="west"),
            Action("sales-2", "close", "sales-2-1-deal-0", how="won"),
            Action("sales-2", "open", "sales-2-0-twin-deal", of="sales-2-0-twin", how="50.00"),
            Action("sales-2", "close", "sales-2-0-twin-deal", how="lost"),
            Action("sales-2", "merge", "sales-2-0-twin", of="sales-2-0"),
            Action("service", "register_customer", "own"),
            Action("service", "open_ticket", "ticket-own", of="own"),
            Action("service", "answer", "ticket-1", how="inbound"),
            Action("service", "resolve", "ticket-1"),
            Action("service", "answer", "ticket-0", how="inbound"),
            Action("service", "resolve", "ticket-0"),
            Action("service", "answer", "ticket-own", how="outbound"),
            Action("service", "resolve", "ticket-own"),
            Action("service", "reopen_ticket", "ticket-own"),
            Action("service", "resolve", "ticket-own"),
        ],
        faults=[
            Pause(process="sales-relay-1", seam="send", visit=11, seconds=20.0, cuts=True),
            Restore(taken=47, restored=128),
        ],
    ),
}
