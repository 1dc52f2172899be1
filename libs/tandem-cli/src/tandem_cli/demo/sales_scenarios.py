"""How the simulated company sells: leads that are worked or given up, deals that are won or lost."""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random
from typing import Any

from event_contracts.fields import DECIMAL_PLACES
from tandem_cli.demo.company import (
    CHANNELS,
    CURRENCIES,
    ONBOARDING_STEPS,
    PRODUCTS,
    REGIONS,
    SEGMENTS,
    Account,
    Company,
    pick,
)
from tandem_cli.demo.scenario import After, Scenario, Script
from tandem_cli.requests import Ref, given

LEAD, DEAL, ACCOUNT, ONBOARDING, STEP = (
    Ref("self", name) for name in ("lead", "deal", "account", "onboarding", "step")
)

_REGIONS = dict(zip(REGIONS, (0.3, 0.24, 0.16, 0.14, 0.11, 0.05), strict=True))
_STAGES = ("qualification", "presentation", "proposal", "negotiation")
_LOST = {"price": 0.4, "competitor": 0.25, "no_budget": 0.2, "no_answer": 0.15}
_WON = {"best_offer": 0.4, "trust": 0.3, "speed": 0.2, "loyalty": 0.1}
_DISQUALIFIED = {"no_answer": 0.5, "no_budget": 0.3, "out_of_area": 0.2}
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def lead_scenario(company: Company, script: Script, mood: float) -> Scenario:
    """Someone asks; a salesperson answers; perhaps it becomes a deal. `mood` is around 1 and above it in good weeks."""
    random = script.random
    channel = pick(random, {channel: share for channel, (share, _) in CHANNELS.items()})
    known = random.choice(company.accounts) if random.random() < 0.35 else None
    rep = known.rep if known else random.choice(company.reps)
    name = known.name if known else company.company_name(random)
    region = (
        known.region if known else pick(random, dict(zip(REGIONS, (0.3, 0.24, 0.16, 0.14, 0.11, 0.05), strict=True)))
    )
    segment = known.segment if known else random.choice(SEGMENTS)
    product = pick(random, {product.code: product.weight for product in PRODUCTS})
    lead = given(
        company=name,
        channel=channel,
        region=region,
        segment=segment,
        product=product,
        account_id=known.ref if known else None,
    )
    script.do("create", "sales", ("leads",), lead, lead="id")
    more = company.random("more", script.key)
    if channel == "referral" and known is None:
        friend = more.choice(company.accounts)
        script.do("refer", "sales", ("referrals",), {"account_id": friend.ref, "lead_id": LEAD})
    script.wait(5 * MINUTE, 6 * HOUR)
    script.do("assign", "sales", ("leads", LEAD, "assign"), {"owner_id": rep})
    if random.random() < 0.1:
        # Forgotten, and found when it is too late.
        script.wait(3 * DAY, 9 * DAY)
        script.do("disqualify", "sales", ("leads", LEAD, "disqualify"), {"reason": "no_answer"})
        return script.end()
    script.wait(10 * MINUTE, 30 * HOUR)
    script.do("contact", "sales", ("leads", LEAD, "contact"), {})
    _act(script, more, {"lead_id": LEAD, "owner_id": rep}, "call", "email")
    script.wait(HOUR, 9 * DAY)
    _, chance = CHANNELS[channel]
    if random.random() > chance * mood * company.skill(rep) * 1.15:
        body = {"reason": pick(random, _DISQUALIFIED)}
        script.do("disqualify", "sales", ("leads", LEAD, "disqualify"), body)
        return script.end()
    script.do("qualify", "sales", ("leads", LEAD, "qualify"), {})
    if random.random() < 0.4:
        return script.end()  # worth it, and yet nothing comes of it
    script.wait(HOUR, 12 * DAY)
    deal = _terms(script, product)
    deal |= {"owner_id": rep, "external_ref": company.reference(f"{script.key}:deal")}
    convert: dict[str, Any] = {"deal": deal}
    if known is None:
        convert["account"] = {"name": name}
    gives = {"deal": "deal_id", "account": "account_id"}
    script.do("convert", "sales", ("leads", LEAD, "convert"), convert, **gives)
    _deal_goes_on(company, script, deal, rep, known.ref if known else ACCOUNT, chance=0.62 * mood)
    return script.end()


