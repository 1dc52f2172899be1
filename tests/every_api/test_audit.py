"""Every write of every API leaves an audit entry with its caller, found by enumeration; no role changes it after."""

import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from event_contracts.examples import encoded_example, examples
from metrics_worker.ledger.status import complete_partitions, open_ledger
from metrics_worker.ledger.tables import CONSUMER
from metrics_worker.webhooks.publisher import publish
from sales_api.from_service import CONSUMER as OF_SALES
from service_api.customers.from_sales import ACCOUNTS
from service_kit.audit.entries import PURPOSE, audit_entry
from service_kit.consumer.dead_letters import dead_letter
from service_kit.identifiers import new_id
from service_kit.migrations import migrate
from service_kit.settings import DatabaseSettings
from tests.every_api.test_every_route import JSON, OPERATIONS, PACKAGES, WRITES, make_app
from tests.metrics_worker.facts import deal, line, record
from tests.service_api.test_care import won
from tests.service_api.test_customers_from_sales import encoded, registered
from tests.service_kit.conftest import assert_problem
from tests.service_kit.toy import Issuer

WRITER = "auth0|writer"
ROLES = ["admin", "importer"]
LEAVES_NONE = {("metrics-api", "POST", "/v1/stream-tickets")}
"""It writes nothing: a ticket is signed, and checked by its signature."""
_numbers = itertools.count(1)


class Api:
    """One API, whose writes are each followed by a look at the audit."""

    def __init__(self, name: str, app: FastAPI, issuer: Issuer) -> None:
        self.name = name
        self.app = app
        self.engine = app.state.engine
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tandem")
        self.written: set[tuple[str, str, str]] = set()
        self._issuer = issuer

    async def send(
        self, method: str, path: str, body: Any = None, *, roles: Sequence[str] = ROLES, given: Mapping[str, str] = JSON
    ) -> httpx.Response:
        token = self._issuer.token(*roles, sub=WRITER)
        headers = {"Authorization": f"Bearer {token}", **given}
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return await self.http.request(method, path, content=content, headers=headers)

    async def audit(self, **filters: str) -> list[dict[str, Any]]:
        answer = await self.http.get(
            "/v1/audit", params=filters, headers={"Authorization": f"Bearer {self._issuer.token('admin', sub='boss')}"}
        )
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def write_planned(self, template: str, plan: dict[str, Any], **due: str) -> None:
        """Plan work for a past due time, move it, and end it in each of the three ways."""
        path, _, name = template.rpartition("/")
        for step in ("done", "missed", "cancel"):
            planned = await self.write("POST", path, plan | due)
            of_work = {name.strip("{}"): planned["id"]}
            moved = {field: value.replace("06-30", "09-30") for field, value in due.items()}
            await self.write("POST", f"{template}/move", moved, **of_work)
            await self.write("POST", f"{template}/{step}", {}, **of_work)

    async def write(
        self, method: str, template: str, body: Any = None, *, media_type: str = "application/json", **values: str
    ) -> Any:
        """Send a write that succeeds, and check its entry."""
        path = template
        for name, value in values.items():
            path = path.replace(f"{{{name}}}", value)
        request_id = f"request-{next(_numbers)}"
        given = {"X-Request-Id": request_id, "content-type": media_type}
        answer = await self.send(method, path, body, given=given)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        self.written.add((self.name, method, template))
        entries = [each for each in await self.audit(limit="20") if each["request_id"] == request_id]
        assert entries, f"{method} {template} left no entry"
        (operation,) = {
            route.name for route in self.app.state.routes if route.path == template and method in route.methods
        }
        is_public = template.startswith("/v1/survey-answers")
        actor = (
            {"kind": "link", "name": "public", "roles": []}
            if is_public
            else {"kind": "caller", "name": WRITER, "roles": ROLES}
        )
        made = answer.json() if answer.content else {}
        for entry in entries:
            assert (entry["actor"], entry["operation"]) == (actor, operation)
            assert entry["action"] in ("created", "updated", "deleted")
            assert entry["changes"]
            moment = datetime.fromisoformat(entry["occurred_at"])
            assert abs(datetime.now(UTC) - moment) < timedelta(minutes=1)
        if "id" in made and not is_public:
            assert made["id"] in {entry["record_id"] for entry in entries}, f"{method} {template}"
            (version,) = {each["version"] for each in entries if each["record_id"] == made["id"]}
            assert version == made.get("version")
        return made

    async def set_aside(self, consumer: str, value: bytes, topic: str) -> str:
        """Insert a dead letter; return its id."""
        letter_id = new_id()
        row = {
            "id": letter_id, "consumer": consumer, "cluster_id": "here", "topic": topic, "partition": 0,
            "offset": next(_numbers), "key": b"?", "value": value, "headers": [], "reason": "malformed", "detail": "",
        }  # fmt: skip
        async with self.engine.begin() as connection:
            await connection.execute(sa.insert(dead_letter), row)
        return str(letter_id)

    async def settle_dead_letters(self, consumer: str, good: bytes, topic: str = "sales.events") -> None:
        one, other = [await self.set_aside(consumer, good[:-1], topic) for _ in range(2)]
        path = "/v1/dead-letters/{letter_id}"
        await self.write("POST", f"{path}/mend", {"value": good.decode()}, letter_id=one)
        await self.write("POST", f"{path}/send", letter_id=one)
        await self.write("POST", f"{path}/discard", {"reason": "late"}, letter_id=other)
        entries = (await self.send("GET", f"/v1/dead-letters/{one}/audit")).json()["items"]
        assert [entry["operation"] for entry in entries] == ["send_dead_letter", "mend_dead_letter"]
        # What is in a record may be a name.
        assert entries[1]["changes"] == {"mended_value": None}
        assert entries[0]["changes"]["status"] == ["open", "sent"]

    async def change_in_bulk(self, operation: str, record_id: str, body: dict[str, Any]) -> None:
        asked = {"operation": operation, "records": [{"id": record_id}], "body": body}
        await self.write("POST", "/v1/bulk", asked)

    async def import_one(self, resource: str, body: dict[str, Any]) -> None:
        row = json.dumps({"resource": resource, "record": body}).encode()
        await self.write("POST", "/v1/imports", row, media_type="application/x-ndjson")


