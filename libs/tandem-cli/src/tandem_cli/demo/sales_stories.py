"""How the simulated company sells: leads that are worked or given up, deals that are won or lost."""

from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from event_contracts.fields import DECIMAL_PLACES
from tandem_cli.demo.company import CHANNELS, CURRENCIES, PRODUCTS, REGIONS, SEGMENTS, Account, Company, pick
from tandem_cli.demo.story import Script, Story
from tandem_cli.requests import Ref, given

LEAD, DEAL, ACCOUNT = Ref("self", "lead"), Ref("self", "deal"), Ref("self", "account")

_REGIONS = dict(zip(REGIONS, (0.3, 0.24, 0.16, 0.14, 0.11, 0.05), strict=True))
_STAGES = ("qualification", "presentation", "proposal", "negotiation")
_LOST = {"price": 0.4, "competitor": 0.25, "no-budget": 0.2, "no-answer": 0.15}
_WON = {"best-offer": 0.4, "trust": 0.3, "quick": 0.2, "known-us": 0.1}
_DISQUALIFIED = {"no-answer": 0.5, "no-budget": 0.3, "out-of-area": 0.2}
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def lead_story(company: Company, script: Script, mood: float) -> Story:
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
    script.wait(5 * MINUTE, 6 * HOUR)
    script.do("assign", "sales", ("leads", LEAD, "assign"), {"owner_id": rep})
    if random.random() < 0.1:
        return script.end()  # forgotten
    script.wait(10 * MINUTE, 30 * HOUR)
    script.do("contact", "sales", ("leads", LEAD, "contact"), {})
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
    _deal_goes_on(company, script, deal, rep, chance=0.62 * mood)
    return script.end()


def deal_story(company: Company, script: Script, mood: float, account: Account) -> Story:
    """A customer buys again, or not."""
    product = pick(script.random, {product.code: product.weight for product in PRODUCTS})
    deal = {**_terms(script, product), "account_id": account.ref, "owner_id": account.rep}
    script.do("open", "sales", ("deals",), deal, deal="id")
    _deal_goes_on(company, script, deal, account.rep, chance=0.5 * mood)
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


def _deal_goes_on(company: Company, script: Script, deal: dict[str, Any], rep: Ref, chance: float) -> None:
    random = script.random
    won = random.random() < chance * company.skill(rep)
    reached = len(_STAGES) if won else random.randint(1, len(_STAGES))
    for stage in _STAGES[:reached]:
        script.wait(6 * HOUR, 9 * DAY)
        script.do(stage, "sales", ("deals", DEAL, "stage"), {"stage": stage})
    script.wait(6 * HOUR, 12 * DAY)
    _close(script, won=won)
    if random.random() < 0.03:
        script.wait(DAY, 20 * DAY)
        script.do("reopen", "sales", ("deals", DEAL, "reopen"), {})
        script.wait(DAY, 15 * DAY)
        _close(script, won=not won)
    elif won and random.random() < 0.04:
        script.wait(DAY, 10 * DAY)
        first, *others = deal["lines"]
        more = {**first, "quantity": first["quantity"] + 1}
        script.do("amend", "sales", ("deals", DEAL, "amend"), {"lines": [more, *others]})


def _close(script: Script, *, won: bool) -> None:
    body = {"outcome": "won" if won else "lost", "reason": pick(script.random, _WON if won else _LOST)}
    script.do("close", "sales", ("deals", DEAL, "close"), body)
