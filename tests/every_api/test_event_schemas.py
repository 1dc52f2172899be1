"""The schema of every event is where its `dataschema` leads, on every API, for anyone."""

import json
from collections.abc import AsyncIterator

import httpx
import jsonschema_rs
import pytest

from event_contracts.catalogue import EVENT_TYPES
from event_contracts.examples import encoded_example
from event_contracts.publish import schemas
from tests.every_api.test_every_route import PACKAGES, make_app
from tests.service_kit.conftest import assert_problem


@pytest.fixture(params=PACKAGES)
async def http(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    """An API whose database is away: a schema is no record."""
    app = make_app(request.param, "postgresql+asyncpg://nowhere/nothing", "")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tandem") as client:
        yield client


async def test_each_event_fits_the_schema_that_it_names(http: httpx.AsyncClient) -> None:
    envelope = (await http.get("/v1/schemas/cloudevent")).json()
    for name in EVENT_TYPES:
        event = json.loads(encoded_example(name))
        answer = await http.get(f"/v1/schemas/{event['dataschema']}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/schema+json"
        assert answer.json()["$id"] == event["dataschema"]
        jsonschema_rs.validator_for(answer.json()).validate(event["data"])
        jsonschema_rs.validator_for(envelope).validate(event)


async def test_what_is_answered_is_what_is_published(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/v1/schemas")).json()["items"]
    found = [(await http.get(each["address"])).json() for each in listed]
    assert sorted(found, key=lambda each: str(each["$id"])) == sorted(schemas().values(), key=lambda each: each["$id"])
    by_type = {each["type"]: each for each in listed}
    assert by_type["sales.deal-closed"]["topic"] == "sales.events"
    assert by_type["cloudevent"]["topic"] is None


async def test_a_schema_may_be_kept_and_asked_for_again(http: httpx.AsyncClient) -> None:
    first = await http.get("/v1/schemas/sales.deal-closed")
    assert first.headers["cache-control"] == "public, max-age=3600"
    again = await http.get("/v1/schemas/sales.deal-closed:1", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await http.get("/v1/schemas/sales.deal-opened", headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200


@pytest.mark.parametrize("name", ["sales.deal-close", "sales.deal-closed:2", "urn:tandem:schema:sales.deal-closed:2"])
async def test_an_unknown_schema_is_answered_with_the_nearest(http: httpx.AsyncClient, name: str) -> None:
    problem = assert_problem(await http.get(f"/v1/schemas/{name}"), 404, "not-found")
    assert "Did you mean sales.deal-closed?" in str(problem["detail"])