async def declare_custom_fields(api: Api, noun: str) -> None:
    body = {"noun": noun, "name": "tier", "label": "Tier", "type": "choice", "options": ["a", "b"]}
    field = await api.write("POST", "/v1/custom-fields", body)
    await api.write("POST", "/v1/custom-fields", {"noun": noun, "name": "contact", "label": "Contact", "type": "text"})
    of_field = {"custom_field_id": field["id"]}
    await api.write("PATCH", "/v1/custom-fields/{custom_field_id}", {"label": "Their tier"}, **of_field)
    await api.write("POST", "/v1/custom-fields/{custom_field_id}/archive", **of_field)
    await api.write("POST", "/v1/custom-fields/{custom_field_id}/restore", **of_field)


async def save_views(api: Api, of_list: str, query: str = "sort=-updated_at") -> None:
    view = await api.write("POST", "/v1/views", {"list": of_list, "name": "Mine", "query": query})
    of_view = {"view_id": view["id"]}
    await api.write("PATCH", "/v1/views/{view_id}", {"name": "Lately changed"}, **of_view)
    await api.write("POST", "/v1/views/{view_id}/share", **of_view)
    await api.write("POST", "/v1/views/{view_id}/unshare", **of_view)
    await api.write("DELETE", "/v1/views/{view_id}", **of_view)


async def declare_list_values(api: Api) -> None:
    value = await api.write("POST", "/v1/list-values", {"list": "channels", "key": "fair", "label": "Fair"})
    of_value = {"list_value_id": value["id"]}
    await api.write("PATCH", "/v1/list-values/{list_value_id}", {"label": "Fairs"}, **of_value)
    await api.write("POST", "/v1/list-values/{list_value_id}/retire", **of_value)
    await api.write("POST", "/v1/list-values/{list_value_id}/restore", **of_value)
    await api.write("POST", "/v1/list-values/{list_value_id}/merge", {"into": "trade_show"}, **of_value)
    await api.write("POST", "/v1/list-values/{list_value_id}/unmerge", **of_value)