def deal_scenario(company: Company, script: Script, mood: float, account: Account) -> Scenario:
    """A customer buys again, or not."""
    product = pick(script.random, {product.code: product.weight for product in PRODUCTS})
    deal = {**_terms(script, product), "account_id": account.ref, "owner_id": account.rep}
    script.do("open", "sales", ("deals",), deal, deal="id")
    _deal_goes_on(company, script, deal, account.rep, account.ref, chance=0.5 * mood)
    return script.end()


def _terms(script: Script, first: str) -> dict[str, Any]:
    random = script.random
    currency = pick(random, {currency: share for currency, (_, share) in CURRENCIES.items()})
    codes = {first} | {random.choice(PRODUCTS).code for _ in range(random.choice((0, 0, 1, 2)))}
    return {
        "currency": currency,
        "lines": [_line(script, code, currency) for code in sorted(codes)],
    }


def _line(script: Script, code: str, currency: str) -> dict[str, Any]:
    product = next(product for product in PRODUCTS if product.code == code)
    rate, _ = CURRENCIES[currency]
    places = Decimal(1).scaleb(-min(DECIMAL_PLACES[currency], 2))
    price = product.price / rate * Decimal(script.random.randint(86, 104)) / 100
    quantity = script.random.choice((1, 1, 1, 2, 3)) if product.price > 1_000 else script.random.randint(1, 8)
    return {"product": code, "quantity": quantity, "unit_price": f"{price.quantize(places, ROUND_HALF_EVEN):f}"}


def upsell_scenario(company: Company, script: Script, suggestion: Ref, account: Account, product: str) -> None:
    """What an agent suggested becomes a lead of sales, and often a deal."""
    more = company.random("upsell", script.key)
    lead = {"account_id": account.ref, "owner_id": account.rep, "product": product, "upsell_suggestion_id": suggestion}
    script.at += HOUR + 2 * DAY * more.random()
    script.do("upsell", "sales", ("leads",), lead, lead="id")
    script.at += HOUR + 3 * DAY * more.random()
    script.do("upsell-contact", "sales", ("leads", LEAD, "contact"), {})
    if more.random() < 0.4:
        return
    script.at += HOUR + 5 * DAY * more.random()
    deal = {"currency": "EUR", "lines": [_line(script, product, "EUR")]}
    script.do("upsell-convert", "sales", ("leads", LEAD, "convert"), {"deal": deal}, deal="deal_id")
    script.at += DAY + 9 * DAY * more.random()
    outcome = {"outcome": "won", "reason": "trust"} if more.random() < 0.7 else {"outcome": "lost", "reason": "price"}
    script.do("upsell-close", "sales", ("deals", DEAL, "close"), outcome)


def _deal_goes_on(
    company: Company, script: Script, deal: dict[str, Any], rep: Ref, account: Ref, chance: float
) -> None:
    random = script.random
    more = company.random("deal", script.key)
    slip = company.random("slip", script.key)
    won = random.random() < chance * company.skill(rep)
    reached = len(_STAGES) if won else random.randint(1, len(_STAGES))
    for stage in _STAGES[:reached]:
        script.wait(6 * HOUR, 9 * DAY)
        script.do(stage, "sales", ("deals", DEAL, "stage"), {"stage": stage})
        _act(script, more, {"deal_id": DEAL}, "meeting", "demonstration", "call", name=f"{stage}-activity")
        if stage == "proposal":
            script.at += HOUR + DAY * more.random()
            script.do("propose", "sales", ("deals", DEAL, "proposals"), {})
    script.wait(6 * HOUR, 12 * DAY)
    _close(script, won=won)
    if random.random() < 0.03:
        script.wait(DAY, 20 * DAY)
        script.do("reopen", "sales", ("deals", DEAL, "reopen"), {})
        script.wait(DAY, 15 * DAY)
        _close(script, won=not won, again=True)
        return
    if slip.random() < 0.03:
        script.at += HOUR + 9 * DAY * slip.random()
        script.correct("correct", "sales", ("deals", DEAL), {"channel": slip.choice(list(CHANNELS))})
    lines = deal["lines"]
    if won and random.random() < 0.04:
        script.wait(DAY, 10 * DAY)
        first, *others = lines
        lines = [{**first, "quantity": first["quantity"] + 1}, *others]
        script.do("amend", "sales", ("deals", DEAL, "amend"), {"lines": lines})
    if won:
        _deliver(company, script, deal["currency"], lines, account)


