"""What clients do: the same in a run with faults and in one without, by the real use cases."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from starlette.responses import Response

from sales_api.accounts.erasure import erase_account
from sales_api.accounts.schemas import AccountCreate, AccountMergeRequest, AccountUpdate
from sales_api.accounts.use_cases import merge_account, register_account, update_account
from sales_api.deals.schemas import DealAmendRequest, DealCloseRequest, DealCreate, DealLineCreate, DealReopenRequest
from sales_api.deals.use_cases import amend_deal, close_deal, open_deal, reopen_deal
from sales_api.leads.model import Lead
from sales_api.leads.schemas import LeadDisqualifyRequest
from sales_api.leads.use_cases import disqualify_lead
from service_api.customers.erasure import erase_customer
from service_api.customers.schemas import CustomerCreate
from service_api.customers.use_cases import register_customer
from service_api.tickets.schemas import (
    InteractionCreate,
    TicketCreate,
    TicketReopenRequest,
    TicketResolveRequest,
    TicketUpdate,
)
from service_api.tickets.use_cases import (
    log_interaction,
    open_ticket,
    reopen_ticket,
    resolve_ticket,
    update_ticket,
)
from service_api.upsell_suggestions import UpsellSuggestionCreate, suggest_upsell
from service_kit.auth import Principal
from service_kit.references import UnknownReference
from service_kit.unit_of_work import UnitOfWork
from tests.simulation.scheduler import NAMESPACE

CURRENCY: Final = "EUR"
BEGAN: Final = datetime(2020, 2, 27, 9, tzinfo=UTC)
"""Long ago, and before the end of a month: what is dated later has the time of the run."""
LATER: Final = "later"
"""How what is done once others have noticed what was done before it: a customer has been found at risk by then."""
AFTER_ALL_ELSE: Final = timedelta(days=90)
ADMIN: Final = Principal(subject="simulation", roles=frozenset({"admin"}), expires_at=float("inf"))


class _AnyVersion:
    def check(self, version: int) -> None:
        pass


ANY: Final[Any] = _AnyVersion()


@dataclass(frozen=True)
class Action:
    """One write of a client. `name` is what it is about, `of` what that belongs to, `how` a detail."""

    client: str
    verb: str
    name: str
    of: str = ""
    how: str = ""


def id_of(name: str) -> UUID:
    """Return the id of what an action creates: the first that is made when it is done."""
    return uuid5(NAMESPACE, f"{name}/0")


def key_of(action: Action, number: int) -> str:
    """Return what makes a repeat of the action the same: the name of what it creates, or its place in the history."""
    return action.name if action.verb in CREATING else f"{action.client}:{number}:{action.verb}:{action.name}"


async def _register(work: UnitOfWork, action: Action, at: datetime) -> None:
    body = AccountCreate(name=f"{action.name} 0", region="north", segment=action.how or None, occurred_at=at)
    await register_account(work, body, ADMIN)


async def _rename(work: UnitOfWork, action: Action, at: datetime) -> None:
    await update_account(work, id_of(action.name), AccountUpdate(name=action.how, occurred_at=at), ANY, ADMIN)


async def _move(work: UnitOfWork, action: Action, at: datetime) -> None:
    await update_account(work, id_of(action.name), AccountUpdate(region=action.how, occurred_at=at), ANY, ADMIN)


async def _merge(work: UnitOfWork, action: Action, at: datetime) -> None:
    await merge_account(
        work, id_of(action.name), AccountMergeRequest(into=id_of(action.of), occurred_at=at), ANY, ADMIN
    )


async def _erase(work: UnitOfWork, action: Action, at: datetime) -> None:
    await erase_account(work, id_of(action.name), ANY, ADMIN)


async def _open(work: UnitOfWork, action: Action, at: datetime) -> None:
    line = DealLineCreate(product="lamp", quantity=1, unit_price=action.how or "100.00")
    body = DealCreate(account_id=id_of(action.of), currency=CURRENCY, lines=[line], occurred_at=at)
    await open_deal(work, body, ADMIN, CURRENCY)


async def _close(work: UnitOfWork, action: Action, at: datetime) -> None:
    outcome: Any = action.how
    await close_deal(work, id_of(action.name), DealCloseRequest(outcome=outcome, occurred_at=at), ANY, ADMIN, CURRENCY)


async def _reopen(work: UnitOfWork, action: Action, at: datetime) -> None:
    await reopen_deal(work, id_of(action.name), DealReopenRequest(occurred_at=at), ANY, ADMIN, CURRENCY)


async def _amend(work: UnitOfWork, action: Action, at: datetime) -> None:
    lines = [DealLineCreate(product="lamp", quantity=2, unit_price=action.how)]
    await amend_deal(work, id_of(action.name), DealAmendRequest(lines=lines, occurred_at=at), ANY, ADMIN, CURRENCY)


async def _register_customer(work: UnitOfWork, action: Action, at: datetime) -> None:
    await register_customer(work, CustomerCreate(name=f"{action.name} 0", region="south", occurred_at=at), ADMIN)


async def _erase_customer(work: UnitOfWork, action: Action, at: datetime) -> None:
    await erase_customer(work, id_of(action.name), ANY, ADMIN)


async def _open_ticket(work: UnitOfWork, action: Action, at: datetime) -> None:
    body = TicketCreate(customer_id=id_of(action.of), kind="problem", channel="phone", occurred_at=at)
    await open_ticket(work, body, ADMIN)


async def _answer(work: UnitOfWork, action: Action, at: datetime) -> None:
    direction: Any = action.how
    body = InteractionCreate(direction=direction, talk_seconds=60, occurred_at=at)
    await log_interaction(work, id_of(action.name), body, ADMIN, ANY, timedelta(days=14))


async def _resolve(work: UnitOfWork, action: Action, at: datetime) -> None:
    await resolve_ticket(work, id_of(action.name), TicketResolveRequest(occurred_at=at), ADMIN, ANY)


async def _reopen_ticket(work: UnitOfWork, action: Action, at: datetime) -> None:
    await reopen_ticket(work, id_of(action.name), TicketReopenRequest(occurred_at=at), ADMIN, ANY)


async def _amend_ticket(work: UnitOfWork, action: Action, at: datetime) -> None:
    body = TicketUpdate.model_validate({"product": action.how, "priority": "urgent", "occurred_at": at})
    await update_ticket(work, id_of(action.name), body, ADMIN, ANY)


async def _suggest(work: UnitOfWork, action: Action, at: datetime) -> None:
    body = UpsellSuggestionCreate(customer_id=id_of(action.of), product="lamp", occurred_at=at)
    await suggest_upsell(body, work, Response(), ADMIN)


async def _turn_down(work: UnitOfWork, action: Action, at: datetime) -> None:
    """Disqualify the lead that sales-consumer makes of a suggestion, once it is there."""
    leads = await work.find(Lead, Lead.table.c.upsell_suggestion_id == id_of(action.of))
    if not leads:
        raise UnknownReference.at("#", "no lead of the suggestion yet")
    # The client counts from its own first action, which is not the first of the others.
    body = LeadDisqualifyRequest(reason="no_budget", occurred_at=at + AFTER_ALL_ELSE)
    await disqualify_lead(work, leads[0].id, body, ANY, ADMIN)


CREATING: Final[dict[str, Callable[[UnitOfWork, Action, datetime], Awaitable[None]]]] = {
    "register": _register,
    "open": _open,
    "register_customer": _register_customer,
    "open_ticket": _open_ticket,
    "suggest": _suggest,
}
VERBS: Final = CREATING | {
    "rename": _rename,
    "move": _move,
    "merge": _merge,
    "erase": _erase,
    "close": _close,
    "reopen": _reopen,
    "amend": _amend,
    "erase_customer": _erase_customer,
    "answer": _answer,
    "resolve": _resolve,
    "reopen_ticket": _reopen_ticket,
    "amend_ticket": _amend_ticket,
    "turn_down": _turn_down,
}
WAITING: Final = frozenset({"open_ticket", "suggest", "turn_down"})
"""Actions that need what a consumer makes of the other service's events."""


