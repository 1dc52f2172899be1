"""How the simulated company serves: tickets with contacts, resolutions, second tries, and the customers' ratings."""

from datetime import timedelta
from random import Random

from tandem_cli.demo.company import PRODUCTS, Account, Company, pick
from tandem_cli.demo.sales_scenarios import upsell_scenario
from tandem_cli.demo.scenario import After, Scenario, Script
from tandem_cli.requests import Ref

TICKET, SURVEY, LINK, SUGGESTION, PLAN = (
    Ref("self", name) for name in ("ticket", "survey", "link", "suggestion", "plan")
)

_KINDS = {
    "problem": 0.42,
    "presales_question": 0.18,
    "installation": 0.14,
    "maintenance": 0.12,
    "training_request": 0.08,
    "complaint": 0.06,
}
_CHANNELS = {"phone": 0.4, "email": 0.25, "chat": 0.2, "web": 0.1, "in_person": 0.05}
_PRIORITIES = {"low": 0.2, "normal": 0.55, "high": 0.19, "urgent": 0.06}
_SPEED = {"low": 2.0, "normal": 1.0, "high": 0.5, "urgent": 0.2}
_SUBJECTS = (
    "It makes a noise",
    "A question about the bill",
    "The app does not connect",
    "When do you come?",
    "Error E4",
)
_RESOLUTIONS = {"explained": 0.4, "repaired": 0.25, "replaced-part": 0.15, "configured": 0.2}
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_MAINTENANCE = 182 * DAY
_VISITS = 6
"""Three years of them: a plan that is forgotten is overdue for ever."""


def ticket_scenario(company: Company, script: Script, mood: float, account: Account) -> Scenario:
    """A customer gets in touch, is helped well or less so, and may rate it. In weeks of low `mood` all takes longer."""
    random = script.random
    channel = pick(random, _CHANNELS)
    priority = pick(random, _PRIORITIES)
    agent = random.choice(company.agents)
    drag = _SPEED[priority] / (mood * company.skill(agent))
    opening = {
        "customer_id": account.ref,
        "kind": pick(random, _KINDS),
        "channel": channel,
        "priority": priority,
        "product": pick(random, {product.code: product.weight for product in PRODUCTS}),
        "subject": random.choice(_SUBJECTS),
    }
    began = script.at
    slip = company.random("slip", script.key)
    right = {"kind": opening["kind"], "product": opening["product"]}
    misfiled = slip.random() < 0.04
    if misfiled:
        opening |= {"kind": pick(slip, _KINDS), "product": slip.choice(PRODUCTS).code}
    script.do("open", "service", ("tickets",), opening, ticket="id")
    _contact(script, "inbound", channel, agent if channel in ("phone", "chat", "in_person") else None)
    script.wait(MINUTE, 3 * HOUR * drag)
    script.do("assign", "service", ("tickets", TICKET, "assign"), {"agent_id": agent})
    noticed = slip.random() < 0.5
    if misfiled and noticed:
        script.correct("correct", "service", ("tickets", TICKET), right)
    more = company.random("more", script.key)
    if more.random() < 0.08 * drag:
        script.at += timedelta(minutes=more.randint(10, 300))
        knows_more = more.choice([one for one in company.agents if one != agent])
        script.do("escalate", "service", ("tickets", TICKET, "escalate"), {"agent_id": knows_more})
    contacts = 1
    if channel in ("email", "web") or random.random() < 0.5:
        script.wait(5 * MINUTE, 20 * HOUR * drag)
        _contact(script, "outbound", channel, agent)
    while random.random() < 0.3 * drag and contacts < 5:
        contacts += 1
        script.wait(HOUR, 30 * HOUR * drag)
        _contact(script, "inbound", channel, agent if channel == "phone" else None)
        script.wait(5 * MINUTE, 20 * HOUR * drag)
        _contact(script, "outbound", channel, agent)
    if random.random() < 0.05:
        return script.end()  # it is never solved
    script.wait(10 * MINUTE, 40 * HOUR * drag)
    script.do("resolve", "service", ("tickets", TICKET, "resolve"), {"resolution": pick(random, _RESOLUTIONS)})
    if misfiled and not noticed:
        # Only now: the numbers of the day on which it was opened are restated.
        script.at += HOUR + 3 * DAY * slip.random()
        script.correct("correct", "service", ("tickets", TICKET), right)
    reopened = random.random() < 0.07 * drag
    if reopened:
        script.wait(HOUR, 4 * DAY)
        script.do("reopen", "service", ("tickets", TICKET, "reopen"), {})
        _contact(script, "inbound", channel, agent if channel == "phone" else None)
        script.wait(HOUR, 40 * HOUR * drag)
        _contact(script, "outbound", channel, agent)
        script.do("resolve", "service", ("tickets", TICKET, "resolve"), {"resolution": pick(random, _RESOLUTIONS)})
    if random.random() < 0.7:
        _survey(script, more, contacts=contacts, reopened=reopened, days=(script.at - began) / DAY)
    script.wait(DAY, 5 * DAY)
    script.do("close", "service", ("tickets", TICKET, "close"), {})
    by = {"customer_id": account.ref, "agent_id": agent}
    if right["kind"] == "training_request":
        script.at += DAY + 9 * DAY * more.random()
        training = {**by, "product": right["product"], "attendees": more.randint(1, 14)}
        script.do("train", "service", ("trainings",), training)
    if more.random() < 0.05:
        product = more.choice(PRODUCTS).code
        suggestion = {**by, "ticket_id": TICKET, "product": product}
        script.do("suggest", "service", ("upsell-suggestions",), suggestion, suggestion="id")
        upsell_scenario(company, script, SUGGESTION, account, product)
    elif more.random() < 0.05:
        review = {
            "customer_id": account.ref,
            "channel": "directory",
            "score": 2 if reopened else more.choice((4, 5, 5)),
        }
        script.do("review", "service", ("reviews",), review)
    return script.end()


