"""Surveys: sent about a ticket, answered by the customer's signed link or entered for them, revised."""

import asyncio
import base64
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from event_contracts.service import SurveyAnswered, SurveyRevised, SurveyRevision, SurveySent
from service_api.surveys.links import SurveyLinks
from service_api.surveys.model import Survey, SurveyAnswerUnchanged
from service_api.tickets.model import Ticket
from service_kit.identifiers import new_id
from service_kit.occurrence import OccurredTooEarly
from service_kit.problems import NotFound
from tests.service_api.conftest import NOWHERE, Service, a_customer, a_ticket, an_agent, assert_carries, make, reference
from tests.service_kit.conftest import assert_problem


def entry(**answer: Any) -> dict[str, Any]:
    """What a colleague enters for the customer, who answered just now."""
    return {"reason": "paper-form", "occurred_at": datetime.now(UTC).isoformat()} | answer


async def a_survey(http: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    if "ticket_id" not in more:
        more["ticket_id"] = (await a_ticket(http))["id"]
    return await make(http, "/v1/surveys", **({"kind": "csat"} | more))


async def test_a_survey_keeps_the_attribution_that_its_ticket_had(service: Service, manager: httpx.AsyncClient) -> None:
    team = await make(manager, "/v1/teams", name="Desk")
    rita = await an_agent(manager, team_id=team["id"])
    ticket = await a_ticket(manager, agent_id=rita["id"], product="boiler", priority="low")
    survey = await a_survey(manager, ticket_id=ticket["id"])
    await make(manager, f"/v1/tickets/{ticket['id']}/assign", agent_id=(await an_agent(manager))["id"])
    for name in ("customer_id", "agent_id", "team_id", "channel", "priority", "region", "segment", "product"):
        assert survey[name] == ticket[name], name
    assert survey["ticket_kind"] == ticket["kind"]
    assert (await manager.get(f"/v1/surveys/{survey['id']}")).json() == survey
    (event,) = await service.events_of(f"surveys/{survey['id']}")
    assert_carries(event, survey, SurveySent)
    assert event.partition_key == ticket["customer_id"]


async def test_an_answer_counts_on_the_day_of_the_first(service: Service, manager: httpx.AsyncClient) -> None:
    ticket = await a_ticket(manager, occurred_at="2024-01-10T00:00:00Z")
    survey = await a_survey(manager, ticket_id=ticket["id"], occurred_at="2024-01-11T00:00:00Z")
    path = f"/v1/surveys/{survey['id']}/answer"
    first = await make(manager, path, **entry(score=2, comment="Slow", occurred_at="2024-01-12T00:00:00Z"))
    second = await make(manager, path, **entry(score=5, occurred_at="2024-01-15T00:00:00Z"))
    assert (second["score"], second["comment"], second["answered_at"]) == (5, None, first["answered_at"])
    assert second["revised_at"] == "2024-01-15T00:00:00Z"
    sent, answered, revised = await service.events_of(f"surveys/{survey['id']}")
    assert_carries(sent, survey, SurveySent)
    assert_carries(answered, first, SurveyAnswered)
    assert_carries(revised, second, SurveyRevised)
    assert isinstance(revised.data, SurveyRevised)
    assert revised.data.change == SurveyRevision(previous_score=2)
    assert revised.time == datetime(2024, 1, 15, tzinfo=UTC)
    assert not any("Slow" in repr(event) for event in (sent, answered, revised))


async def test_the_same_answer_again_is_rejected(service: Service, manager: httpx.AsyncClient) -> None:
    survey = await a_survey(manager)
    path = f"/v1/surveys/{survey['id']}/answer"
    await make(manager, path, **entry(score=4))
    assert_problem(await manager.post(path, json=entry(score=4)), 409, "survey-answer-unchanged")
    assert len(await service.events_of(f"surveys/{survey['id']}")) == 2


async def test_a_comment_may_follow_the_score(service: Service, manager: httpx.AsyncClient) -> None:
    survey = await a_survey(manager)
    path = f"/v1/surveys/{survey['id']}/answer"
    await make(manager, path, **entry(score=4))
    commented = await make(manager, path, **entry(score=4, comment="Friendly"))
    assert (commented["score"], commented["comment"], commented["version"]) == (4, "Friendly", 3)
    for body in ({"score": 4}, {"score": 4, "comment": "Friendly"}):
        assert_problem(await manager.post(path, json=entry(**body)), 409, "survey-answer-unchanged")
    *_, revised = await service.events_of(f"surveys/{survey['id']}")
    assert isinstance(revised.data, SurveyRevised)
    assert revised.data.change == SurveyRevision(previous_score=4)


async def test_a_ticket_has_one_open_survey(manager: httpx.AsyncClient) -> None:
    ticket = await a_ticket(manager)
    body = {"ticket_id": ticket["id"], "kind": "csat"}
    answers = await asyncio.gather(*(manager.post("/v1/surveys", json=body) for _ in range(10)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 9}
    (sent,) = [answer.json() for answer in answers if answer.status_code == 201]
    for answer in answers:
        if answer.status_code == 409:
            assert assert_problem(answer, 409, "survey-already-open")["existing_id"] == sent["id"]
    await make(manager, f"/v1/surveys/{sent['id']}/answer", **entry(score=3))
    assert (await manager.post("/v1/surveys", json=body)).status_code == 201


async def test_a_survey_needs_a_ticket(manager: httpx.AsyncClient) -> None:
    answer = await manager.post("/v1/surveys", json={"ticket_id": NOWHERE, "kind": "csat"})
    problem = assert_problem(answer, 422, "unknown-reference")
    assert [error["pointer"] for error in problem["errors"]] == ["#/ticket_id"]
    assert_problem(await manager.get(f"/v1/surveys/{NOWHERE}"), 404)
    assert_problem(await manager.post(f"/v1/surveys/{NOWHERE}/answer", json=entry(score=1)), 404)


async def test_a_reference_is_taken_once(manager: httpx.AsyncClient) -> None:
    survey = await a_survey(manager, external_ref=reference())
    other = {"ticket_id": (await a_ticket(manager))["id"], "kind": "csat", "external_ref": survey["external_ref"]}
    problem = assert_problem(await manager.post("/v1/surveys", json=other), 409, "external-ref-taken")
    assert problem["existing_id"] == survey["id"]


async def test_a_stale_answer_is_refused(manager: httpx.AsyncClient) -> None:
    survey = await a_survey(manager)
    path = f"/v1/surveys/{survey['id']}/answer"
    assert (await manager.post(path, json=entry(score=1), headers={"If-Match": '"1"'})).status_code == 200
    assert_problem(await manager.post(path, json=entry(score=2), headers={"If-Match": '"1"'}), 412)


async def test_surveys_are_filtered_by_ticket_and_attribution(manager: httpx.AsyncClient) -> None:
    team = await make(manager, "/v1/teams", name="Desk")
    rita = await an_agent(manager, team_id=team["id"])
    customer = await a_customer(manager)
    ticket = await a_ticket(manager, customer_id=customer["id"], agent_id=rita["id"])
    sent = await a_survey(manager, ticket_id=ticket["id"], external_ref=reference())
    found = await make(manager, f"/v1/surveys/{sent['id']}/answer", **entry(score=1))
    await a_survey(manager)
    for name in ("ticket_id", "customer_id", "agent_id", "team_id", "external_ref"):
        page = (await manager.get("/v1/surveys", params={name: found[name]})).json()
        assert page == {"items": [found], "next_cursor": None, "total": None, "included": None}, name
    scored = (await manager.get("/v1/surveys", params={"score": "1", "limit": "200"})).json()["items"]
    assert found in scored
    assert {item["score"] for item in scored} == {1}
    assert_problem(await manager.get("/v1/surveys", params={"score": "6"}), 422)


class TestTheCustomersLink:
    """Only the signed link lets someone without an account answer."""

    async def test_a_customer_answers_and_revises_without_an_account(
        self, service: Service, importer: httpx.AsyncClient, anonymous: httpx.AsyncClient
    ) -> None:
        survey = await a_survey(importer)
        answered = await anonymous.post(survey["answer_path"], json={"score": 3, "comment": "So so"})
        assert answered.status_code == 200
        shown = answered.json()
        assert set(shown) == {"id", "version", "kind", "answered_at", "score", "recommendation", "effort", "comment"}
        assert (shown["score"], shown["comment"], shown["version"]) == (3, "So so", 2)
        revised = await anonymous.post(survey["answer_path"], json={"score": 4}, headers={"If-Match": '"2"'})
        assert (revised.status_code, revised.headers["etag"]) == (200, '"3"')
        types = [type(event.data) for event in await service.events_of(f"surveys/{survey['id']}")]
        assert types == [SurveySent, SurveyAnswered, SurveyRevised]

    async def test_a_customer_may_not_backdate(self, importer: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
        survey = await a_survey(importer)
        body = {"score": 3, "occurred_at": "2024-01-01T00:00:00Z"}
        assert_problem(await anonymous.post(survey["answer_path"], json=body), 422, "invalid-request")

    async def test_an_account_is_needed_for_everything_else(
        self, importer: httpx.AsyncClient, anonymous: httpx.AsyncClient
    ) -> None:
        survey = await a_survey(importer)
        assert_problem(await anonymous.get(f"/v1/surveys/{survey['id']}"), 401)
        assert_problem(await anonymous.post(f"/v1/surveys/{survey['id']}/answer", json={"score": 1}), 401)

    @pytest.mark.parametrize("role", ["importer", "admin"])
    async def test_the_process_that_sends_it_sees_the_link(self, service: Service, role: str) -> None:
        async with service.client(role) as http:
            survey = await a_survey(http)
            assert survey["answer_path"].startswith("/v1/survey-answers/")
            assert (await http.get(f"/v1/surveys/{survey['id']}")).json() == survey

    async def test_who_is_rated_does_not_see_the_link(
        self, service: Service, importer: httpx.AsyncClient, agent: httpx.AsyncClient
    ) -> None:
        ticket = await a_ticket(importer)
        sent = await agent.post("/v1/surveys", json={"ticket_id": ticket["id"], "kind": "csat"})
        assert (sent.status_code, sent.json()["answer_path"]) == (201, None)
        assert (await agent.get(f"/v1/surveys/{sent.json()['id']}")).json()["answer_path"] is None
        (listed,) = (await agent.get("/v1/surveys", params={"ticket_id": ticket["id"]})).json()["items"]
        assert listed["answer_path"] is None

    async def test_who_may_only_read_does_not_see_the_link(
        self, importer: httpx.AsyncClient, analyst: httpx.AsyncClient
    ) -> None:
        survey = await a_survey(importer)
        seen = (await analyst.get(f"/v1/surveys/{survey['id']}")).json()
        assert seen == survey | {"answer_path": None}
        (listed,) = (await analyst.get("/v1/surveys", params={"ticket_id": survey["ticket_id"]})).json()["items"]
        assert listed["answer_path"] is None

    async def test_a_link_that_was_tampered_with_leads_nowhere(
        self, service: Service, importer: httpx.AsyncClient, anonymous: httpx.AsyncClient
    ) -> None:
        survey = await a_survey(importer)
        good = survey["answer_path"].rsplit("/", 1)[1]
        other = (await a_survey(importer))["answer_path"].rsplit("/", 1)[1]
        forged = token_of(SurveyLinks("another secret", days=90), UUID(survey["id"]))
        swapped = good[:10] + ("A" if good[10] != "A" else "B") + good[11:]
        for token in (
            forged,
            swapped,
            good[:-2],
            good + "AA",
            good[:21] + other[21:],
            later(good),
            "A" * 48,
            "%00",
            "ą",
            "=",
        ):
            answer = await anonymous.post(f"/v1/survey-answers/{token}", json={"score": 1})
            assert_problem(answer, 404, "not-found")
        assert_problem(await anonymous.post(f"/v1/survey-answers/{'A' * 101}", json={"score": 1}), 422)
        assert len(await service.events_of(f"surveys/{survey['id']}")) == 1

    async def test_the_link_is_not_in_the_log(self, importer: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
        survey = await a_survey(importer)
        with structlog.testing.capture_logs() as lines:
            await anonymous.post(survey["answer_path"], json={"score": 3})
        (line,) = [line for line in lines if line["event"] == "request"]
        assert (line["path"], line["status"]) == ("/v1/survey-answers/{token}", 200)
        assert survey["answer_path"].rsplit("/", 1)[1] not in repr(lines)

    async def test_a_genuine_link_to_no_survey_leads_nowhere(self, anonymous: httpx.AsyncClient) -> None:
        token = token_of(SurveyLinks(SECRET, days=90), new_id())
        assert_problem(await anonymous.post(f"/v1/survey-answers/{token}", json={"score": 1}), 404)

    async def test_an_expired_link_is_gone(self, importer: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
        ticket = await a_ticket(importer, occurred_at="2024-01-10T00:00:00Z")
        survey = await a_survey(importer, ticket_id=ticket["id"], occurred_at="2024-01-11T00:00:00Z")
        assert survey["answer_path"] is None, "who has to give it to the customer sees that it is useless"
        token = token_of(SurveyLinks(SECRET, days=90), UUID(survey["id"]), hours=-1)
        problem = assert_problem(
            await anonymous.post(f"/v1/survey-answers/{token}", json={"score": 1}), 410, "survey-link-expired"
        )
        assert datetime.fromisoformat(problem["expired_at"]) <= datetime.now(UTC)

    async def test_an_answer_becomes_final(
        self, service: Service, importer: httpx.AsyncClient, anonymous: httpx.AsyncClient
    ) -> None:
        now = datetime.now(UTC)
        ticket = await a_ticket(importer, occurred_at=(now - timedelta(days=20)).isoformat())
        sent = (now - timedelta(days=19)).isoformat()
        for days, status in ((13, 200), (15, 409)):
            survey = await a_survey(importer, ticket_id=ticket["id"], occurred_at=sent)
            assert (await anonymous.post(survey["answer_path"], json={"score": 2})).status_code == 200
            # What a customer answers cannot be backdated.
            answered = Survey.table.update().where(Survey.table.c.id == UUID(survey["id"]))
            async with service.engine.begin() as connection:
                await connection.execute(answered.values(answered_at=now - timedelta(days=days)))
            answer = await anonymous.post(survey["answer_path"], json={"score": 1})
            assert answer.status_code == status, answer.text
        problem = assert_problem(answer, 409, "survey-answer-final")
        assert datetime.fromisoformat(problem["revisable_until"]) < now

    async def test_an_entered_answer_never_replaces_the_customers_own(
        self, service: Service, importer: httpx.AsyncClient, anonymous: httpx.AsyncClient
    ) -> None:
        survey = await a_survey(importer)
        path = f"/v1/surveys/{survey['id']}/answer"
        await make(importer, path, **entry(score=5, recommendation=10, comment="As the card has it"))
        corrected = await make(importer, path, **entry(score=4))
        assert (corrected["answer_source"], corrected["entry_reason"]) == ("entered", "paper-form")
        own = await anonymous.post(survey["answer_path"], json={"score": 4})
        assert (own.status_code, own.json()["score"], own.json()["recommendation"]) == (200, 4, None)
        shown = (await importer.get(f"/v1/surveys/{survey['id']}")).json()
        assert [shown[name] for name in ("answer_source", "entry_reason", "entered_by", "revised_at", "comment")] == [
            "customer", None, None, None, None,
        ]  # fmt: skip
        problem = await importer.post(path, json=entry(score=5))
        assert_problem(problem, 409, "customer-already-answered")
        events = await service.events_of(f"surveys/{survey['id']}")
        assert [type(event.data) for event in events] == [SurveySent, SurveyAnswered, SurveyRevised, SurveyAnswered]
        sources = [(event.data.answer_source, event.data.entry_reason) for event in events]  # type: ignore[attr-defined]
        assert sources == [(None, None), ("entered", "paper-form"), ("entered", "paper-form"), ("customer", None)]

    async def test_customers_do_not_share_their_idempotency_keys(
        self, importer: httpx.AsyncClient, anonymous: httpx.AsyncClient
    ) -> None:
        key = {"Idempotency-Key": "1"}
        surveys = [await a_survey(importer) for _ in range(2)]
        first, second = [
            await anonymous.post(survey["answer_path"], json={"score": 3}, headers=key) for survey in surveys
        ]
        assert (first.status_code, second.status_code) == (200, 200)
        assert [first.json()["id"], second.json()["id"]] == [survey["id"] for survey in surveys]
        again = await anonymous.post(surveys[0]["answer_path"], json={"score": 3}, headers=key)
        assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")


SECRET = "a secret of the tests only"


def token_of(links: SurveyLinks, survey_id: UUID, hours: int = 1) -> str:
    """Return the token of a link that expires in so many hours."""
    return links.token(survey_id, datetime.now(UTC) + timedelta(hours=hours))


def later(token: str) -> str:
    """Return the token with another expiry."""
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    raw[18] ^= 1
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_a_link_names_its_survey_and_no_other() -> None:
    links = SurveyLinks("a secret", days=1)
    survey_id = new_id()
    token = token_of(links, survey_id)
    assert links.read(token) == survey_id
    with pytest.raises(NotFound):
        SurveyLinks("another secret", days=1).read(token)


def test_links_by_the_previous_secret_are_valid_and_made_by_the_new_one() -> None:
    survey_id = new_id()
    old, new = SurveyLinks("old", days=1), SurveyLinks("new", days=1)
    both = SurveyLinks("new", "old", days=1)
    assert both.read(token_of(old, survey_id)) == both.read(token_of(new, survey_id)) == survey_id
    assert new.read(token_of(both, survey_id)) == survey_id
    with pytest.raises(NotFound):
        old.read(token_of(both, survey_id))


@settings(deadline=None)
@given(token=st.text(max_size=60))
def test_any_text_is_refused_as_a_token(token: str) -> None:
    with pytest.raises(NotFound):
        SurveyLinks("a secret", days=1).read(token)


@settings(deadline=None)
@given(steps=st.lists(st.tuples(st.integers(1, 5), st.integers(-60, 600)), max_size=12))
def test_the_first_day_and_the_last_score_of_an_answer_count(steps: list[tuple[int, int]]) -> None:
    noon = datetime(2025, 3, 31, 12, tzinfo=UTC)
    ticket, _ = Ticket.open(customer_id=new_id(), kind="problem", channel="web", priority="low", at=noon)
    survey, _ = Survey.send(kind="csat", ticket=ticket, at=noon, external_ref=None)
    taken: list[tuple[int, datetime]] = []
    for score, minutes in steps:
        latest = taken[-1][1] if taken else noon
        at = latest + timedelta(minutes=minutes)
        if taken and taken[-1][0] == score:
            with pytest.raises(SurveyAnswerUnchanged):
                survey.answer(score=score, comment=None, at=at)
        elif at < latest:
            with pytest.raises(OccurredTooEarly):
                survey.answer(score=score, comment=None, at=at)
        else:
            event = survey.answer(score=score, comment=None, at=at)
            previous = event.change.previous_score if isinstance(event, SurveyRevised) else None
            assert previous == (taken[-1][0] if taken else None)
            taken.append((score, at))
        assert survey.version == 1 + len(taken)
        assert survey.score == (taken[-1][0] if taken else None)
        assert survey.answered_at == (taken[0][1] if taken else None)


def test_a_survey_cannot_be_older_than_its_ticket() -> None:
    noon = datetime(2025, 3, 31, 12, tzinfo=UTC)
    ticket, _ = Ticket.open(customer_id=new_id(), kind="problem", channel="web", priority="low", at=noon)
    with pytest.raises(OccurredTooEarly):
        Survey.send(kind="csat", ticket=ticket, at=noon - timedelta(seconds=1), external_ref=None)


async def test_a_customer_may_be_asked_for_more_than_a_score(service: Service, manager: httpx.AsyncClient) -> None:
    ticket = await a_ticket(manager)
    survey = await make(manager, "/v1/surveys", ticket_id=ticket["id"], kind="csat")
    path = f"/v1/surveys/{survey['id']}/answer"
    answered = (await manager.post(path, json=entry(score=4, recommendation=9, effort=6))).json()
    assert (answered["recommendation"], answered["effort"]) == (9, 6)
    revised = (await manager.post(path, json=entry(score=5))).json()
    assert (revised["score"], revised["recommendation"], revised["effort"]) == (5, 9, 6)
    event = (await service.events_of(f"surveys/{survey['id']}"))[-1].data
    assert isinstance(event, SurveyRevised)
    assert (event.recommendation, event.effort) == (9, 6)
    again = await manager.post(path, json=entry(score=5, recommendation=9))
    assert_problem(again, 409, "survey-answer-unchanged")
    for bad in ({"recommendation": 11}, {"effort": 0}):
        assert_problem(await manager.post(path, json=entry(score=5) | bad), 422, "invalid-request")