def time_of(number: int) -> datetime:
    """Return when a client's action of this number happened."""
    return BEGAN + timedelta(hours=7 * number)


def draw_history(seed: int) -> list[Action]:
    """Return the writes of two clients of sales and one of service, each in order.

    In some histories service suggests sales to its customers, and a third client of sales turns some of them down.
    """
    chance = random.Random(seed)
    history = []
    for client in ("sales-1", "sales-2"):
        customers = [
            _customer(chance, client, f"{client}-{number}", course)
            for number, course in enumerate(chance.sample([_steady, _fickle, _leaving, _merged, _steady], k=2))
        ]
        history += _shuffled(chance, customers)
    kept = [each.name for each in history if each.verb == "register" and each.how == "steady"]
    tickets = [_ticket(chance, f"ticket-{number}", chance.choice(kept or ["own"])) for number in range(2)]
    own = [Action("service", "register_customer", "own"), *_ticket(chance, "ticket-own", "own")]
    if chance.random() < 0.3:
        own.append(Action("service", "erase_customer", "own"))
    suggestions: list[Action] = []
    if kept and chance.random() < 0.7:
        for number in range(chance.randint(1, 2)):
            name = f"suggestion-{number}"
            suggestions.append(Action("service", "suggest", name, chance.choice(kept)))
            if chance.random() < 0.7:
                history.append(Action("sales-leads", "turn_down", f"lead of {name}", name))
    history += own[:1] + _shuffled(chance, [own[1:], *tickets, suggestions])
    return history


