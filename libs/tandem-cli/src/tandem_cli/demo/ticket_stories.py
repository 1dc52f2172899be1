"""How the simulated company serves: tickets with contacts, resolutions, second tries, and what customers say of it."""

from datetime import timedelta

from tandem_cli.demo.company import PRODUCTS, Account, Company, pick
from tandem_cli.demo.story import Script, Story
from tandem_cli.requests import Ref

TICKET, SURVEY = Ref("self", "ticket"), Ref("self", "survey")

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


def ticket_story(company: Company, script: Script, mood: float, account: Account) -> Story:
    """A customer gets in touch, is helped well or less so, and may say how it was. In weeks of low `mood` all drags."""
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
    script.do("open", "service", ("tickets",), opening, ticket="id")
    _contact(script, "inbound", channel, agent if channel in ("phone", "chat", "in_person") else None)
    script.wait(MINUTE, 3 * HOUR * drag)
    script.do("assign", "service", ("tickets", TICKET, "assign"), {"agent_id": agent})
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
        return script.end()  # nobody ever solves it
    script.wait(10 * MINUTE, 40 * HOUR * drag)
    script.do("resolve", "service", ("tickets", TICKET, "resolve"), {"resolution": pick(random, _RESOLUTIONS)})
    reopened = random.random() < 0.07 * drag
    if reopened:
        script.wait(HOUR, 4 * DAY)
        script.do("reopen", "service", ("tickets", TICKET, "reopen"), {})
        _contact(script, "inbound", channel, agent if channel == "phone" else None)
        script.wait(HOUR, 40 * HOUR * drag)
        _contact(script, "outbound", channel, agent)
        script.do("resolve", "service", ("tickets", TICKET, "resolve"), {"resolution": pick(random, _RESOLUTIONS)})
    if random.random() < 0.7:
        _survey(script, contacts=contacts, reopened=reopened, days=(script.at - began) / DAY)
    script.wait(DAY, 5 * DAY)
    script.do("close", "service", ("tickets", TICKET, "close"), {})
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


def _survey(script: Script, *, contacts: int, reopened: bool, days: float) -> None:
    """The score follows from how it went: quick, at the first contact, and for good."""
    random = script.random
    script.wait(MINUTE, HOUR)
    sending = {"ticket_id": TICKET, "kind": "csat"}
    script.do("survey", "service", ("surveys",), sending, survey="id")
    if random.random() > 0.5:
        return
    script.wait(10 * MINUTE, DAY)
    felt = 4.9 - 0.35 * (contacts - 1) - 0.25 * min(days, 6) - (1.2 if reopened else 0) + random.gauss(0, 0.7)
    score = min(5, max(1, round(felt)))
    script.do("answer", "service", ("surveys", SURVEY, "answer"), {"score": score})
    if random.random() < 0.03:
        script.wait(HOUR, DAY)
        script.do("revise", "service", ("surveys", SURVEY, "answer"), {"score": score + (1 if score < 5 else -1)})