def _close(script: Script, *, won: bool, again: bool = False) -> None:
    body: dict[str, Any] = {"outcome": "won" if won else "lost", "reason": pick(script.random, _WON if won else _LOST)}
    if won:
        body["promise"] = {"deliver_by": After(24 * DAY, day=True), "quality": "as-agreed"}
    script.do("close-again" if again else "close", "sales", ("deals", DEAL, "close"), body)


def _act(script: Script, more: Random, subject: dict[str, Any], *kinds: str, name: str = "activity") -> None:
    """Something that was done on the way; what was planned for a time is done by then, mostly."""
    if more.random() < 0.35:
        return
    planned = more.random() < 0.5
    script.at += timedelta(minutes=more.randint(20, 600))
    body = {"kind": "follow_up" if planned else more.choice(kinds), **subject}
    if planned:
        body["due_at"] = After(timedelta(hours=more.triangular(-20, 48, 10)))
    script.do(name, "sales", ("activities",), body)


def _deliver(company: Company, script: Script, currency: str, lines: list[dict[str, Any]], account: Ref) -> None:
    """What was won is brought into use and accepted: mostly in time, at the agreed price, in the agreed quality."""
    more = company.random("deliver", script.key)
    agent = more.choice(company.agents)
    script.at += HOUR + DAY * more.random()
    opening = {"customer_id": account, "kind": "installation", "channel": "web", "onboarding_deal_id": DEAL}
    script.do("onboard", "service", ("tickets",), opening, onboarding="id")
    script.do("onboard-assign", "service", ("tickets", ONBOARDING, "assign"), {"agent_id": agent})
    script.at += HOUR + 2 * DAY * more.random()
    greeting = {"direction": "outbound", "agent_id": agent, "wrap_up_seconds": more.randint(60, 600)}
    script.do("onboard-interaction", "service", ("tickets", ONBOARDING, "interactions"), greeting)
    resolved_at = script.at + 2 * DAY + timedelta(days=more.triangular(0, 30, 9) / company.skill(agent))
    _do_steps(script, lines, resolved_at)
    script.at = resolved_at
    script.do("onboard-resolve", "service", ("tickets", ONBOARDING, "resolve"), {"resolution": "configured"})
    total = sum((Decimal(line["unit_price"]) * line["quantity"] for line in lines), Decimal(0))
    if more.random() < 0.06:
        total = (total * Decimal("1.08")).quantize(Decimal(1).scaleb(-DECIMAL_PLACES[currency]), ROUND_HALF_EVEN)
    script.at += timedelta(hours=more.randint(1, 90))
    delivery = {
        "deal_id": DEAL,
        "agent_id": agent,
        "price": {"amount": f"{total:f}", "currency": currency},
        "quality_as_agreed": more.random() < 0.93,
    }
    script.do("deliver", "service", ("deliveries",), delivery)


def _do_steps(script: Script, lines: list[dict[str, Any]], end: datetime) -> None:
    """One step after the other brings each product into use: on time, unless all of it takes long."""
    steps = [(step, line["product"]) for line in lines for step in ONBOARDING_STEPS[line["product"]]]
    began = script.at
    for number, (step, product) in enumerate(steps, 1):
        # Those that a template has planned already are due when it says.
        due_on = After(14 * DAY / len(steps), day=True)
        body = {"ticket_id": ONBOARDING, "step": step, "product": product, "due_on": due_on}
        script.do(f"{step}-planned", "service", ("onboarding-steps",), body, step="id")
        script.at = began + (end - began) * number / len(steps)
        script.do(f"{step}-done", "service", ("onboarding-steps", STEP, "done"), {})
