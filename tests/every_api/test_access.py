"""Every cell of every service's table of access, tried over HTTP: each operation as each role, with each one's records.

The operations are those that the applications have, so that a route which is in no table fails here.
"""

import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from service_kit.access import AccessTable, Noun
from service_kit.migrations import migrate
from service_kit.roles import ROLES
from service_kit.routing import StrictRoute
from service_kit.settings import DatabaseSettings
from tests.every_api.examples import Operation, operations
from tests.every_api.test_every_route import PACKAGES, make_app
from tests.service_kit.toy import Issuer

ME = "auth0|me"
ABSENT = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a99"
NDJSON = "application/x-ndjson"
WHOSE = {
    "own": {"own"},
    "team": {"own", "team"},
    "below": {"own", "team", "below"},
    "region": {"region"},
    "unassigned": {"unassigned"},
}
"""The records that each word of the table means. Those of the team above and those elsewhere are in none."""
EVERYONE = ("own", "team", "below", "above", "region", "elsewhere", "unassigned")
SCOPED = {
    "sales-api": ("accounts", "leads", "deals", "activities", "referrals", "quotas"),
    "service-api": (
        "customers", "tickets", "surveys", "trainings", "check-ins", "maintenance", "onboarding-steps",
        "deliveries", "upsell-suggestions",
    ),
}  # fmt: skip
WITH_EVENTS = {"sales-api": "deals", "service-api": "tickets"}
"""The nouns whose events are read by their ids."""
_numbers = itertools.count(1)


