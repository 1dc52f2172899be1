"""Bad ratings wait until an agent has spoken with the customer about them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from event_contracts.fields import Credit
from event_contracts.service import RatingWait, SurveyFollowedUp
from service_api.surveys.model import RatingNotWaiting, Survey, SurveyAnswerUnchanged
from service_api.tickets.model import Ticket
from service_kit.identifiers import new_id
from tests.service_api.conftest import Service, a_customer, a_ticket, an_agent, assert_carries, make
from tests.service_api.test_surveys import a_survey, entry
from tests.service_kit.conftest import assert_problem

Body = dict[str, Any]


async def rated(http: httpx.AsyncClient, score: int, **survey: Any) -> Body:
    """A survey with the customer's own answer."""
    sent = await a_survey(http, **survey)
    return await rate(http, sent, score)


async def rate(http: httpx.AsyncClient, survey: Body, score: int) -> Body:
    asked = (await http.get(f"/v1/surveys/{survey['id']}")).json()
    answered = await http.post(asked["answer_path"], json={"score": score})
    assert answered.is_success, answered.text
    return await look_at(http, survey)


async def look_at(http: httpx.AsyncClient, survey: Body) -> Body:
    found: Body = (await http.get(f"/v1/surveys/{survey['id']}")).json()
    return found


async def test_a_bad_rating_waits_until_an_agent_speaks_with_the_customer(
    service: Service, importer: httpx.AsyncClient
) -> None:
    agent = await an_agent(importer)
    ticket = await a_ticket(importer, agent_id=agent["id"])
    survey = await rated(importer, 1, ticket_id=ticket["id"])
    assert survey["waiting_since"] == survey["answered_at"]
    listed = await importer.get(f"/v1/surveys?ticket_id={ticket['id']}&waiting_since_from=2000-01-01T00:00:00Z")
    assert [each["id"] for each in listed.json()["items"]] == [survey["id"]]
    contact = {"channel": "phone", "direction": "outbound", "visibility": "internal", "agent_id": agent["id"]}
    path = f"/v1/tickets/{ticket['id']}/interactions"
    # A note to colleagues, an automatic message, and what was said before the rating are no follow-up.
    await make(importer, path, **contact)
    await make(importer, path, **contact | {"visibility": "public", "agent_id": None})
    await make(importer, path, **contact | {"visibility": "public", "occurred_at": ticket["opened_at"]})
    assert (await look_at(importer, survey))["waiting_since"] is not None
    spoken = await make(importer, path, **contact | {"visibility": "public"})
    followed = await look_at(importer, survey)
    (wait,) = followed["waits"]
    assert (followed["waiting_since"], wait["since"], wait["until"]) == (
        None, survey["answered_at"], spoken["occurred_at"],
    )  # fmt: skip
    assert (wait["ended_by"], wait["channel"]) == ("follow_up", "phone")
    assert wait["followed_up_by"]["person_id"] == agent["id"]
    *_, event = await service.events_of(f"surveys/{survey['id']}")
    assert_carries(event, followed, SurveyFollowedUp)
    # Another contact follows up nothing.
    await make(importer, path, **contact | {"visibility": "public"})
    assert (await look_at(importer, survey))["version"] == followed["version"]


async def test_a_follow_up_may_be_recorded_by_itself_once(service: Service, importer: httpx.AsyncClient) -> None:
    survey = await rated(importer, 2)
    path = f"/v1/surveys/{survey['id']}/follow-up"
    early = {"channel": "in_person", "occurred_at": "2024-01-01T00:00:00Z"}
    assert (await importer.post(path, json=early)).status_code == 409
    assert_problem(await importer.post(path, json={}), 422, "invalid-request")
    other = await an_agent(importer)
    followed = await make(importer, path, channel="in_person", agent_id=other["id"])
    assert followed["waits"][0]["followed_up_by"]["person_id"] == other["id"]
    assert_problem(await importer.post(path, json={"channel": "phone"}), 409, "rating-not-waiting")
    # A worse rating after that is a wait of its own; a better one is none.
    assert (await rate(importer, survey, 1))["waiting_since"] is not None
    await make(importer, path, channel="phone")
    assert (await rate(importer, survey, 2))["waiting_since"] is None
    good = await rated(importer, 3)
    assert good["waits"] == []
    assert_problem(
        await importer.post(f"/v1/surveys/{good['id']}/follow-up", json={"channel": "phone"}), 409, "rating-not-waiting"
    )


async def test_the_ticket_s_policy_says_which_ratings_are_bad(
    service: Service, manager: httpx.AsyncClient, importer: httpx.AsyncClient
) -> None:
    for bad_score, waits in ((0, [False] * 5), (3, [True] * 3 + [False] * 2), (None, [True] * 2 + [False] * 3)):
        declared = {"name": "Desk", "kind": "training_request", "first_response_seconds": 900, "bad_score": bad_score}
        policy = await make(manager, "/v1/sla-policies", **declared)
        assert policy["bad_score"] == bad_score
        found = []
        for score in range(1, 6):
            ticket = await a_ticket(manager, kind="training_request")
            found.append((await rated(importer, score, ticket_id=ticket["id"]))["waiting_since"] is not None)
        assert (bad_score, found) == (bad_score, waits)
        await manager.patch(f"/v1/sla-policies/{policy['id']}", json={"active": False})
    refused = await manager.post("/v1/sla-policies", json=declared | {"bad_score": 5})
    assert_problem(refused, 422, "invalid-request")


