"""Each posting of an explanation leads to the event that made it and to the record, at the API that has them."""

import csv
import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from pydantic import ValidationError

from metrics_worker.api.links import ApiAddresses, record_address
from metrics_worker.domain.kinds import EVENT_KINDS, Kind
from metrics_worker.settings import MetricsSettings
from tests.every_api.test_every_route import OPERATIONS
from tests.metrics_worker.conftest import Metrics
from tests.metrics_worker.facts import (
    CUSTOMER,
    account,
    all_decoded,
    check_in,
    deal,
    interaction,
    line,
    logged,
    own_customer,
    ticket,
    upsell,
)

SALES, SERVICE = "http://127.0.0.1:8001", "http://127.0.0.1:8002"


async def links(metrics: Metrics, kpi: str, **parameters: str) -> list[Mapping[str, Any]]:
    items: list[Mapping[str, Any]] = (await metrics.ask(f"{kpi}/explain", **parameters))["items"]
    assert items
    return items


def event_of(item: Mapping[str, Any]) -> str:
    address: str = item["links"]["event"]
    assert address.endswith(f"/v1/events/{item['event_id']}")
    return address.partition("/v1/")[0]


async def test_a_posting_leads_to_the_api_of_its_record(metrics: Metrics) -> None:
    contact = interaction()
    made = {
        "revenue": deal(line("desk", 1, "10"), stage="won"),
        "tickets_opened": ticket(),
        "check_ins_completed": check_in(),
        "upsell_from_service": upsell(),
    }
    await metrics.ingest(*made.values(), logged(contact))
    expected = {
        "revenue": (SALES, "deals"),
        "tickets_opened": (SERVICE, "tickets"),
        "check_ins_completed": (SERVICE, "check-ins"),
    }
    for kpi, (api, collection) in expected.items():
        item = next(each for each in await links(metrics, kpi) if each["subject"].endswith(str(made[kpi].id)))
        assert event_of(item) == api
        assert item["links"]["record"] == f"{api}/v1/{collection}/{made[kpi].id}"
    handled = [each for each in await links(metrics, "average_handle_time") if each["kind"] == "interaction"]
    assert [each["links"]["record"] for each in handled] == [
        f"{SERVICE}/v1/tickets/{contact.ticket_id}/interactions/{contact.id}"
    ]
    answer = await metrics.client.get("/v1/kpis/revenue/explain?format=csv&from=2026-03-01&to=2026-03-31")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    (item,) = await links(metrics, "revenue")
    assert {"event": row["event_link"], "record": row["record_link"]} == item["links"]


async def test_a_posting_of_a_timeline_leads_to_what_changed_it(metrics: Metrics) -> None:
    customer = account()
    won = deal(line("desk", 1, "10"), stage="won", account_id=customer.id)
    await metrics.ingest(customer, won)
    (item,) = await links(metrics, "new_revenue")
    assert item["subject"] == f"relationships/{customer.id}"
    assert event_of(item) == SALES
    assert item["links"]["record"] == f"{SALES}/v1/deals/{won.id}"


async def test_what_a_merge_moved_leads_to_the_event_of_the_account(metrics: Metrics) -> None:
    gone, survivor = account(), account()
    opened = ticket(customer_id=gone.id)
    [merge] = all_decoded([(account(id=gone.id, merged_into=survivor.id), 2)])
    await metrics.apply(all_decoded([gone, survivor, opened]), [merge])
    items = await links(metrics, "tickets_opened")
    assert {event_of(each) for each in items if each["event_id"] == str(merge.event_id)} == {SALES}
    assert {event_of(each) for each in items if each["event_id"] != str(merge.event_id)} == {SERVICE}
    assert {each["links"]["record"] for each in items} == {f"{SERVICE}/v1/tickets/{opened.id}"}


async def test_what_a_link_of_service_moved_leads_to_the_event_of_the_customer(metrics: Metrics) -> None:
    own, survivor = own_customer(), account()
    opened = ticket(customer_id=own.id)
    [link] = all_decoded([(msgspec.structs.replace(own, merged_into=survivor.id), 2)])
    [end] = all_decoded([(own, 3)])
    [change] = all_decoded([(msgspec.structs.replace(own, segment="retail"), 4)])
    await metrics.apply(all_decoded([own, survivor, opened]), [link], [end], [change])
    items = await links(metrics, "tickets_opened")
    assert {str(link.event_id), str(end.event_id)} < {each["event_id"] for each in items}
    assert {event_of(each) for each in items} == {SERVICE}


async def test_what_came_back_by_the_end_of_a_merge_leads_to_the_events_of_the_account(metrics: Metrics) -> None:
    gone, survivor = account(), account()
    opened = ticket(customer_id=gone.id)
    [merge] = all_decoded([(account(id=gone.id, merged_into=survivor.id), 2)])
    [end] = all_decoded([(gone, 3)])
    [change] = all_decoded([(account(id=gone.id, segment="retail"), 4)])
    await metrics.apply(all_decoded([gone, survivor, opened]), [merge], [end], [change])
    of_accounts = {str(merge.event_id), str(end.event_id)}
    for customer in (gone, survivor):
        items = await links(metrics, "tickets_opened", customer=str(customer.id))
        moved = [each for each in items if each["event_id"] in of_accounts]
        assert {each["event_id"] for each in moved} == of_accounts
        assert {event_of(each) for each in moved} == {SALES}
        assert {event_of(each) for each in items if each not in moved} <= {SERVICE}


@pytest.mark.parametrize("kind", [kind for kind in EVENT_KINDS if kind.has_postings], ids=lambda kind: kind.name)
def test_the_record_of_every_kind_has_an_address(kind: Kind) -> None:
    address = record_address(kind, CUSTOMER, {CUSTOMER: CUSTOMER}, ApiAddresses(SALES, SERVICE))
    assert address is not None
    parts = urlsplit(address)
    api = {8001: "sales-api", 8002: "service-api"}[parts.port or 0]
    templates = {each.template for each in OPERATIONS if each.api == api and each.method == "GET"}
    shapes = {"/".join("{}" if part.startswith("{") else part for part in each.split("/")) for each in templates}
    assert parts.path.replace(str(CUSTOMER), "{}") in shapes


def test_an_address_has_a_scheme() -> None:
    with pytest.raises(ValidationError, match="sales_api_url"):
        MetricsSettings(sales_api_url="sales.example.com")