class Api:
    """One API with the records of everyone in it."""

    def __init__(self, name: str, app: FastAPI, http: httpx.AsyncClient, issuer: Issuer) -> None:
        self.name = name
        self.engine: AsyncEngine = app.state.engine
        self.table: AccessTable = app.state.access
        self.http = http
        self._issuer = issuer
        self.people: dict[str, str | None] = {"unassigned": None}
        self.records: dict[str, dict[str, str]] = {}
        """By noun and by whose it is, the id."""

    def headers(self, *roles: str) -> dict[str, str]:
        # The claims are for metrics-api, which has no records of people; the others know no such team.
        claims = {"sub": ME, "person": ABSENT, "teams": [ABSENT]}
        return {"Authorization": f"Bearer {self._issuer.token(*roles, **claims)}", "content-type": "application/json"}

    async def send(self, method: str, path: str, body: Any = None, *, roles: tuple[str, ...]) -> httpx.Response:
        content = b"" if body is None else json.dumps(body).encode()
        return await self.http.request(method, path, content=content, headers=self.headers(*roles))

    async def post(self, path: str, body: dict[str, Any]) -> str:
        """Create a record as an importer; return its id."""
        answer = await self.send("POST", path, body, roles=("importer",))
        assert answer.status_code in (200, 201), answer.text
        made: str = answer.json()["id"]
        return made

    async def hire(self, persons: str) -> None:
        """Create the teams and one person in each, two of them in the caller's."""
        above = await self.post("/v1/teams", {"name": "Above"})
        mine = await self.post("/v1/teams", {"name": "Mine", "parent_id": above})
        below = await self.post("/v1/teams", {"name": "Below", "parent_id": mine})
        other = await self.post("/v1/teams", {"name": "Other"})
        teams = {"own": mine, "team": mine, "below": below, "above": above, "region": other, "elsewhere": other}
        for whose, team in teams.items():
            subject = {"subject": ME, "region": "south"} if whose == "own" else {}
            self.people[whose] = await self.post(persons, {"name": whose, "team_id": team} | subject)
        self.records["teams"] = {"all": mine}
        self.records[persons.removeprefix("/v1/")] = {"all": str(self.people["own"])}

    def body(self, noun: str, whose: str, referred: Mapping[str, str]) -> dict[str, Any]:
        """Return what creates such a record; `referred` are the records of the same one that it names."""
        region = "south" if whose == "region" else "north"
        person = self.people[whose]
        owner, agent = {"owner_id": person}, {"agent_id": person}
        number = next(_numbers)
        bodies: dict[str, dict[str, Any]] = {
            "accounts": {"name": "Casa Verde", "region": region, **owner},
            "leads": {"name": "Joana", "email": "joana@casa.example", "phone": "+55", "region": region, **owner},
            "deals": {
                "account_id": referred.get("accounts"),
                "title": "Two pumps",
                "currency": "EUR",
                "lines": [{"product": "pump", "quantity": 1, "unit_price": "10.00"}],
                **owner,
            },
            "activities": {"account_id": referred.get("accounts"), "kind": "call", **owner},
            "referrals": {"account_id": referred.get("accounts")},
            "quotas": {
                "rep_id": person,
                "target": "100",
                "period_start": f"{2000 + number % 190}-01-01",
                "period_end": f"{2000 + number % 190}-01-01",
            },
            "customers": {"name": "UAB Vėjas", "region": region},
            "tickets": {
                "customer_id": referred.get("customers"),
                "kind": "problem",
                "channel": "phone",
                "subject": "No water",
                "description": "E4",
                **agent,
            },
            "surveys": {"ticket_id": referred.get("tickets"), "kind": "csat"},
            "trainings": {"customer_id": referred.get("customers"), "attendees": 3, **agent},
            "check-ins": {"customer_id": referred.get("customers"), **agent},
            "onboarding-steps": {
                "ticket_id": referred.get("onboardings"),
                "step": f"step-{number}",
                "due_on": "2026-06-30",
                **agent,
            },
            "upsell-suggestions": {"customer_id": referred.get("customers"), **agent},
        }
        return {name: value for name, value in bodies[noun].items() if value is not None}

    async def fill(self) -> None:
        """Create what everyone owns."""
        if self.name == "sales-api":
            await self.hire("/v1/reps")
            await self.post("/v1/products", {"code": "pump", "name": "Pump"})
            self.records["products"] = {"all": "pump"}
            rate = {"currency": "BRL", "on": "2026-03-31", "rate": "0.1652"}
            self.records["exchange-rates"] = {"all": await self.post("/v1/exchange-rates", rate)}
        else:
            await self.hire("/v1/agents")
        for whose in EVERYONE:
            referred: dict[str, str] = {}
            for noun in SCOPED[self.name]:
                if (noun, whose) in {("quotas", "unassigned"), ("deliveries", whose)}:
                    continue
                if noun == "maintenance":
                    plan = {"customer_id": referred["customers"], "interval_days": 30, "next_due_on": "2026-06-30"}
                    referred["maintenance-plans"] = await self.post("/v1/maintenance-plans", plan)
                    agent = {} if self.people[whose] is None else {"agent_id": self.people[whose]}
                    path = f"/v1/maintenance-plans/{referred['maintenance-plans']}/perform"
                    referred[noun] = await self.post(path, agent)
                elif noun == "onboarding-steps":
                    referred["onboardings"] = await self._onboarding(whose, referred)
                    self.records.setdefault("onboardings", {})[whose] = referred["onboardings"]
                    referred[noun] = await self.post(f"/v1/{noun}", self.body(noun, whose, referred))
                else:
                    referred[noun] = await self.post(f"/v1/{noun}", self.body(noun, whose, referred))
                self.records.setdefault(noun, {})[whose] = referred[noun]
            if self.name == "service-api":
                contact = {"direction": "outbound", "note": "Called back"}
                found = await self.post(f"/v1/tickets/{referred['tickets']}/interactions", contact)
                self.records.setdefault("interactions", {})[whose] = found
        if self.name == "service-api":
            await self._fill_the_rest()
        for whose, record in self.records[WITH_EVENTS[self.name]].items():
            path = f"/v1/{WITH_EVENTS[self.name]}/{record}/events?limit=1"
            answer = await self.send("GET", path, roles=("admin",))
            (found,) = answer.json()["items"]
            self.records.setdefault("events", {})[whose] = found["event"]["id"]

    async def _onboarding(self, whose: str, referred: Mapping[str, str]) -> str:
        """Open the onboarding of a won deal, whose steps are its agent's; return the ticket's id."""
        deal = {"id": uuid4(), "customer_id": referred["customers"]}
        won = sa.text("INSERT INTO won_deal (id, customer_id, won_at) VALUES (:id, :customer_id, now())")
        async with self.engine.begin() as connection:
            await connection.execute(won, deal)
        body = self.body("tickets", whose, referred)
        return await self.post("/v1/tickets", body | {"onboarding_deal_id": str(deal["id"])})

    async def _fill_the_rest(self) -> None:
        customer = self.records["customers"]["elsewhere"]
        plan = {"customer_id": customer, "interval_days": 30, "next_due_on": "2026-06-30"}
        self.records["maintenance-plans"] = {"all": await self.post("/v1/maintenance-plans", plan)}
        self.records["reviews"] = {"all": await self.post("/v1/reviews", {"customer_id": customer, "score": 5})}

    def referred(self, whose: str) -> dict[str, str]:
        """Return the records of one of everyone, by noun."""
        return {noun: records[whose] for noun, records in self.records.items() if whose in records}

    def noun_at(self, template: str) -> str:
        return template.removeprefix("/v1/").partition("/")[0]

    def paths(self, template: str) -> Iterator[tuple[str, str]]:
        """Yield whose it is and the path of each record that an address may be about."""
        noun = self.noun_at(template)
        for whose, record in self.records.get(noun, {}).items():
            path = template.replace("{interaction_id}", self.records.get("interactions", {}).get(whose, ""))
            head, _, tail = path.partition("{")
            yield whose, f"{head}{record}{tail.partition('}')[2]}"