async def test_a_good_revision_ends_the_wait_and_a_correction_takes_it_back(
    service: Service, importer: httpx.AsyncClient
) -> None:
    survey = await rated(importer, 1)
    revised = await rate(importer, survey, 5)
    (wait,) = revised["waits"]
    assert (wait["ended_by"], wait["until"], wait["followed_up_by"]) == ("revision", revised["revised_at"], None)
    entered = await a_survey(importer)
    path = f"/v1/surveys/{entered['id']}/answer"
    assert (await make(importer, path, **entry(score=1)))["waiting_since"] is not None
    corrected = await make(importer, path, **entry(score=4))
    assert (corrected["waits"], corrected["waiting_since"]) == ([], None)


async def test_a_check_in_that_was_planned_after_the_rating_follows_it_up(
    service: Service, manager: httpx.AsyncClient, importer: httpx.AsyncClient
) -> None:
    region = f"cove-{new_id().hex[:8]}"
    rule = await make(
        manager, "/v1/planning-rules", name="Call", trigger="bad_rating", days=1, purpose="care", region=region
    )
    customer = await a_customer(manager, region=region)
    ticket = await a_ticket(manager, customer_id=customer["id"])
    survey = await rated(importer, 1, ticket_id=ticket["id"])
    (check_in,) = (await manager.get(f"/v1/check-ins?customer_id={customer['id']}")).json()["items"]
    agent = await an_agent(manager)
    await make(manager, f"/v1/check-ins/{check_in['id']}/done", agent_id=agent["id"])
    followed = await look_at(importer, survey)
    (wait,) = followed["waits"]
    assert (followed["waiting_since"], wait["ended_by"], wait["channel"]) == (None, "follow_up", None)
    assert wait["followed_up_by"]["person_id"] == agent["id"]
    await manager.patch(f"/v1/planning-rules/{rule['id']}", json={"active": False})


async def test_who_was_erased_is_not_to_be_contacted(
    service: Service, manager: httpx.AsyncClient, importer: httpx.AsyncClient
) -> None:
    ticket = await a_ticket(manager)
    survey = await rated(importer, 1, ticket_id=ticket["id"])
    await make(manager, f"/v1/customers/{ticket['customer_id']}/erase")
    erased = await look_at(importer, survey)
    assert (erased["waiting_since"], erased["waits"][0]["until"]) == (None, None)
    again = await importer.post(f"/v1/surveys/{survey['id']}/follow-up", json={"channel": "phone"})
    assert_problem(again, 409, "survey-already-erased")


async def test_an_agent_follows_up_what_is_theirs_only(service: Service, importer: httpx.AsyncClient) -> None:
    subject = f"rita-{new_id().hex[:8]}"
    mine, other = await an_agent(importer, subject=subject), await an_agent(importer)
    surveys = [
        await rated(importer, 1, ticket_id=(await a_ticket(importer, agent_id=each["id"]))["id"])
        for each in (mine, other)
    ]
    async with service.client("service-agent") as me:
        me.headers["Authorization"] = f"Bearer {service.issuer.token('service-agent', sub=subject)}"
        answers = [await me.post(f"/v1/surveys/{each['id']}/follow-up", json={"channel": "phone"}) for each in surveys]
        assert answers[0].status_code == 200
        assert answers[0].json()["waits"][0]["followed_up_by"]["person_id"] == mine["id"]
        assert answers[1].status_code in (403, 404)
        # By a contact on their ticket, too.
        ticket = await a_ticket(importer, agent_id=mine["id"])
        survey = await rated(importer, 1, ticket_id=ticket["id"])
        await make(
            me,
            f"/v1/tickets/{ticket['id']}/interactions",
            channel="email", direction="outbound", visibility="public", agent_id=mine["id"],
        )  # fmt: skip
    assert (await look_at(importer, survey))["waiting_since"] is None


STEP = st.one_of(st.tuples(st.just("answer"), st.integers(1, 5)), st.just(("follow_up", 0)))


@settings(deadline=None)
@given(steps=st.lists(st.tuples(STEP, st.integers(0, 600)), max_size=15), bad=st.sampled_from([None, 0, 1, 4]))
def test_a_rating_waits_just_while_it_is_bad_and_not_followed_up(
    steps: list[tuple[tuple[str, int], int]], bad: int | None
) -> None:
    noon = datetime(2025, 3, 31, 12, tzinfo=UTC)
    ticket, _ = Ticket.open(customer_id=new_id(), kind="problem", channel="web", priority="low", at=noon)
    survey, _ = Survey.send(kind="csat", ticket=ticket, at=noon, external_ref=None, bad_score=bad)
    best, by = 2 if bad is None else bad, Credit(person_id=new_id(), team_id=None)
    now, waits, score = noon, False, None
    for (kind, given_score), minutes in steps:
        now += timedelta(minutes=minutes)
        if kind == "follow_up":
            try:
                survey.follow_up(at=now, by=by, channel="phone")
                assert waits
            except RatingNotWaiting:
                assert not waits
            waits = False
            continue
        try:
            survey.answer(score=given_score, comment=None, at=now)
        except SurveyAnswerUnchanged:
            continue
        waits = given_score <= best and (waits or score is None or given_score < score)
        score = given_score
        assert (survey.waiting_since is not None) == waits
    known = msgspec.convert(survey.waits, list[RatingWait])
    # They follow each other; only the last one may go on.
    moments = [moment for wait in known for moment in (wait.since, wait.until) if moment is not None]
    assert moments == sorted(moments)
    assert all(wait.until is not None for wait in known[:-1])
    assert (bool(known) and known[-1].until is None) == waits
