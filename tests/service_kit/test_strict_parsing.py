"""Every row of the bad-input table that concerns a body, a number, a time, a text or a page."""

import json
import sys
import unicodedata
from collections.abc import AsyncIterator

import httpx
import pytest

from service_kit import fields
from service_kit.fields import normalized
from tests.service_kit.conftest import assert_problem

GOOD = '"name": "Box", "size": 1'


async def post(client: httpx.AsyncClient, body: str | bytes) -> httpx.Response:
    return await client.post("/v1/boxes", content=body, headers={"content-type": "application/json"})


@pytest.mark.parametrize(
    "members",
    [
        r'"name": "\ud800", "size": 1',
        r'"name": "a\u0000b", "size": 1',
        r'"name": "a\u000ab", "size": 1',
        '"name": "   ", "size": 1',
        f'"name": "{"x" * 201}", "size": 1',
        f'"name": "{"x" * 50_000}", "size": 1',
        '"name": "Box", "size": NaN',
        '"name": "Box", "size": Infinity',
        '"name": "Box", "size": -Infinity',
        '"name": "Box", "size": 9223372036854775808',
        '"name": "Box", "size": 2147483648',
        '"name": "Box", "size": -1',
        '"name": "Box", "size": true',
        '"name": "Box", "size": 1.0',
        '"name": "Box", "size": "1"',
        f'{GOOD}, "is_admin": true',
        f'{GOOD}, "status": "won"',
        f'{GOOD}, "size": 2',
        f'{GOOD}, "weight": NaN',
        f'{GOOD}, "weight": 1e400',
        f'{GOOD}, "weight": 1.5',
        f'{GOOD}, "weight": "1E+400000000"',
        f'{GOOD}, "weight": "1_000"',
        f'{GOOD}, "weight": "-0"',
        f'{GOOD}, "weight": "-0.00"',
        f'{GOOD}, "price": {{"amount": "-0", "currency": "EUR"}}',
        f'{GOOD}, "weight": "１２"',
        f'{GOOD}, "weight": " 1"',
        f'{GOOD}, "weight": "NaN"',
        f'{GOOD}, "weight": "1234567890123"',
        f'{GOOD}, "price": {{"amount": "1.005", "currency": "EUR"}}',
        f'{GOOD}, "price": {{"amount": "1.5", "currency": "JPY"}}',
        f'{GOOD}, "price": {{"amount": "-1.00", "currency": "EUR"}}',
        f'{GOOD}, "price": {{"amount": "1.00", "currency": "XXX"}}',
        f'{GOOD}, "price": {{"amount": "1.00", "currency": "eur"}}',
        f'{GOOD}, "price": {{"amount": "1.00", "currency": "EUR", "rate": "1"}}',
        f'{GOOD}, "packed_at": "2026-01-01T00:00:00"',
        f'{GOOD}, "packed_at": "0001-01-01T00:00:00+14:00"',
        f'{GOOD}, "packed_at": "9999-12-31T23:59:59-14:00"',
        f'{GOOD}, "packed_at": 1700000000',
        f'{GOOD}, "packed_at": "1700000000"',
        f'{GOOD}, "packed_on": "2026-02-30"',
        f'{GOOD}, "packed_on": "2026-01-01T00:00:00Z"',
        f'{GOOD}, "packed_on": 19000',
        f'{GOOD}, "shelf_id": "not-a-uuid"',
        f'{GOOD}, "shelf_id": "{{01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11}}"',
        f'{GOOD}, "code": "a b"',
        f'{GOOD}, "code": "a\\n"',
        f'{GOOD}, "code": "=1+1"',
        f'{GOOD}, "code": ""',
    ],
)
async def test_a_body_that_means_nothing_is_refused(client: httpx.AsyncClient, members: str) -> None:
    problem = assert_problem(await post(client, "{" + members + "}"), 422)
    assert problem["type"] == "urn:tandem:problem:invalid-request"


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "\xff"}',
        b'{"name": "Box", "size": ' + b"1" * 5000 + b"}",
        b"[" * 60_000,
        b"{",
        b"nothing",
        b'{"a": 01}',
    ],
    ids=["not UTF-8", "5,000 digits", "nested deep", "cut short", "no JSON", "leading zero"],
)
async def test_a_body_that_is_not_json_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    assert_problem(await post(client, body), 400, "malformed-body")


@pytest.mark.parametrize("body", ["[]", '"text"', "null", "1", ""])
async def test_a_body_that_is_no_object_is_refused(client: httpx.AsyncClient, body: str) -> None:
    assert_problem(await post(client, body), 422)


async def test_a_body_over_the_limit_is_refused_by_its_length_and_when_chunked(client: httpx.AsyncClient) -> None:
    large = b'{"name": "' + b"x" * 70_000 + b'"}'

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 1000):
            yield large[start : start + 1000]

    assert_problem(await post(client, large), 413, "body-too-large")
    headers = {"content-type": "application/json"}
    assert_problem(await client.post("/v1/boxes", content=chunks(), headers=headers), 413, "body-too-large")


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=0", "limit=1000000000", "limit=x", "cursor=made-up", "cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
     "name=%00", "name=%ff", "sort=name&sort=size", "nmae=a", "limit=1&limit=2"],
)  # fmt: skip
async def test_a_query_that_means_nothing_is_refused(client: httpx.AsyncClient, query: str) -> None:
    assert_problem(await client.get(f"/v1/boxes?{query}"), 422, "invalid-request")