def care_scenario(company: Company, script: Script, mood: float, account: Account) -> Scenario:
    """Service gets in touch before anything is wrong: it asks how they fare, or looks after what they bought."""
    more = company.random("care", script.key)
    agent = more.choice(company.agents)
    late = timedelta(days=more.triangular(-9, 5 / mood, -2))
    if more.random() < 0.55:
        check_in: dict[str, object] = {"customer_id": account.ref, "agent_id": agent}
        if more.random() < 0.8:
            check_in["due_on"] = After(-late, day=True)
        script.do("check-in", "service", ("check-ins",), check_in)
        return script.end()
    product = pick(more, {product.code: product.weight for product in PRODUCTS})
    plan = {
        "customer_id": account.ref,
        "product": product,
        "interval_days": _MAINTENANCE // DAY,
        "next_due_on": After(9 * DAY, day=True),
    }
    script.do("plan", "service", ("maintenance-plans",), plan, plan="id")
    due = script.at + 9 * DAY
    script.at = due + late
    script.do("maintain", "service", ("maintenance-plans", PLAN, "perform"), {"agent_id": agent})
    # What happens now does not reach years ahead.
    for visit in range(1, 1 if script.key.startswith("live:") else _VISITS):
        script.at = due + visit * _MAINTENANCE + timedelta(days=more.triangular(-9, 5 / mood, -2))
        script.do("maintain", "service", ("maintenance-plans", PLAN, "perform"), {"agent_id": agent})
    return script.end()


def _contact(script: Script, direction: str, channel: str, agent: Ref | None) -> None:
    random = script.random
    body: dict[str, object] = {"direction": direction}
    if agent is not None:
        talked = channel in ("phone", "chat", "in_person")
        body["agent_id"] = agent
        body["talk_seconds"] = round(random.lognormvariate(5.6, 0.5)) if talked else 0
        body["hold_seconds"] = random.choice((0, 0, 0, random.randint(10, 180))) if channel == "phone" else 0
        body["wrap_up_seconds"] = random.randint(20, 240) if talked else random.randint(120, 720)
    script.do("interaction", "service", ("tickets", TICKET, "interactions"), body)


def _survey(script: Script, more: Random, *, contacts: int, reopened: bool, days: float) -> None:
    """The score follows from how it went: quick, at the first contact, and for good."""
    random = script.random
    script.wait(MINUTE, HOUR)
    sending = {"ticket_id": TICKET, "kind": "csat"}
    script.do("survey", "service", ("surveys",), sending, survey="id", link="answer_path")
    if random.random() > 0.5:
        return
    script.wait(10 * MINUTE, DAY)
    felt = 4.9 - 0.35 * (contacts - 1) - 0.25 * min(days, 6) - (1.2 if reopened else 0) + random.gauss(0, 0.7)
    score = min(5, max(1, round(felt)))
    answer: dict[str, object] = {"score": score}
    if more.random() < 0.6:
        answer["recommendation"] = min(10, max(0, round(2 * felt + more.gauss(0, 1.2))))
        answer["effort"] = min(7, max(1, round(8 - contacts - more.random() * 2)))
    # Customers answer by their link, at once; what they answered in the past is entered, as after an import.
    is_live = script.key.startswith("live:")
    path = (LINK,) if is_live else ("surveys", SURVEY, "answer")
    entry = {} if is_live else {"reason": "imported"}
    script.do("answer", "service", path, answer | entry)
    if random.random() < 0.03:
        script.wait(HOUR, DAY)
        script.do("revise", "service", path, {"score": score + (1 if score < 5 else -1)} | entry)
