"""A database of the first version upgrades to the newest with every row, and its tickets and surveys go on."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

import service_api
from event_contracts.codec import decode
from event_contracts.directory import ServiceDirectoryEntrySet
from service_api.app import create
from service_api.settings import ServiceApiSettings
from tests.service_kit.toy import Issuer
from tests.upgrading import Values, id_in, upgrade, upgraded_step_by_step

NOUNS = (
    "agents", "business-calendars", "check-ins", "customers", "deliveries", "maintenance", "maintenance-plans",
    "onboarding-steps", "onboarding-templates", "planning-rules", "reviews", "sla-policies", "surveys", "teams",
    "tickets", "trainings", "upsell-suggestions",
)  # fmt: skip
OPEN = (
    "assigned_at", "first_responded_at", "resolved_at", "resolution", "closed_at", "reopened_at", "first_resolved_at",
    "first_reopened_at", "escalated_at", "merged_into", "merged_at", "erased_at",
)  # fmt: skip
UNANSWERED = ("answered_at", "revised_at", "score", "recommendation", "effort", "comment", "erased_at")
MADE: Values = {
    "team": {"parent_id": None},
    "customer": {"origin": "sales", "registered_at": None, "erased_at": None, "merged_into": None},
    "ticket": dict.fromkeys(OPEN) | {"kind": "problem", "channel": "web", "priority": "normal", "status": "open"},
    "interaction": {"channel": "web", "direction": "inbound", "visibility": "public"},
    "survey": dict.fromkeys(UNANSWERED)
    | {"kind": "csat", "ticket_kind": "problem", "channel": "web", "priority": "normal"},
    "business_calendar": {"timezone": "Europe/Vilnius", "hours": [], "holidays": []},
    "delivery": {"currency": "EUR"},
    "won_deal": {"promised_currency": "EUR"},
    "suggested_sale": {"kind": "lead", "status": "new"},
    "sla_policy": {"kind": None, "priority": None},
    "onboarding_step": {"status": "done", "moves": []},
    "onboarding_template": {"promise_days": 14, "steps": []},
    "planning_rule": {"trigger": "interval", "max_score": None, "priority": None},
    "dead_letter": {"consumer": "service-customer-names", "status": "open"},
    "consumer_offset": {"consumer": "service-customer-names"},
}


async def test_rows_of_every_table_outlive_every_migration_and_go_on(
    new_database: Callable[[str], str], tmp_path: Path
) -> None:
    url, issuer = new_database("upgraded"), Issuer()
    await upgraded_step_by_step(url, service_api, MADE)
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
        resolved = await http.post(f"/v1/tickets/{id_in('ticket')}/resolve", json={})
        assert (resolved.status_code, resolved.json().get("status")) == (200, "resolved"), resolved.text
        entry = {"score": 5, "reason": "paper-form", "occurred_at": datetime.now(UTC).isoformat()}
        answered = await http.post(f"/v1/surveys/{id_in('survey')}/answer", json=entry)
        assert answered.status_code == 200, answered.text
    await app.state.engine.dispose()


async def test_teams_of_before_are_in_the_directory_with_the_team_above(new_database: Callable[[str], str]) -> None:
    engine = create_async_engine(new_database("teams"))
    above, team = uuid4(), uuid4()
    insert = sa.text(
        "INSERT INTO team (id, version, name, parent_id, updated_at) VALUES (:id, 3, 'A team', :parent_id, now())"
    )
    async with engine.connect() as connection:
        await connection.run_sync(upgrade, service_api, "0013")
        await connection.execute(insert, [{"id": above, "parent_id": None}, {"id": team, "parent_id": above}])
        await connection.commit()
        await connection.run_sync(upgrade, service_api)
        (payload,) = (await connection.execute(sa.text("SELECT payload FROM outbox"))).scalars()
        version = (await connection.execute(sa.text("SELECT version FROM team WHERE id = :id"), {"id": team})).scalar()
    published = decode(payload)
    assert isinstance(published.data, ServiceDirectoryEntrySet)
    assert (published.data.id, published.data.parent_id, published.sequence, version) == (team, above, 4, 4)
    await engine.dispose()