async def sales(api: Api) -> None:
    """Write everything that sales can write."""
    write = api.write
    await declare_custom_fields(api, "deals")
    await declare_list_values(api)
    team = await write("POST", "/v1/teams", {"name": "Iberia"})
    await write("PATCH", "/v1/teams/{team_id}", {"name": "Iberia and France"}, team_id=team["id"])
    rep = await write("POST", "/v1/reps", {"name": "Ana", "team_id": team["id"], "subject": "auth0|ana"})
    await write("PATCH", "/v1/reps/{rep_id}", {"region": "south"}, rep_id=rep["id"])
    await write("POST", "/v1/products", {"code": "pump", "name": "Pump"})
    await write("PATCH", "/v1/products/{code}", {"name": "Heat pump"}, code="pump")
    for value in ("0.1652", "0.1700"):
        rate = await write("POST", "/v1/exchange-rates", {"currency": "BRL", "on": "2026-03-31", "rate": value})
    await write("PATCH", "/v1/exchange-rates/{rate_id}", {"rate": "0.1800"}, rate_id=rate["id"])
    quota = {"rep_id": rep["id"], "target": "100", "period_start": "2026-01-01", "period_end": "2026-03-31"}
    quota = await write("POST", "/v1/quotas", quota)
    await write("PATCH", "/v1/quotas/{quota_id}", {"target": "120"}, quota_id=quota["id"])
    account, other = [await write("POST", "/v1/accounts", {"name": f"Casa {each}"}) for each in ("Azul", "Verde")]
    await write("PATCH", "/v1/accounts/{account_id}", {"name": "Casa Roja"}, account_id=account["id"])
    lead, lost, erased = [await write("POST", "/v1/leads", {"company": f"Lead {each}"}) for each in range(3)]
    of_lead = {"lead_id": lead["id"]}
    await write("POST", "/v1/leads/{lead_id}/assign", {"owner_id": rep["id"]}, **of_lead)
    await write("POST", "/v1/leads/{lead_id}/contact", {}, **of_lead)
    await write("POST", "/v1/leads/{lead_id}/qualify", {}, **of_lead)
    await write("PATCH", "/v1/leads/{lead_id}", {"email": "ana@casa.example", "channel": "trade_show"}, **of_lead)
    await write("POST", "/v1/leads/{lead_id}/disqualify", {"reason": "no_budget"}, lead_id=lost["id"])
    terms = {"currency": "EUR", "lines": [{"product": "pump", "quantity": 1, "unit_price": "10.00"}]}
    await write("POST", "/v1/leads/{lead_id}/convert", {"account": {"name": "Casa"}, "deal": terms}, **of_lead)
    await write("POST", "/v1/leads/{lead_id}/erase", lead_id=erased["id"])
    custom = {"tier": "a", "contact": "Joana"}
    deal = await write("POST", "/v1/deals", {"account_id": account["id"], **terms, "custom": custom})
    of_deal = {"deal_id": deal["id"]}
    await write("PATCH", "/v1/deals/{deal_id}", {"custom": {"tier": "b"}}, **of_deal)
    await write("PATCH", "/v1/deals/{deal_id}", {"title": "Pumps", "expected_close_on": "2026-12-31"}, **of_deal)
    await write("POST", "/v1/deals/{deal_id}/stage", {"stage": "proposal"}, **of_deal)
    await write("POST", "/v1/deals/{deal_id}/proposals", {}, **of_deal)
    await write("POST", "/v1/deals/{deal_id}/close", {"outcome": "won"}, **of_deal)
    await write("POST", "/v1/deals/{deal_id}/reopen", {}, **of_deal)
    line = {"product": "pump", "quantity": 3, "unit_price": "9.00"}
    await write("POST", "/v1/deals/{deal_id}/amend", {"lines": [line]}, **of_deal)
    activity = await write("POST", "/v1/activities", {"account_id": account["id"], "kind": "call"})
    await write("PATCH", "/v1/activities/{activity_id}", {"kind": "visit"}, activity_id=activity["id"])
    plan = {"account_id": account["id"], "kind": "call", "status": "planned"}
    await api.write_planned("/v1/activities/{activity_id}", plan, due_at="2026-06-30T08:00:00Z")
    follow_up = {"name": "Call", "trigger": "deal_won", "days": 7, "purpose": "after-win"}
    follow_up = await write("POST", "/v1/planning-rules", follow_up)
    await write("PATCH", "/v1/planning-rules/{rule_id}", {"days": 14}, rule_id=follow_up["id"])
    referral = await write("POST", "/v1/referrals", {"account_id": account["id"]})
    await write("PATCH", "/v1/referrals/{referral_id}", {"channel": "trade_show"}, referral_id=referral["id"])
    await write("POST", "/v1/accounts/{account_id}/merge", {"into": account["id"]}, account_id=other["id"])
    await write("POST", "/v1/accounts/{account_id}/unmerge", {}, account_id=other["id"])
    await write("POST", "/v1/accounts/{account_id}/merge", {"into": account["id"]}, account_id=other["id"])
    await write("POST", "/v1/accounts/{account_id}/erase", account_id=account["id"])
    await api.settle_dead_letters(OF_SALES, encoded_example("service.upsell-suggested"), "service.events")
    await api.import_one("accounts", {"name": "Casa Amarela"})
    await api.change_in_bulk("change_team", team["id"], {"name": "Iberia"})
    await save_views(api, "deals")