def visible(words: list[str]) -> set[str]:
    """Return whose records the words of a cell mean."""
    if "all" in words:
        return {*EVERYONE, "all"}
    return {whose for word in words for whose in WHOSE[word]}


def cells(api: Api, operation: str) -> dict[str, set[str]]:
    """Return whose records each role may do an operation with; for contacts, those of the tickets that it sees.

    For an event, those of the records that it may be about.
    """
    if operation == "get_event" and api.name in WITH_EVENTS:
        noun = WITH_EVENTS[api.name].removesuffix("s")
        return {role: set[str]() for role in ROLES} | cells(api, f"get_{noun}")
    cells_of_table = api.table.described(operation)
    if any("seen" in words for words in cells_of_table.values()):
        of_tickets = api.table.described("get_ticket")
        cells_of_table = {role: words for role, words in of_tickets.items() if role in cells_of_table}
    return {role: visible(words) for role, words in cells_of_table.items()}


@pytest.fixture(scope="module")
async def apis(
    new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Api]]:
    issuer = Issuer()
    jwks = issuer.published_in(tmp_path_factory.mktemp("issuer"))
    found, apps = {}, []
    for name, package in PACKAGES.items():
        url = new_database("access")
        await migrate(package, DatabaseSettings(database_url=url))
        app = make_app(name, url, jwks)
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tandem")
        found[name] = Api(name, app, http, issuer)
        apps.append(app)
        if name in SCOPED:
            await found[name].fill()
    yield found
    for api, app in zip(found.values(), apps, strict=True):
        await api.http.aclose()
        await app.state.engine.dispose()


def every_operation() -> list[tuple[Operation, str]]:
    """Return the operations of all applications with their names."""
    found = []
    for name in PACKAGES:
        app = make_app(name, "postgresql+asyncpg://nowhere/nothing", "")
        document = app.openapi()
        for operation in operations(name, document):
            described = document["paths"][operation.template][operation.method.lower()]
            if not operation.is_public:
                found.append((operation, described["operationId"]))
    return found


OPERATIONS = every_operation()
OF_A_RECORD = [(each, name) for each, name in OPERATIONS if "{" in each.template]