async def test_each_error_names_its_place(client: httpx.AsyncClient) -> None:
    problem = assert_problem(await post(client, '{"name": "Box", "size": -1, "price": {"currency": "EUR"}}'), 422)
    assert {error["pointer"] for error in problem["errors"]} == {"#/size", "#/price/amount"}


async def test_a_rule_over_several_fields_reads_as_a_sentence(client: httpx.AsyncClient) -> None:
    problem = assert_problem(await post(client, f'{{{GOOD}, "price": {{"amount": "-1.00", "currency": "EUR"}}}}'), 422)
    assert problem["errors"] == [{"pointer": "#/price", "detail": "an amount cannot be negative"}]


@pytest.mark.parametrize("identifier", ["1", "%00", "..%2f..", "01980c8e7a337d608f3c5b1f3b0c9a11"])
async def test_an_identifier_in_the_path_must_be_one(client: httpx.AsyncClient, identifier: str) -> None:
    answer = await client.post(f"/v1/boxes/{identifier}/grow")
    assert answer.status_code in (404, 422)


COMPOSED = "Café Über"
DECOMPOSED = "Cafe\u0301 U\u0308ber"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"


async def test_names_that_look_the_same_are_the_same(client: httpx.AsyncClient) -> None:
    for name in (COMPOSED, DECOMPOSED):
        answer = await post(client, json.dumps({"name": name, "size": 1}))
        assert answer.status_code == 201, answer.text
        assert answer.json()["name"] == COMPOSED


@pytest.mark.parametrize(
    "mark",
    ["\u00ad", "\u034f", "\u061c", "\u180e", "\u200b", "\u200e", "\u200f", "\u202e", "\u2060", "\u2066", "\u206f",
     "\ufeff", "\ufff9", "\U000e0041"],
    ids=ascii,
)  # fmt: skip
async def test_an_invisible_mark_is_refused(client: httpx.AsyncClient, mark: str) -> None:
    problem = assert_problem(await post(client, json.dumps({"name": f"Bo{mark}x", "size": 1})), 422)
    assert [error["pointer"] for error in problem["errors"]] == ["#/name"]


@pytest.mark.parametrize("joiner", ["\u200c", "\u200d"], ids=["non-joiner", "joiner"])
async def test_a_joiner_is_taken_only_where_a_script_needs_it(client: httpx.AsyncClient, joiner: str) -> None:
    for needed in (f"می{joiner}خواهم", f"क्{joiner}ष", f"ශ්{joiner}රී", f"👩{joiner}💻", f"❤\ufe0f{joiner}🔥", SCOTLAND):
        answer = await post(client, json.dumps({"name": needed, "size": 1}))
        assert (answer.status_code, answer.json().get("name")) == (201, needed)
    for stray in (f"Bo{joiner}x", f"{joiner}Box", f"Дом{joiner}", f"é{joiner}"):
        assert_problem(await post(client, json.dumps({"name": stray, "size": 1})), 422, "invalid-request")


def test_no_text_takes_time_by_the_square_to_normalize() -> None:
    # Sorting marks by class is quadratic in a run of them; a run can only be of marks, and those are counted.
    for code in range(sys.maxunicode + 1):
        if unicodedata.combining(unicodedata.normalize("NFD", chr(code))[0]):
            assert unicodedata.category(chr(code))[0] == "M", hex(code)
    for pile in ("\u0315\u0300", "\u0f73", "a" + "\u0345" * 20 + "\u0301" * 20):
        with pytest.raises(ValueError, match="30 combining marks"):
            normalized(pile * 40)
    assert normalized("a" + "\u0300" * 30) == "à" + "\u0300" * 29


async def test_a_text_far_too_long_is_refused_without_being_normalized(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []

    def recorded(text: str) -> str:
        lengths.append(len(text))
        return normalized(text)

    monkeypatch.setattr(fields, "normalized", recorded)
    for size in (201, 25_000):
        problem = assert_problem(
            await post(client, json.dumps({"name": "é" * size, "size": 1}, ensure_ascii=False)), 422
        )
        assert "at most 200 characters" in str(problem["errors"])
    assert lengths == [201]


async def test_an_unknown_host_is_refused(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/v1/boxes", headers={"host": "evil"}), 400, "unknown-host")


async def test_a_wrong_method_gets_the_right_ones_in_allow(client: httpx.AsyncClient) -> None:
    answer = await client.put("/v1/boxes")
    assert_problem(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == {"GET", "POST"}


async def test_an_unknown_address_is_a_problem_too(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/v1/nothing"), 404)


async def test_an_unexpected_failure_gives_nothing_away(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/boxes/broken", headers={"X-Request-Id": "the-one-that-failed"})
    assert_problem(answer, 500)
    assert answer.headers["x-request-id"] == "the-one-that-failed"