async def service(api: Api) -> None:
    """Write everything that service can write."""
    write = api.write
    team = await write("POST", "/v1/teams", {"name": "North"})
    await write("PATCH", "/v1/teams/{team_id}", {"name": "North and east"}, team_id=team["id"])
    await declare_custom_fields(api, "tickets")
    agent = await write("POST", "/v1/agents", {"name": "Rūta", "team_id": team["id"]})
    await write("PATCH", "/v1/agents/{agent_id}", {"region": "baltics"}, agent_id=agent["id"])
    hours = {"timezone": "Europe/Vilnius", "hours": [{"weekday": 1, "opens": "08:00", "closes": "17:00"}]}
    calendar = await write("POST", "/v1/business-calendars", {"name": "Office", "holidays": [], **hours})
    changed = {"holidays": ["2026-12-25"]}
    await write("PATCH", "/v1/business-calendars/{calendar_id}", changed, calendar_id=calendar["id"])
    call = {"name": "Call", "trigger": "bad_rating", "days": 2, "purpose": "bad-rating"}
    call = await write("POST", "/v1/planning-rules", call)
    await write("PATCH", "/v1/planning-rules/{rule_id}", {"max_score": 3}, rule_id=call["id"])
    policy = await write("POST", "/v1/sla-policies", {"name": "Urgent", "first_response_seconds": 900})
    await write("PATCH", "/v1/sla-policies/{policy_id}", {"active": False}, policy_id=policy["id"])
    customer, erased = [await write("POST", "/v1/customers", {"name": f"UAB {each}"}) for each in ("Vėjas", "Lietus")]
    await write("PATCH", "/v1/customers/{customer_id}", {"name": "AB Vėjas"}, customer_id=customer["id"])
    await write("POST", "/v1/customers/{customer_id}/link", {"into": customer["id"]}, customer_id=erased["id"])
    await write("POST", "/v1/customers/{customer_id}/unlink", {}, customer_id=erased["id"])
    await write("POST", "/v1/customers/{customer_id}/erase", customer_id=erased["id"])
    of_customer = {"customer_id": customer["id"]}
    opening = {"kind": "problem", "channel": "phone", "subject": "No water", **of_customer}
    ticket, merged = [await write("POST", "/v1/tickets", opening) for _ in range(2)]
    of_ticket = {"ticket_id": ticket["id"]}
    await write("POST", "/v1/tickets/{ticket_id}/assign", {"agent_id": agent["id"]}, **of_ticket)
    await write("POST", "/v1/tickets/{ticket_id}/escalate", {"team_id": team["id"]}, **of_ticket)
    contact = {"direction": "outbound", "note": "Called back"}
    contact = await write("POST", "/v1/tickets/{ticket_id}/interactions", contact, **of_ticket)
    entries = await api.send("GET", f"/v1/tickets/{ticket['id']}/interactions/{contact['id']}/audit")
    assert [each["changes"]["note"] for each in entries.json()["items"]] == [[None, "Called back"]]
    await write(
        "PATCH",
        "/v1/tickets/{ticket_id}/interactions/{interaction_id}",
        {"direction": "inbound"},
        interaction_id=contact["id"],
        **of_ticket,
    )
    await write(
        "PATCH",
        "/v1/tickets/{ticket_id}",
        {"kind": "complaint", "subject": "Water", "custom": {"tier": "a", "contact": "Joana"}},
        **of_ticket,
    )
    await write("POST", "/v1/tickets/{ticket_id}/merge", {"into": ticket["id"]}, ticket_id=merged["id"])
    await write("POST", "/v1/tickets/{ticket_id}/resolve", {}, **of_ticket)
    await write("POST", "/v1/tickets/{ticket_id}/reopen", {}, **of_ticket)
    await write("POST", "/v1/tickets/{ticket_id}/resolve", {}, **of_ticket)
    await write("POST", "/v1/tickets/{ticket_id}/close", {}, **of_ticket)
    survey = await write("POST", "/v1/surveys", {"kind": "csat", **of_ticket})
    token = survey["answer_path"].rpartition("/")[2]
    entry = {"score": 4, "reason": "paper-form", "occurred_at": survey["sent_at"]}
    await write("POST", "/v1/surveys/{survey_id}/answer", entry, survey_id=survey["id"])
    await write("POST", "/v1/survey-answers/{token}", {"score": 1}, token=token)
    followed = {"channel": "phone", "agent_id": agent["id"]}
    await write("POST", "/v1/surveys/{survey_id}/follow-up", followed, survey_id=survey["id"])
    training = await write("POST", "/v1/trainings", {"attendees": 3, **of_customer})
    await write("PATCH", "/v1/trainings/{training_id}", {"attendees": 4}, training_id=training["id"])
    check_in = await write("POST", "/v1/check-ins", of_customer)
    await write("PATCH", "/v1/check-ins/{check_in_id}", {"due_on": "2026-06-30"}, check_in_id=check_in["id"])
    plan = {"status": "planned", **of_customer}
    await api.write_planned("/v1/trainings/{training_id}", plan | {"attendees": 3}, due_at="2026-06-30T08:00:00Z")
    await api.write_planned("/v1/check-ins/{check_in_id}", plan, due_on="2026-06-30")
    plan = {"interval_days": 30, "next_due_on": "2026-06-30", **of_customer}
    plan = await write("POST", "/v1/maintenance-plans", plan)
    await write("PATCH", "/v1/maintenance-plans/{plan_id}", {"interval_days": 60}, plan_id=plan["id"])
    done = await write("POST", "/v1/maintenance-plans/{plan_id}/perform", {}, plan_id=plan["id"])
    await write("PATCH", "/v1/maintenance/{maintenance_id}", {"product": "pump"}, maintenance_id=done["id"])
    for step in ("done", "missed", "cancel"):
        (visit,) = (await api.send("GET", f"/v1/maintenance?plan_id={plan['id']}&status=planned")).json()["items"]
        of_visit = {"maintenance_id": visit["id"]}
        await write("POST", "/v1/maintenance/{maintenance_id}/move", {"due_on": "2026-09-30"}, **of_visit)
        await write("POST", f"/v1/maintenance/{{maintenance_id}}/{step}", {}, **of_visit)
    await write("POST", "/v1/maintenance-plans/{plan_id}/end", {}, plan_id=plan["id"])
    await onboard(api, customer["id"], agent["id"])
    deal_id = await a_won_deal(api, customer["id"])
    delivery = {"deal_id": deal_id, "quality_as_agreed": True, "price": {"amount": "10.00", "currency": "EUR"}}
    delivery = await write("POST", "/v1/deliveries", delivery)
    await write("PATCH", "/v1/deliveries/{delivery_id}", {"quality_as_agreed": False}, delivery_id=delivery["id"])
    review = await write("POST", "/v1/reviews", {"score": 5, **of_customer})
    await write("PATCH", "/v1/reviews/{review_id}", {"score": 4}, review_id=review["id"])
    suggestion = await write("POST", "/v1/upsell-suggestions", of_customer)
    path = "/v1/upsell-suggestions/{suggestion_id}"
    await write("PATCH", path, {"product": "pump"}, suggestion_id=suggestion["id"])
    await api.settle_dead_letters(ACCOUNTS, encoded(registered(new_id()), 1))
    await api.import_one("customers", {"name": "UAB Saulė"})
    await api.change_in_bulk("change_team", team["id"], {"name": "North"})
    await save_views(api, "tickets")


