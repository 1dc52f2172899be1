"""Lists of metrics as those of the services: filters and orders, saved views, files, and many records at once."""

from typing import Any

import httpx
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from service_kit.audit.entries import audit_entry
from tandem_cli.issuer import Issuer
from tests.metrics_worker.conftest import client_of
from tests.service_kit.conftest import assert_problem


async def made(http: httpx.AsyncClient, path: str, body: dict[str, Any], method: str = "POST") -> dict[str, Any]:
    answer = await http.request(method, path, json=body)
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_view_of_targets_is_saved_shared_and_exported(
    app: FastAPI, client: httpx.AsyncClient, engine: AsyncEngine, issuer: Issuer
) -> None:
    async with client_of(app, issuer, "sales-manager") as manager, client_of(app, issuer, "analyst") as analyst:
        for address in ("revenue", "revenue?region=EMEA", "win_rate?region=APAC"):
            await made(manager, f"/v1/targets/{address}", {"value": "0.5", "period": "quarter"}, "PUT")
        body = {"list": "targets", "name": "By region", "query": "dimension=region&sort=-kpi"}
        view = await made(manager, "/v1/views", body)
        await made(manager, f"/v1/views/{view['id']}/share", {})
        listed = (await analyst.get(view["address"])).json()["items"]
        assert [(each["kpi"], each["dimension_value"]) for each in listed] == [
            ("win_rate", "APAC"),
            ("revenue", "EMEA"),
        ]
        filtered = (await analyst.get(f"{view['address']}&kpi=revenue&total=true")).json()
        assert ([each["kpi"] for each in filtered["items"]], filtered["total"]["count"]) == (["revenue"], 1)
        file = await analyst.get("/v1/targets/export", params={"view": view["id"], "format": "csv"})
        assert file.headers["content-disposition"] == 'attachment; filename="targets.csv"'
        header, *rows = [line.split(",") for line in file.text.splitlines()]
        assert [row[header.index("kpi")] for row in rows] == ["win_rate", "revenue"]
        wrong = await manager.post("/v1/views", json=body | {"name": "Wrong", "query": "kpis=revenue"})
        assert "did you mean kpi?" in assert_problem(wrong, 422, "invalid-request")["errors"][0]["detail"]
    async with engine.connect() as connection:
        query = sa.select(audit_entry.c.operation, audit_entry.c.action).where(audit_entry.c.noun == "target-export")
        assert (await connection.execute(query)).one() == ("export_targets", "read")


async def test_policies_are_changed_at_once_each_by_its_version(
    app: FastAPI, engine: AsyncEngine, issuer: Issuer
) -> None:
    async with client_of(app, issuer, "service-manager") as manager:
        policies = [
            await made(manager, "/v1/waiting-policies", {"name": name, "limit_minutes": limit, "warn_minutes": 5})
            for name, limit in (("Day", 60), ("Night", 240))
        ]
        asked = {
            "operation": "change_waiting_policy",
            "records": [{"id": each["id"], "version": 1} for each in policies],
            "body": {"active": False},
        }
        done = await made(manager, "/v1/bulk", asked)
        assert [(each["status"], each["version"]) for each in done["records"]] == [("done", 2)] * 2
        refused = await manager.post("/v1/bulk", json=asked)
        assert assert_problem(refused, 422, "bulk-refused")["records"][0]["problem"]["status"] == 412
        inactive = (
            await manager.get("/v1/waiting-policies", params={"active": "false", "sort": "-limit_minutes"})
        ).json()
        assert [each["name"] for each in inactive["items"]] == ["Night", "Day"]


async def test_a_secret_is_not_made_where_its_answer_is_lost(app: FastAPI, engine: AsyncEngine, issuer: Issuer) -> None:
    async with client_of(app, issuer, "admin") as admin:
        body = {"url": "https://example.com/hooks/tandem", "event_types": ["sales.deal-closed"]}
        webhook = await made(admin, "/v1/webhooks", body)
        one = [{"id": webhook["id"]}]
        off = {"operation": "change_webhook", "records": one, "body": {"active": False}}
        assert (await made(admin, "/v1/bulk", off))["done"] == 1
        refused = await admin.post("/v1/bulk", json={"operation": "add_webhook_secret", "records": one, "body": {}})
        assert_problem(refused, 422, "invalid-request")
        file = await admin.get("/v1/webhooks/export", params={"format": "ndjson", "active": "false"})
        assert webhook["id"] in file.text
        assert "whsec_" not in file.text
        deliveries = await admin.get(f"/v1/webhooks/{webhook['id']}/deliveries/export")
        assert deliveries.text.startswith("id,event_id,event_type,status,")


async def test_what_is_computed_is_exported_as_it_is_listed(app: FastAPI, engine: AsyncEngine, issuer: Issuer) -> None:
    async with client_of(app, issuer, "analyst") as analyst:
        for name, column in (("waiting", "state"), ("alerts", "severity"), ("proofs", "result"), ("periods", "from")):
            file = await analyst.get(f"/v1/{name}/export")
            assert file.status_code == 200, file.text
            assert column in file.text.splitlines()[0].split(",")
            wrong = await analyst.get(f"/v1/{name}/export", params={"format": "xlsx"})
            assert_problem(wrong, 422, "invalid-request")
