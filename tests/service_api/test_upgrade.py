"""A database of the first version comes to the newest with every row, and learns what it did not keep before."""

from collections.abc import Callable
from pathlib import Path

import httpx
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

import service_api
from service_api.app import create
from service_api.settings import ServiceApiSettings
from tests.service_kit.toy import Issuer
from tests.upgrading import Values, id_in, upgrade, upgraded_step_by_step

NOUNS = (
    "agents", "business-calendars", "check-ins", "customers", "deliveries", "maintenance", "maintenance-plans",
    "reviews", "sla-policies", "surveys", "teams", "tickets", "trainings", "upsell-suggestions",
)  # fmt: skip
OPEN = {"assigned_at": None, "first_responded_at": None, "resolved_at": None, "resolution": None, "closed_at": None}
MADE: Values = {
    "customer": {"origin": "sales", "registered_at": None},
    "ticket": OPEN | {"kind": "problem", "channel": "web", "priority": "normal", "status": "open", "reopened_at": None},
    "interaction": {"channel": "web", "direction": "inbound", "visibility": "public"},
    "survey": {
        "kind": "csat",
        "ticket_kind": "problem",
        "channel": "web",
        "priority": "normal",
        "answered_at": None,
        "revised_at": None,
        "score": None,
        "comment": None,
    },
    "business_calendar": {"timezone": "Europe/Vilnius", "hours": [], "holidays": []},
    "delivery": {"currency": "EUR"},
    "won_deal": {"promised_currency": "EUR"},
    "sla_policy": {"kind": None, "priority": None},
    "dead_letter": {"consumer": "service-customer-names", "status": "open"},
    "consumer_offset": {"consumer": "service-customer-names"},
}


async def test_rows_of_every_table_outlive_every_migration_and_go_on(
    new_database: Callable[[str], str], tmp_path: Path
) -> None:
    url, issuer = new_database("upgraded"), Issuer()
    # A letter's number became an id.
    made_anew = {("dead_letter", "id"), ("consumer_halt", "halted_at"), ("consumer_halt", "open_allowed")}
    await upgraded_step_by_step(
        url, service_api, MADE, made_anew=made_anew, renamed={"consumer_halt": "circuit_breaker"}
    )
    settings = ServiceApiSettings(
        database_url=url,
        auth_jwks=issuer.published_in(tmp_path),
        allowed_hosts=["service"],
        survey_link_secret="a secret of the tests only",
    )
    app = create(settings)
    headers = {"Authorization": f"Bearer {issuer.token('admin', 'service-manager')}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers) as http:
        for noun in NOUNS:
            answer = await http.get(f"/v1/{noun}")
            assert answer.status_code == 200, answer.text
            assert len(answer.json()["items"]) == 1, noun
        ticket = (await http.get(f"/v1/tickets/{id_in('ticket')}")).json()
        assert (ticket["sla_policy_id"], ticket["onboarding_deal_id"]) == (None, None)
        resolved = await http.post(f"/v1/tickets/{id_in('ticket')}/resolve", json={})
        assert (resolved.status_code, resolved.json().get("status")) == (200, "resolved"), resolved.text
        answered = await http.post(f"/v1/surveys/{id_in('survey')}/answer", json={"score": 5})
        assert answered.status_code == 200, answered.text
    await app.state.engine.dispose()


async def test_what_was_not_kept_before_is_read_anew(new_database: Callable[[str], str]) -> None:
    engine = create_async_engine(new_database("upgraded"))
    async with engine.connect() as connection:
        await connection.run_sync(upgrade, service_api, "0006")
        copied = "INSERT INTO consumer_offset (consumer, cluster_id, topic, partition, next_offset) VALUES"
        for consumer in ("service-customers", "service-customer-names"):
            await connection.execute(sa.text(f"{copied} ('{consumer}', 'c', 't', 0, 9)"))
        await connection.commit()
        await connection.run_sync(upgrade, service_api)
        left = (await connection.execute(sa.text("SELECT consumer FROM consumer_offset"))).scalars().all()
    await engine.dispose()
    assert left == ["service-customer-names"], "names told all that is kept of them"