async def onboard(api: Api, customer_id: str, agent_id: str) -> None:
    """Declare a template, open an onboarding, and end a step of it in each of the three ways."""
    write = api.write
    template = {"name": "Pumps", "product": "pump", "steps": [{"step": "set-up", "days": 0, "agent_id": agent_id}]}
    template = await write("POST", "/v1/onboarding-templates", template)
    path = "/v1/onboarding-templates/{template_id}"
    await write("PATCH", path, {"active": False}, template_id=template["id"])
    opening = {"kind": "installation", "channel": "web", "customer_id": customer_id}
    opening["onboarding_deal_id"] = await a_won_deal(api, customer_id)
    ticket = await write("POST", "/v1/tickets", opening)
    path = "/v1/onboarding-steps/{onboarding_step_id}"
    for ending in ("done", "missed", "cancel"):
        step = {"ticket_id": ticket["id"], "step": f"to-be-{ending}", "due_on": "2026-06-30"}
        step = await write("POST", "/v1/onboarding-steps", step)
        of_step = {"onboarding_step_id": step["id"]}
        await write("PATCH", path, {"purpose": "upgrade"}, **of_step)
        await write("POST", f"{path}/move", {"due_on": "2026-09-30"}, **of_step)
        await write("POST", f"{path}/{ending}", {}, **of_step)


