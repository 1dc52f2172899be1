"""Which queries are allowed, for which roles, and how a mistake is answered."""

from typing import Any

import httpx
import pytest

from metrics_worker.domain.kinds import DIMENSIONS
from metrics_worker.kpis.catalogue import KPIS
from service_kit.roles import ROLES
from tandem_cli.issuer import Issuer
from tests.metrics_worker.conftest import Metrics
from tests.metrics_worker.facts import TEAM, lead


async def refusal(
    client: httpx.AsyncClient, path: str, parameters: dict[str, str], status: int = 422
) -> dict[str, Any]:
    answer = await client.get(path, params=parameters)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize(
    ("parameters", "pointer", "detail"),
    [
        ({"from": "2026-04-01", "to": "2026-03-31"}, "?from", "2026-04-01 is after 2026-03-31, the last day asked for"),
        ({"from": "2006-01-01", "to": "2026-03-31"}, "?from", "at most 20 years may be asked for at once"),
        ({"from": "2026-02-30"}, "?from", None),
        ({"from": "yesterday"}, "?from", "must be a day such as 2026-03-31"),
        ({"to": "1969-12-31"}, "?to", "1969-12-31 is not between 1970-01-01 and 2199-12-31"),
        ({"to": "2026-03-31T00:00:00Z"}, "?to", None),
        ({"interval": "fortnight"}, "?interval", None),
        ({"group_by": "colour"}, "?group_by", "quota_attainment can be grouped by: owner, team"),
        ({"group_by": "region"}, "?group_by", "quota_attainment can be grouped by: owner, team"),
        (
            {"group_by": "owner,region"},
            "?group_by",
            "quota_attainment can be grouped by: owner, team; one of them, or any two",
        ),
        (
            {"group_by": "owner,owner"},
            "?group_by",
            "takes one dimension, or two different ones with a comma in between",
        ),
        ({"group_by": "owner,team,"}, "?group_by", None),
        ({"top": "3"}, "?top", "is a number of groups: add group_by"),
        ({"top": "0", "group_by": "owner"}, "?top", None),
        ({"region": "EMEA"}, "?region", "quota_attainment can be filtered by: owner, team"),
        ({"owner": "me"}, "?owner", "must be a UUID, or empty for what has none"),
        ({"owner": "00000000000000000000000000000001"}, "?owner", "must be a UUID, or empty for what has none"),
        ({"variant": "best"}, "?variant", "quota_attainment has the variants: standard"),
        ({"compare": "next"}, "?compare", None),
        ({"colour": "red"}, "?colour", None),
        ({"as_of": "2026-03-31"}, "?as_of", None),
        ({"as_of": "2199-01-01T00:00:00Z"}, "?as_of", "is in the future"),
    ],
)
async def test_a_mistake_is_reported_where_it_is(
    client: httpx.AsyncClient, parameters: dict[str, str], pointer: str, detail: str | None
) -> None:
    body = await refusal(client, "/v1/kpis/quota_attainment", parameters)
    assert body["type"] == "urn:tandem:problem:invalid-request"
    assert [error["pointer"] for error in body["errors"]] == [pointer]
    if detail is not None:
        assert body["errors"][0]["detail"] == detail


@pytest.mark.parametrize("value", ["a b", "x" * 65, "'; DROP TABLE books; --", "é", "-x", "x\n"])
async def test_a_filter_that_is_no_code_is_refused(client: httpx.AsyncClient, value: str) -> None:
    body = await refusal(client, "/v1/kpis/revenue", {"region": value})
    assert [error["pointer"] for error in body["errors"]] == ["?region"]


async def test_an_unknown_kpi_is_not_found(client: httpx.AsyncClient) -> None:
    body = await refusal(client, "/v1/kpis/happiness", {}, 404)
    assert (body["type"], body["detail"]) == (
        "urn:tandem:problem:unknown-kpi",
        "GET /v1/kpis lists the names of all KPIs.",
    )


async def test_the_refusal_of_a_large_answer_names_the_remedy(metrics: Metrics) -> None:
    await metrics.ingest(*(lead(channel=f"c{number}") for number in range(3)))
    twenty_years = {"from": "2006-04-01", "to": "2026-03-31", "interval": "day"}
    body = await refusal(metrics.client, "/v1/kpis/leads_created", twenty_years | {"group_by": "channel"})
    assert "Ask for fewer days" in body["detail"]
    assert "/v1/exports/postings" in body["detail"]
    weeks = await metrics.client.get(
        "/v1/kpis/leads_created", params=twenty_years | {"group_by": "channel", "interval": "week"}
    )
    assert len(weeks.json()["groups"]) == 3
    whole = await metrics.client.get("/v1/kpis/leads_created", params=twenty_years)
    assert len(whole.json()["series"]) == 7305


async def test_identifiers_may_be_written_in_capitals(metrics: Metrics) -> None:
    one = lead(owner_id="019ca869-5000-7000-8000-0000000000a1")
    await metrics.ingest(one)
    asked = {"from": "2026-03-01", "to": "2026-03-31", "owner": "019CA869-5000-7000-8000-0000000000A1"}
    assert (await metrics.client.get("/v1/kpis/leads_created", params=asked)).json()["value"] == "1"


@pytest.mark.parametrize("role", ROLES)
async def test_every_role_may_read(client: httpx.AsyncClient, issuer: Issuer, role: str) -> None:
    token = issuer.token([role], teams=[TEAM])
    answer = await client.get("/v1/kpis/csat", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/v1/kpis", "/v1/kpis/csat"])
async def test_without_a_token_nothing_is_answered(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"Authorization": ""})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_the_registry_lists_every_kpi_with_its_definition(client: httpx.AsyncClient) -> None:
    body = (await client.get("/v1/kpis")).json()
    assert (body["timezone"], body["currency"]) == ("Europe/Vilnius", "EUR")
    assert [item["name"] for item in body["items"]] == list(KPIS)
    [conversion] = [item for item in body["items"] if item["name"] == "lead_conversion_rate"]
    assert conversion["variants"][0] == {
        "name": "cohort",
        "unit": "ratio",
        "formula": "of the leads created in the period, the share converted so far",
        "numerator": ["lead.cohort_converted"],
        "denominator": ["lead.created"],
    }
    assert (conversion["function"], conversion["indicator"], conversion["direction"]) == ("sales", "lagging", "up")


async def test_every_listed_kpi_variant_and_dimension_can_be_asked_for(client: httpx.AsyncClient) -> None:
    for item in (await client.get("/v1/kpis")).json()["items"]:
        for variant in item["variants"]:
            for dimension in item["dimensions"]:
                asked = {"variant": variant["name"], "group_by": dimension, "interval": "week"}
                answer = await client.get(f"/v1/kpis/{item['name']}", params=asked)
                assert answer.status_code == 200, answer.text
                assert (answer.json()["unit"], answer.json()["groups"]) == (variant["unit"], [])


async def test_every_dimension_is_a_parameter(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    parameters = document["paths"]["/v1/kpis/{name}"]["get"]["parameters"]
    asked = {parameter["name"] for parameter in parameters} - {"name"}
    assert asked == {"from", "to", "interval", "group_by", "top", "variant", "compare", "as_of", *DIMENSIONS}
