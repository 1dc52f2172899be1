"""What can be asked of every list: filters, orders with their cursors, search, totals; and how it refuses the rest."""

import itertools
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from service_kit.folding import folded, sort_key, words
from service_kit.identifiers import new_id
from tests.service_kit.conftest import assert_problem
from tests.service_kit.toy import Box, Issuer, toy_app

ABSENT = "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a99"
DAY = datetime(2026, 3, 31, tzinfo=UTC)
NAMES = ["Ærø", "aéro", "Aero", "Zebra", "zebra 2", "Žemaitė", "łódź", "Straße", "strasse", "čaj", "Ana-María O’Neil"]
SHELVES = ["a1", "b2", None]
Record = dict[str, Any]


def records() -> list[Record]:
    """Many with equal values, and many without any."""
    chance = random.Random(7)
    return [
        {
            "id": new_id(),
            "version": 1,
            "name": chance.choice(NAMES),
            "size": chance.randrange(5),
            "shelf": chance.choice(SHELVES),
            "phone": f"+49 171 555-{number:04}",
            "packed_at": None if chance.random() < 0.4 else DAY + timedelta(days=chance.randrange(4)),
            "updated_at": DAY + timedelta(minutes=number // 3),
        }
        for number in range(60)
    ]


RECORDS = records()


@pytest.fixture(scope="module")
async def boxes(
    new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    issuer = Issuer()
    async with toy_app(new_database("lists"), issuer.published_in(tmp_path_factory.mktemp("issuer"))) as (app, engine):
        async with engine.begin() as connection:
            await connection.execute(sa.insert(Box.table), RECORDS)
        headers = {"Authorization": f"Bearer {issuer.token('service-agent')}"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://toy", headers=headers
        ) as http:
            yield http


async def ids_in(boxes: httpx.AsyncClient, **query: Any) -> list[str]:
    """The ids of all pages."""
    found: list[str] = []
    while True:
        answer = await boxes.get("/v1/boxes", params=query)
        assert answer.status_code == 200, answer.text
        found += [each["id"] for each in answer.json()["items"]]
        if (cursor := answer.json()["next_cursor"]) is None:
            return found
        query["cursor"] = cursor


def expected(condition: Callable[[Record], Any] = lambda _: True) -> list[str]:
    return [str(each["id"]) for each in reversed(RECORDS) if condition(each)]


async def refused(boxes: httpx.AsyncClient, query: Any) -> list[tuple[str, str]]:
    problem: Any = assert_problem(await boxes.get("/v1/boxes", params=query), 422, "invalid-request")
    return [(error["pointer"], error["detail"]) for error in problem["errors"]]


FILTERS: list[tuple[Any, Callable[[Record], Any]]] = [
    ({"shelf": "a1"}, lambda box: box["shelf"] == "a1"),
    ({"shelf": ["a1", "b2"]}, lambda box: box["shelf"]),
    ({"shelf_is_null": "true"}, lambda box: box["shelf"] is None),
    ({"shelf_is_null": "false"}, lambda box: box["shelf"] is not None),
    ({"size": ["1", "3"]}, lambda box: box["size"] in (1, 3)),
    ({"size_min": "2"}, lambda box: box["size"] >= 2),
    ({"size_min": "1", "size_max": "3"}, lambda box: 1 <= box["size"] <= 3),
    (
        {"packed_at_from": "2026-04-01T00:00:00Z"},
        lambda box: box["packed_at"] and box["packed_at"] >= DAY + timedelta(1),
    ),
    ({"packed_at_before": "2026-04-01T02:00:00+02:00"}, lambda box: box["packed_at"] == DAY),
    ({"packed_at_is_null": "true", "size": "0"}, lambda box: box["packed_at"] is None and box["size"] == 0),
    ({"updated_since": "2026-03-31T00:10:00Z"}, lambda box: box["updated_at"] >= DAY + timedelta(minutes=10)),
    ({"ids": [str(each["id"]) for each in RECORDS[3:6]]}, lambda box: box in RECORDS[3:6]),
    ({"ids": ABSENT}, lambda _: False),
]


@pytest.mark.parametrize(
    ("query", "condition"), FILTERS, ids=lambda value: " ".join(value) if isinstance(value, dict) else ""
)
async def test_a_filter_lets_through_what_meets_it(
    boxes: httpx.AsyncClient, query: dict[str, Any], condition: Callable[[Record], Any]
) -> None:
    assert await ids_in(boxes, **query) == expected(condition)


@pytest.mark.parametrize("limit", [1, 7, 50])
@pytest.mark.parametrize("column", ["id", "name", "size", "packed_at", "updated_at"])
@pytest.mark.parametrize("descends", [False, True])
async def test_pages_under_every_order_are_complete_and_stable(
    boxes: httpx.AsyncClient, column: str, descends: bool, limit: int
) -> None:
    def place(box: Record) -> Any:
        value = folded(box[column]) if column == "name" else box[column]
        return value, box["id"]

    given = sorted((each for each in RECORDS if each[column] is not None), key=place, reverse=descends)
    without = [each for each in RECORDS if each[column] is None]
    without.sort(key=lambda box: box["id"], reverse=descends)
    found = await ids_in(boxes, sort=("-" if descends else "") + column, limit=limit)
    assert found == [str(each["id"]) for each in (*given, *without)]


@pytest.mark.parametrize("column", ["id", "name", "packed_at"])
@pytest.mark.parametrize("descends", [False, True])
async def test_pages_of_few_records_are_complete_and_stable(
    boxes: httpx.AsyncClient, column: str, descends: bool
) -> None:
    few = [str(each["id"]) for each in RECORDS[5:50]]
    sort = ("-" if descends else "") + column
    whole = await ids_in(boxes, sort=sort, limit=200)
    assert await ids_in(boxes, sort=sort, limit=7, ids=few) == [one for one in whole if one in few]


async def test_filters_hold_on_every_page_of_an_order(boxes: httpx.AsyncClient) -> None:
    found = await ids_in(boxes, sort="-packed_at", shelf=["a1", "b2"], limit=4)
    assert sorted(found) == sorted(expected(lambda box: box["shelf"]))


async def test_a_record_added_meanwhile_moves_no_page(new_database: Callable[[str], str], tmp_path: Path) -> None:
    issuer = Issuer()
    async with toy_app(new_database("lists"), issuer.published_in(tmp_path)) as (app, _):
        headers = {"Authorization": f"Bearer {issuer.token('service-agent')}"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://toy", headers=headers
        ) as http:
            for size in (1, 3, 5):
                await http.post("/v1/boxes", json={"name": "x", "size": size})
            first = (await http.get("/v1/boxes?sort=size&limit=2")).json()
            for size in (0, 2):
                await http.post("/v1/boxes", json={"name": "x", "size": size})
            rest = (await http.get("/v1/boxes", params={"sort": "size", "cursor": first["next_cursor"]})).json()
            assert [each["size"] for each in (*first["items"], *rest["items"])] == [1, 3, 5]


async def test_a_total_is_counted_on_request(boxes: httpx.AsyncClient) -> None:
    assert (await boxes.get("/v1/boxes")).json()["total"] is None
    answer = await boxes.get("/v1/boxes", params={"total": "true", "shelf": "a1", "limit": 1})
    assert answer.json()["total"] == {"count": len(expected(lambda box: box["shelf"] == "a1")), "is_exact": True}


async def test_a_total_ends_where_counting_would_take_long(
    boxes: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service_kit.lists.listing.MAX_TOTAL", 10)
    answer = await boxes.get("/v1/boxes", params={"total": "true"})
    assert answer.json()["total"] == {"count": 10, "is_exact": False}


SEARCHES: list[tuple[str, set[str]]] = [
    ("aero", {"Ærø", "aéro", "Aero"}),
    ("AÉ", {"Ærø", "aéro", "Aero"}),
    ("zem", {"Žemaitė"}),
    ("lodz", {"łódź"}),
    ("strass", {"Straße", "strasse"}),
    ("maria an", {"Ana-María O’Neil"}),
    ("o'neil", {"Ana-María O’Neil"}),
    ("maria zebra", set()),
    ("'", set()),
    ("zebra & !2 | (", {"zebra 2"}),
]


@pytest.mark.parametrize(("text", "names"), SEARCHES)
async def test_words_are_found_as_they_are_typed(boxes: httpx.AsyncClient, text: str, names: set[str]) -> None:
    found = await ids_in(boxes, q=text, limit=200)
    assert {each["name"] for each in RECORDS if str(each["id"]) in found} == names & {each["name"] for each in RECORDS}
    assert sorted(found) == sorted(expected(lambda box: box["name"] in names))
    assert await ids_in(boxes, q=text, sort="-id") == expected(lambda box: box["name"] in names)


@pytest.mark.parametrize("number", ["+49 171 555-0042", "0171/5550042", "0042", "171 555 0042", "(0)171 5550042"])
async def test_a_phone_number_is_found_however_it_is_written(boxes: httpx.AsyncClient, number: str) -> None:
    assert await ids_in(boxes, q=number) == [str(RECORDS[42]["id"])]


async def test_the_best_matches_come_first_on_all_pages(boxes: httpx.AsyncClient) -> None:
    found = await ids_in(boxes, q="zebra", limit=3)
    names = [next(each["name"] for each in RECORDS if str(each["id"]) == one) for one in found]
    assert names == sorted(names, key=["Zebra", "zebra 2"].index)
    for _, same in itertools.groupby(zip(names, found, strict=True), key=lambda each: each[0]):
        ids = [one for _, one in same]
        assert ids == sorted(ids, reverse=True)


async def test_python_and_postgresql_fold_alike(boxes: httpx.AsyncClient) -> None:
    engine = boxes._transport.app.state.engine  # type: ignore[attr-defined]
    for text in [*NAMES, "ﬁn ﷺ ㌖ ½", "İSTANBUL ıı", "ὈΔΥΣΣΕΎΣ", "Đặng Þór", "日本語 テスト", "a\u0301\u0327"]:
        async with engine.connect() as connection:
            found = (await connection.execute(sa.select(sort_key(sa.literal(text))))).scalar_one()
        assert found == folded(text)[:100], text
        assert all(word.isprintable() and "'" not in word for word in words(text))


async def test_an_unknown_parameter_is_answered_with_the_nearest_and_all(boxes: httpx.AsyncClient) -> None:
    ((pointer, detail),) = await refused(boxes, {"shelve": "a1"})
    assert pointer == "?shelve"
    assert "did you mean shelf?" in detail
    assert "updated_since" in detail


async def test_an_unknown_order_is_answered_with_the_nearest_and_all(boxes: httpx.AsyncClient) -> None:
    ((pointer, detail),) = await refused(boxes, {"sort": "-packedat"})
    assert (pointer, "did you mean -packed_at?" in detail, "updated_at" in detail) == ("?sort", True, True)


async def test_every_wrong_value_is_named_at_once(boxes: httpx.AsyncClient) -> None:
    found = await refused(boxes, {"size_min": "1e3", "packed_at_from": "yesterday", "ids": "7", "total": "1"})
    assert sorted(pointer for pointer, _ in found) == ["?ids", "?packed_at_from", "?size_min", "?total"]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": ["1", "2"]},
        {"sort": ["name", "size"]},
        {"q": ["a", "b"]},
        {"q": ""},
        {"q": "x" * 201},
        {"ids": [ABSENT] * 201},
        {"shelf": ["a1"] * 101},
        {"size": "2147483648"},
    ],
    ids=lambda query: str(query)[:20],
)
async def test_what_is_too_much_is_refused(boxes: httpx.AsyncClient, query: Any) -> None:
    assert await refused(boxes, query)


async def cursor_of(boxes: httpx.AsyncClient, **query: Any) -> str:
    cursor: str = (await boxes.get("/v1/boxes", params=query | {"limit": 2})).json()["next_cursor"]
    return cursor


async def test_a_cursor_is_good_for_its_list_order_and_filters_only(boxes: httpx.AsyncClient) -> None:
    cursor = await cursor_of(boxes, sort="size")
    for query, reason in (
        ({"sort": "-size"}, "under another sort"),
        ({}, "under another sort"),
        ({"sort": "size", "shelf": "a1"}, "with other filters"),
        ({"sort": "size", "q": "zebra"}, "with other filters"),
    ):
        ((pointer, detail),) = await refused(boxes, query | {"cursor": cursor})
        assert (pointer, reason in detail) == ("?cursor", True), detail
    # What is no filter may differ.
    answer = await boxes.get("/v1/boxes", params={"sort": "size", "cursor": cursor, "limit": 9, "total": "true"})
    assert answer.status_code == 200


@pytest.mark.parametrize("cursor", ["", "made-up", "A" * 40, "é", "x" * 1001])
async def test_a_made_up_cursor_is_refused(boxes: httpx.AsyncClient, cursor: str) -> None:
    ((pointer, _),) = await refused(boxes, {"cursor": cursor})
    assert pointer == "?cursor"