async def a_won_deal(api: Api, customer_id: str) -> str:
    deal = won(new_id(), new_id())
    row = {"id": deal.id, "customer_id": customer_id, "won_at": datetime.now(UTC) - timedelta(days=1)}
    async with api.engine.begin() as connection:
        await connection.execute(
            sa.text("INSERT INTO won_deal (id, customer_id, won_at) VALUES (:id, :customer_id, :won_at)"), row
        )
    return str(deal.id)


async def metrics(api: Api) -> None:
    """Write everything that metrics can write."""
    write = api.write
    async with api.engine.begin() as connection:
        await complete_partitions(connection, {("t", 0): datetime.now(UTC)})
    await write("PUT", "/v1/targets/{kpi}", {"value": "100", "period": "month"}, kpi="revenue")
    await write("PUT", "/v1/targets/{kpi}", {"value": "120", "period": "month"}, kpi="revenue")
    entries = (await api.send("GET", "/v1/targets/revenue/audit")).json()["items"]
    assert [each["action"] for each in entries] == ["updated", "created"]
    assert entries[0]["changes"]["value"] == ["100", "120"]
    await write("DELETE", "/v1/targets/{kpi}", kpi="revenue")
    await write("POST", "/v1/periods/{period}/close", period="2026-03")
    (closing,) = (await api.send("GET", "/v1/periods/2026-03/audit")).json()["items"]
    assert closing["operation"] == "close_period"
    policy = await write("POST", "/v1/waiting-policies", {"name": "Leads", "reason": "lead"})
    await write("PATCH", "/v1/waiting-policies/{policy_id}", {"limit_minutes": 30}, policy_id=policy["id"])
    await api.change_in_bulk("change_waiting_policy", policy["id"], {"limit_minutes": 45})
    await save_views(api, "targets", "sort=-set_at")
    await write("DELETE", "/v1/waiting-policies/{policy_id}", policy_id=policy["id"])
    hook = {"url": "https://example.com/", "event_types": ["metrics.period-closed"]}
    webhook = await write("POST", "/v1/webhooks", hook)
    of_webhook = {"webhook_id": webhook["id"]}
    secret = await write("POST", "/v1/webhooks/{webhook_id}/secrets", **of_webhook)
    added, retired, first = await api.audit(noun="webhook-secret")
    assert [each["action"] for each in (added, retired, first)] == ["created", "updated", "created"]
    assert [added["changes"]["key"], retired["changes"].keys(), first["changes"]["key"]] == [None, {"retires_at"}, None]
    audited = json.dumps(await api.audit(limit="200"))
    assert not any(each["secret"].removeprefix("whsec_") in audited for each in (webhook, secret))
    await write("PATCH", "/v1/webhooks/{webhook_id}", {"url": "https://example.com/other"}, **of_webhook)
    delivery_id = await a_given_up_delivery(api, webhook["id"])
    path = "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/send"
    await write("POST", path, **of_webhook, delivery_id=delivery_id)
    await write("DELETE", "/v1/webhooks/{webhook_id}", **of_webhook)
    (gone,) = await api.audit(noun="webhook", record_id=webhook["id"], operation="delete_webhook")
    assert gone["changes"]["url"] == ["https://example.com/other", None]
    await api.settle_dead_letters(CONSUMER, record(deal(line("desk", 1, "10"), stage="won")))


