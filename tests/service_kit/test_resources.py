"""What every noun gets from its declaration: a filtered list, the single record, 404, ETag and 304."""

from typing import Any

import httpx
import pytest

from service_kit.fields import Name
from service_kit.identifiers import new_id
from service_kit.resources import Resource
from tests.service_kit.conftest import assert_problem
from tests.service_kit.toy import Box, BoxRead


async def create(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    answer = await client.post("/v1/boxes", json={"name": name, "size": 1})
    assert answer.status_code == 201, answer.text
    box: dict[str, Any] = answer.json()
    assert (answer.headers["location"], answer.headers["etag"]) == (f"/v1/boxes/{box['id']}", '"1"')
    return box


async def test_a_record_is_read_with_its_version_as_etag(client: httpx.AsyncClient) -> None:
    box = await create(client, "read")
    answer = await client.get(f"/v1/boxes/{box['id']}")
    assert (answer.status_code, answer.json(), answer.headers["etag"]) == (200, box, '"1"')


async def test_a_reader_that_has_the_version_gets_304_until_it_changes(client: httpx.AsyncClient) -> None:
    box = await create(client, "unchanged")
    for known in ('"1"', 'W/"1"', '"0", "1"'):
        answer = await client.get(f"/v1/boxes/{box['id']}", headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"1"')
    assert (await client.post(f"/v1/boxes/{box['id']}/grow")).headers["etag"] == '"2"'
    answer = await client.get(f"/v1/boxes/{box['id']}", headers={"If-None-Match": '"1"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')


async def test_what_is_missing_is_called_by_its_noun(client: httpx.AsyncClient) -> None:
    nowhere = new_id()
    for answer in (await client.get(f"/v1/boxes/{nowhere}"), await client.post(f"/v1/boxes/{nowhere}/grow")):
        assert assert_problem(answer, 404, "not-found")["detail"] == f"There is no box {nowhere}."


async def test_a_list_holds_what_its_filters_let_through_the_newest_first(client: httpx.AsyncClient) -> None:
    first, second = await create(client, "twins"), await create(client, "twins")
    await create(client, "another")
    answer = await client.get("/v1/boxes", params={"name": "twins"})
    assert answer.json() == {"items": [second, first], "next_cursor": None, "total": None}


async def test_schemas_and_operations_are_named_after_the_noun(toy: tuple[httpx.ASGITransport, Any]) -> None:
    document = toy[0].app.openapi()  # type: ignore[attr-defined]
    listing, single = document["paths"]["/v1/boxes"]["get"], document["paths"]["/v1/boxes/{box_id}"]["get"]
    assert (listing["operationId"], single["operationId"]) == ("list_boxes", "get_box")
    assert (listing["summary"], single["summary"]) == ("List boxes", "Read one box")
    assert {each["name"] for each in listing["parameters"]} >= {"limit", "cursor", "sort", "q", "ids", "name"}
    shown = [each["responses"]["200"]["content"]["application/json"]["schema"]["$ref"] for each in (listing, single)]
    assert shown == ["#/components/schemas/BoxPage", "#/components/schemas/BoxRead"]


def test_a_filter_must_be_a_column() -> None:
    with pytest.raises(ValueError, match="colour"):
        Resource("/boxes/{box_id}", Box.table, BoxRead, filters={"name": Name, "colour": Name})
    with pytest.raises(ValueError, match="colour"):
        Resource("/boxes/{box_id}", Box.table, BoxRead, sorts=("colour",))


def test_what_is_filtered_or_sorted_by_needs_an_index() -> None:
    with pytest.raises(ValueError, match="no index for phone"):
        Resource("/boxes/{box_id}", Box.table, BoxRead, filters={"phone": Name})
    with pytest.raises(ValueError, match="no index for phone"):
        Resource("/boxes/{box_id}", Box.table, BoxRead, sorts=("phone",))
