"""A database of the first version upgrades to the newest with every row, and its deals and leads go on."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import httpx
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

import sales_api
from event_contracts.codec import decode
from event_contracts.directory import SalesDirectoryEntrySet
from sales_api.app import create
from sales_api.settings import SalesSettings
from tests.service_kit.toy import Issuer
from tests.upgrading import Values, id_in, upgrade, upgraded_step_by_step

PRODUCT = "code"
"""That is made up for the row of the table, to which a line of the deal refers."""

MADE: Values = {
    "team": {"parent_id": None},
    "lead": {
        "status": "qualified",
        "disqualified_at": None,
        "disqualified_reason": None,
        "converted_at": None,
        "account_id": None,
        "deal_id": None,
        "erased_at": None,
    },
    "account": {"merged_into": None, "erased_at": None},
    "dead_letter": {"consumer": "sales-consumer", "status": "open"},
    "deal": {
        "stage": "proposal",
        "closed_from": None,
        "currency": "EUR",
        "lead_id": None,
        "closed_at": None,
        "close_reason": None,
        "rate": None,
        "rate_on": None,
        "reporting_currency": None,
        "reporting_amount": None,
        "expected_close_on": None,
        "promised_by": None,
        "promised_price": None,
        "estimated_reporting_amount": None,
        "estimated_currency": None,
        "stage_entries": [],
        "erased_at": None,
    },
    "deal_line": {"reporting_amount": None},
    "exchange_rate": {"currency": "USD"},
    "quota": {"currency": "EUR"},
    "activity": {"kind": "call"},
    "planning_rule": {"trigger": "deal_won", "kind": "call", "assign_to": "deal_owner"},
}


async def test_rows_of_every_table_outlive_every_migration_and_go_on(
    new_database: Callable[[str], str], tmp_path: Path
) -> None:
    url, issuer = new_database("upgraded"), Issuer()
    await upgraded_step_by_step(url, sales_api, MADE)
    app = create(SalesSettings(database_url=url, auth_jwks=issuer.published_in(tmp_path), allowed_hosts=["sales"]))
    headers = {"Authorization": f"Bearer {issuer.token('admin', 'sales-manager')}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sales", headers=headers) as http:
        (entry,) = (await http.get(f"/v1/products/{PRODUCT}/events")).json()["items"]
        assert (entry["event"]["type"], entry["event"]["data"]["code"]) == ("sales.product-entry-set", PRODUCT)
        (channel,) = (await http.get("/v1/list-values?list=channels&key=channel")).json()["items"]
        (entry,) = (await http.get(f"/v1/list-values/{channel['id']}/events")).json()["items"]
        assert (channel["label"], entry["event"]["data"]["key"]) == ("channel", "channel")
        for noun in (
            "accounts",
            "activities",
            "leads",
            "deals",
            "quotas",
            "referrals",
            "reps",
            "teams",
            "products",
            "planning-rules",
        ):
            answer = await http.get(f"/v1/{noun}")
            assert answer.status_code == 200, answer.text
            assert len(answer.json()["items"]) == 1, noun
        won = await http.post(f"/v1/deals/{id_in('deal')}/close", json={"outcome": "won"})
        assert (won.status_code, won.json().get("stage")) == (200, "won"), won.text
        converted = await http.post(f"/v1/leads/{id_in('lead')}/convert", json={"deal": None})
        assert converted.status_code == 200, converted.text
    await app.state.engine.dispose()


async def test_teams_of_before_are_in_the_directory_with_the_team_above(new_database: Callable[[str], str]) -> None:
    engine = create_async_engine(new_database("teams"))
    above, team = uuid4(), uuid4()
    insert = sa.text(
        "INSERT INTO team (id, version, name, parent_id, updated_at) VALUES (:id, 3, 'A team', :parent_id, now())"
    )
    async with engine.connect() as connection:
        await connection.run_sync(upgrade, sales_api, "0008")
        await connection.execute(insert, [{"id": above, "parent_id": None}, {"id": team, "parent_id": above}])
        await connection.commit()
        await connection.run_sync(upgrade, sales_api)
        (payload,) = (await connection.execute(sa.text("SELECT payload FROM outbox"))).scalars()
        version = (await connection.execute(sa.text("SELECT version FROM team WHERE id = :id"), {"id": team})).scalar()
    published = decode(payload)
    assert isinstance(published.data, SalesDirectoryEntrySet)
    assert (published.data.id, published.data.parent_id, published.sequence, version) == (team, above, 4, 4)
    await engine.dispose()