async def a_given_up_delivery(api: Api, webhook_id: str) -> str:
    event = examples()["metrics.period-closed"].data
    async with api.app.state.begin() as work:
        await publish(work, event, sequence=1, time=datetime.now(UTC), partition_key=new_id())
        await work.execute(sa.text("UPDATE webhook_delivery SET status = 'dead'"))
        await work.commit()
    answer = await api.send("GET", f"/v1/webhooks/{webhook_id}/deliveries")
    return str(answer.json()["items"][0]["id"])


STORIES: dict[str, Callable[[Api], Awaitable[None]]] = {
    "sales-api": sales, "service-api": service, "metrics-api": metrics
}  # fmt: skip


@pytest.fixture(scope="module")
async def apis(
    new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Api]]:
    issuer = Issuer()
    jwks = issuer.published_in(tmp_path_factory.mktemp("issuer"))
    found = {}
    for name, package in PACKAGES.items():
        url = new_database("audit")
        await migrate(package, DatabaseSettings(database_url=url))
        app = make_app(name, url, jwks)
        found[name] = Api(name, app, issuer)
        if name == "metrics-api":
            await open_ledger(app.state.engine, app.state.reporting)
    yield found
    for api in found.values():
        await api.http.aclose()
        await api.engine.dispose()


def alike(value: Any) -> Any:
    """Return a value of JSON with times and numbers that compare whatever their form."""
    if isinstance(value, dict):
        return {name: alike(member) for name, member in value.items() if member not in (None, {})}
    if isinstance(value, list):
        return [alike(member) for member in value]
    if isinstance(value, bool) or value is None:
        return value
    for parse in (Decimal, datetime.fromisoformat):
        with contextlib.suppress(ValueError, ArithmeticError):
            return parse(str(value))
    return value


async def check_that_the_changes_lead_to_the_records(api: Api) -> int:
    """Apply the changes of each record from its creation on, and compare with its row; return the number of records."""
    async with api.engine.connect() as connection:
        rows = (await connection.execute(sa.select(audit_entry).order_by(audit_entry.c.id))).all()
        records: dict[tuple[str, Any], list[Any]] = {}
        for row in rows:
            records.setdefault((row.noun, row.record_id), []).append(row)
        for (noun, record_id), entries in records.items():
            if entries[0].action != "created" or entries[-1].action == "deleted":
                continue
            state: dict[str, Any] = {}
            hidden = {name for each in entries for name, pair in each.changes.items() if pair is None}
            for entry in entries:
                for name, pair in entry.changes.items():
                    if name not in hidden:
                        if name in ("custom", "custom_personal"):
                            # Of custom fields those that changed.
                            before, after = ({} if side is None else side for side in pair)
                            known = state.setdefault(name, {})
                            assert {each: known[each] for each in before} == before
                            state[name] = {each: known[each] for each in known.keys() - before.keys()} | after
                            continue
                        assert alike(state.get(name, [] if isinstance(pair[0], list) else None)) == alike(pair[0])
                        state[name] = pair[1]
            table = noun.replace("-", "_")
            query = sa.text(f"SELECT to_jsonb(each) FROM {table} AS each WHERE id = :id")
            present = (await connection.execute(query, {"id": record_id})).scalar_one()
            expected = {
                name: value for name, value in present.items() if name not in {"id", "version", "updated_at", *hidden}
            }
            assert alike({name: state.get(name) for name in expected}) == alike(expected), noun
            if "version" in present:
                assert present["version"] == entries[-1].version
    return len(records)


@pytest.mark.parametrize("name", PACKAGES)
async def test_every_write_leaves_an_entry_with_its_caller(name: str, apis: dict[str, Api]) -> None:
    api = apis[name]
    await STORIES[name](api)
    expected = {(each.api, each.method, each.template) for each in WRITES if each.api == name}
    assert expected - api.written <= LEAVES_NONE
    assert api.written <= expected
    assert await check_that_the_changes_lead_to_the_records(api) > 4