def each_of(operations: list[tuple[Operation, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("operation", "name"), operations, ids=[str(each) for each, _ in operations])


def body_of(operation: Operation) -> Any:
    """Return a body that is valid and names nothing that exists, without a time, which few roles may give.

    Nor does it correct a region, by which others see the record.
    """
    if not operation.examples:
        return None
    left_out = {"occurred_at", "region"} if operation.method == "PATCH" else {"occurred_at"}
    return {name: value for name, value in operation.examples[0].items() if name not in left_out}


@pytest.mark.parametrize("name", PACKAGES)
def test_every_route_is_in_the_table_and_in_no_other_way_open(name: str) -> None:
    app = make_app(name, "postgresql+asyncpg://nowhere/nothing", "")
    routes: list[StrictRoute] = app.state.routes
    assert {route.name for route in routes if not route.is_public} == app.state.access.operations
    public = {route.name for route in routes if route.is_public}
    assert public <= {"give_answer", "list_event_schemas", "get_event_schema"}
    assert {name for _, name in OPERATIONS} >= app.state.access.operations


def test_a_table_that_lacks_a_route_does_not_start() -> None:
    with pytest.raises(ValueError, match="get_deal"):
        AccessTable().check(["get_deal"])


@each_of(OPERATIONS)
async def test_a_role_outside_the_cell_is_forbidden(operation: Operation, name: str, apis: dict[str, Api]) -> None:
    api = apis[operation.api]
    allowed = api.table.described(name)
    for role in ROLES:
        answer = await api.send(operation.method, operation.path, body_of(operation), roles=(role,))
        assert (answer.status_code == 403) == (role not in allowed), f"{role}: {answer.text}"
        assert answer.status_code < 500


@pytest.mark.parametrize(("api_name", "noun"), [(api, noun) for api, nouns in SCOPED.items() for noun in nouns])
async def test_a_list_shows_what_is_in_the_scope(api_name: str, noun: str, apis: dict[str, Api]) -> None:
    api = apis[api_name]
    (name,) = (name for each, name in OPERATIONS if (each.method, each.template) == ("GET", f"/v1/{noun}"))
    records = api.records.get(noun, {})
    for role, scope in cells(api, name).items():
        expected = {record for whose, record in records.items() if whose in scope}
        for limit in (1, 200):
            # By pages of one, so that every branch of the scope is cut off and continued.
            seen: list[str] = []
            cursor = ""
            while True:
                answer = await api.send("GET", f"/v1/{noun}?limit={limit}{cursor}", roles=(role,))
                assert answer.status_code == 200, answer.text
                seen += [item["id"] for item in answer.json()["items"]]
                if answer.json()["next_cursor"] is None:
                    break
                cursor = f"&cursor={answer.json()['next_cursor']}"
            assert seen == sorted(set(seen), reverse=True)
            assert set(seen) & set(records.values()) == expected, role


@pytest.mark.parametrize(
    ("api_name", "noun"),
    [
        (api, noun)
        for api, nouns in SCOPED.items()
        for noun in nouns
        if noun not in ("quotas", "referrals", "surveys", "maintenance", "deliveries", "customers")
    ],
)
async def test_nothing_is_created_out_of_ones_own_sight(api_name: str, noun: str, apis: dict[str, Api]) -> None:
    api = apis[api_name]
    (name,) = (name for each, name in OPERATIONS if (each.method, each.template) == ("POST", f"/v1/{noun}"))
    for role, scope in cells(api, name).items():
        for whose in EVERYONE:
            # What it refers to waits for an owner, so that only the owner matters.
            body = api.body(noun, whose, api.referred("unassigned"))
            answer = await api.send("POST", f"/v1/{noun}", body, roles=(role,))
            expected = whose in scope or api.table.rule_of(name).hands_over
            assert answer.status_code == (201 if expected else 403), f"{role}, {whose}: {answer.text}"


def nouns_with_personal_fields() -> list[tuple[str, str, Noun]]:
    found = []
    for api, nouns in SCOPED.items():
        table: AccessTable = make_app(api, "postgresql+asyncpg://nowhere/nothing", "").state.access
        of_persons = ("reps", "agents", "contacts about tickets")
        found += [
            (api, noun.name, noun) for noun in table.nouns if noun.personal and noun.name in (*nouns, *of_persons)
        ]
    return found


@pytest.mark.parametrize(("api_name", "name", "noun"), nouns_with_personal_fields(), ids=lambda each: str(each)[:30])
async def test_personal_fields_are_null_to_who_does_not_serve_the_customer(
    api_name: str, name: str, noun: Noun, apis: dict[str, Api]
) -> None:
    api = apis[api_name]
    template = f"/v1/{name}/{{id}}"
    if name == "contacts about tickets":
        template = "/v1/tickets/{ticket_id}/interactions/{interaction_id}"
    for whose, path in api.paths(template):
        whole = (await api.send("GET", path, roles=("admin",))).json()
        for role in cells(api, noun.read.operations[1]):
            answer = await api.send("GET", path, roles=(role,))
            if answer.status_code == 200:
                serves = role in noun.served_by or role == "admin"
                hidden = () if serves else noun.personal
                if role not in noun.secret_to | {"admin"}:
                    hidden += noun.secret
                # What is not personal of custom fields is shown.
                hidden = tuple(name for name in hidden if name != "custom_personal")
                assert answer.json() == whole | dict.fromkeys(hidden), (role, whose)
    own = {*noun.personal, *noun.secret} - {"custom_personal"}
    assert not own or any(whole[field] is not None for field in own)


async def test_a_second_role_shows_personal_fields_of_the_customers_that_it_serves_only(apis: dict[str, Api]) -> None:
    api = apis["sales-api"]
    both = ("analyst", "sales-rep")
    shown = {
        whose: (await api.send("GET", f"/v1/leads/{lead}", roles=both)).json()["email"]
        for whose, lead in api.records["leads"].items()
    }
    assert {whose for whose, email in shown.items() if email is not None} == {"own", "team", "below", "unassigned"}
    listed = (await api.send("GET", "/v1/leads?limit=200", roles=both)).json()["items"]
    known = {lead: whose for whose, lead in api.records["leads"].items()}
    assert {known[each["id"]]: each["email"] for each in listed if each["id"] in known} == shown


async def test_an_operation_shows_its_cells_in_the_document(apis: dict[str, Api]) -> None:
    for name in PACKAGES:
        document = make_app(name, "postgresql+asyncpg://nowhere/nothing", "").openapi()
        for methods in document["paths"].values():
            for operation in methods.values():
                if operation.get("security") == []:
                    continue
                cells = apis[name].table.described(operation["operationId"])
                assert operation["x-access"] == cells
                assert all(role in operation["description"] for role in cells)


def test_personal_fields_are_marked_in_the_document() -> None:
    document = make_app("sales-api", "postgresql+asyncpg://nowhere/nothing", "").openapi()
    lead = document["components"]["schemas"]["LeadRead"]["properties"]
    assert {name for name, field in lead.items() if field.get("x-personal")} == {"name", "company", "email", "phone"}
    assert lead["email"]["description"].endswith(" Null to roles other than sales-rep, sales-manager, importer.")


# The last one: what is allowed is done, and some of it is for good.
@each_of(OF_A_RECORD)
async def test_a_record_out_of_scope_is_absent_or_only_read(
    operation: Operation, name: str, apis: dict[str, Api]
) -> None:
    api = apis[operation.api]
    tried = 0
    noun = next(noun for noun, rule in api.table.rows() if name in rule.operations)
    readable = cells(api, noun.read.operations[0])
    for role, scope in cells(api, name).items():
        for whose, path in api.paths(operation.template):
            answer = await api.send(operation.method, path, body_of(operation), roles=(role,))
            if whose in scope or role == "admin":
                assert answer.status_code not in (401, 403, 404), f"{role}, {whose}: {answer.text}"
            else:
                expected = 403 if whose in readable.get(role, ()) else 404
                assert answer.status_code == expected, f"{role}, {whose}: {answer.text}"
            assert answer.status_code < 500
            tried += 1
    unscoped = (
        *("dead-letters", "sla-policies", "business-calendars", "deliveries", "survey-answers", "views"),
        *("custom-fields", "list-values", "planning-rules", "onboarding-templates"),
    )
    assert tried or operation.api == "metrics-api" or api.noun_at(operation.template) in unscoped