Course = Callable[[random.Random, str, str], list[Action]]


def _customer(chance: random.Random, client: str, name: str, course: Course) -> list[Action]:
    return course(chance, client, name)


def _steady(chance: random.Random, client: str, name: str) -> list[Action]:
    """A customer that stays as it is, with deals that stay won or lost."""
    found = [Action(client, "register", name, how="steady")]
    for number in range(chance.randint(1, 2)):
        deal = f"{name}-deal-{number}"
        found += [Action(client, "open", deal, name, f"{chance.randint(1, 99)}.50")]
        found += [Action(client, "close", deal, how=chance.choice(["won", "won", "lost"]))]
        if chance.random() < 0.5:
            found += [Action(client, "amend", deal, how=f"{chance.randint(1, 99)}.00")]
    if chance.random() < 0.5:
        found.append(Action(client, "rename", name, how=f"{name} 1"))
    return found


def _fickle(chance: random.Random, client: str, name: str) -> list[Action]:
    """A customer whose won deal is reopened, and who moves."""
    deal = f"{name}-deal"
    found = [
        Action(client, "register", name),
        Action(client, "open", deal, name, "100.00"),
        Action(client, "close", deal, how="won"),
        Action(client, "reopen", deal),
        Action(client, "close", deal, how=chance.choice(["lost", "lost", "won"])),
    ]
    found.insert(chance.randint(1, len(found)), Action(client, "move", name, how="west"))
    return found


def _leaving(chance: random.Random, client: str, name: str) -> list[Action]:
    """A customer that is renamed, and then erased."""
    deal = f"{name}-deal"
    return [
        Action(client, "register", name),
        Action(client, "open", deal, name, "10.00"),
        Action(client, "close", deal, how="lost"),
        *(Action(client, "rename", name, how=f"{name} {number}") for number in range(1, chance.randint(2, 4))),
        Action(client, "erase", name),
    ]


def _merged(chance: random.Random, client: str, name: str) -> list[Action]:
    """A customer that was registered twice."""
    twin = f"{name}-twin"
    return [
        Action(client, "register", name),
        Action(client, "register", twin),
        Action(client, "move", twin, how="west"),
        Action(client, "open", f"{name}-deal", name, "40.00"),
        Action(client, "open", f"{twin}-deal", twin, "50.00"),
        Action(client, "close", f"{twin}-deal", how="lost"),
        Action(client, "merge", twin, name),
        Action(client, "close", f"{name}-deal", how="lost"),
    ]


def _ticket(chance: random.Random, name: str, of: str) -> list[Action]:
    found = [Action("service", "open_ticket", name, of)]
    found += [Action("service", "answer", name, how=chance.choice(["inbound", "outbound"]))]
    found += [Action("service", "resolve", name)]
    if chance.random() < 0.5:
        # As long as it is not resolved again, its customer is at risk.
        found += [Action("service", "reopen_ticket", name)]
        again = Action("service", "resolve", name, how=chance.choice(["", LATER]))
        found += [again] if chance.random() < 0.6 else []
    if chance.random() < 0.4:
        # At any place: before its first contact, while it is resolved, after all.
        amended = Action("service", "amend_ticket", name, how=chance.choice(["desk", "chair"]))
        found.insert(chance.randint(1, len(found)), amended)
    return found


def _shuffled(chance: random.Random, parts: list[list[Action]]) -> list[Action]:
    """Return all actions, those of each part in their order."""
    order = [number for number, part in enumerate(parts) for _ in part]
    chance.shuffle(order)
    iterators = [iter(part) for part in parts]
    return [next(iterators[number]) for number in order]