WITHOUT_AUDIT = {
    "/v1/kpis/{name}", "/v1/kpis/{name}/explain", "/v1/exports/kpis/{name}", "/v1/customers/{customer_id}/health",
    "/v1/periods/{period}/restatements", "/v1/webhooks/{webhook_id}/deliveries", "/v1/tickets/{ticket_id}/interactions",
    "/v1/events/{event_id}", "/v1/schemas/{name}",
}  # fmt: skip
"""Addresses of numbers, events and schemas, and of lists of what belongs to one record."""


def test_every_record_that_is_read_has_its_audit_beside_it() -> None:
    reads = {(each.api, each.template) for each in OPERATIONS if each.method == "GET"}
    of_records = {
        (api, path)
        for api, path in reads
        if "{" in path and not path.endswith(("/audit", "/events", "/timeline", "/export"))
    }
    without = {path for api, path in of_records if (api, f"{path}/audit") not in reads}
    assert without == WITHOUT_AUDIT
    assert ("sales-api", "/v1/exchange-rates/{rate_id}/audit") in reads
    assert {api for api, path in reads if path == "/v1/audit"} == set(PACKAGES)


async def test_a_stream_ticket_leaves_none(apis: dict[str, Api]) -> None:
    api = apis["metrics-api"]
    before = await api.audit(limit="1")
    assert (await api.send("POST", "/v1/stream-tickets")).is_success
    assert await api.audit(limit="1") == before


async def test_an_export_is_on_record_before_it_is_taken(apis: dict[str, Api]) -> None:
    api = apis["metrics-api"]
    answer = await api.send("GET", "/v1/exports/postings?kind=deal&from=2026-03-01&to=2026-03-31")
    assert answer.status_code == 200, answer.text
    entry = (await api.audit(noun="export"))[0]
    assert (entry["action"], entry["actor"]["name"], entry["operation"]) == ("read", WRITER, "export_postings")
    assert entry["changes"] == {
        "kind": [None, "deal"],
        "from": [None, "2026-03-01"],
        "to": [None, "2026-03-31"],
        "format": [None, "csv"],
    }


@pytest.mark.parametrize("name", PACKAGES)
@pytest.mark.parametrize(
    ("purpose", "statement"),
    [
        ("", "DELETE FROM audit_entry"),
        ("", "UPDATE audit_entry SET changes = '{}'"),
        ("", "TRUNCATE audit_entry"),
        ("erasure", "DELETE FROM audit_entry"),
        ("erasure", "UPDATE audit_entry SET actor = 'another'"),
        ("erasure", "UPDATE audit_entry SET changes = '{}'"),
        ("erasure", """UPDATE audit_entry SET changes = changes || '{"made_up": null}'"""),
        ("erasure", "UPDATE audit_entry SET changes = jsonb_build_object('kind', '[null, 1]')"),
        ("retention", "UPDATE audit_entry SET action = 'read'"),
        ("retention", "TRUNCATE audit_entry"),
    ],
)
async def test_the_database_refuses_to_change_an_entry(
    name: str, purpose: str, statement: str, apis: dict[str, Api]
) -> None:
    api = apis[name]
    entry = {"actor_kind": "process", "actor": "tests", "noun": "box", "record_id": new_id(), "action": "created"}
    async with api.engine.begin() as connection:
        await connection.execute(sa.insert(audit_entry), {"id": new_id(), "changes": {"kind": [None, "a"]}} | entry)
    async with api.engine.connect() as connection:
        await connection.execute(sa.select(sa.func.set_config(PURPOSE, purpose, True)))
        with pytest.raises(sa.exc.DBAPIError, match="audit_entry is append-only"):
            await connection.execute(sa.text(statement))


@pytest.mark.parametrize("name", PACKAGES)
async def test_the_audit_as_a_whole_is_for_admins(name: str, apis: dict[str, Api]) -> None:
    for role in ("sales-manager", "service-manager", "analyst", "importer"):
        assert_problem(await apis[name].send("GET", "/v1/audit", roles=[role]), 403, "forbidden")
