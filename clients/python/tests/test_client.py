"""The client against running APIs, which the environment names."""

import asyncio
import os
import uuid

import pytest
from tandem_client import ProblemError, client_of, etag_of, metrics, new_key, records, sales, service
from tandem_client.metrics.api.kpis import answer_kpi, list_kpis
from tandem_client.metrics.models import AnswerRead, CatalogueRead
from tandem_client.sales.api.accounts import list_accounts, register_account
from tandem_client.sales.api.deals import change_deal_stage, close_deal, get_deal, open_deal
from tandem_client.sales.api.products import create_product
from tandem_client.sales.models import (
    AccountCreate,
    AccountRead,
    DealCloseRequest,
    DealCreate,
    DealLineCreate,
    DealOutcome,
    DealRead,
    DealStage,
    DealStageRequest,
    OpenDealStage,
    ProductCreate,
)
from tandem_client.service.api.customers import register_customer
from tandem_client.service.api.tickets import open_ticket
from tandem_client.service.models import (
    CustomerCreate,
    CustomerRead,
    Priority,
    TicketChannel,
    TicketCreate,
    TicketKind,
    TicketRead,
    TicketStatus,
)

TOKEN = os.environ["TANDEM_TOKEN"]
SALES = client_of(sales.AuthenticatedClient, os.environ["TANDEM_SALES_URL"], TOKEN)
SERVICE = client_of(service.AuthenticatedClient, os.environ["TANDEM_SERVICE_URL"], TOKEN)
METRICS = client_of(metrics.AuthenticatedClient, os.environ["TANDEM_METRICS_URL"], TOKEN)


def unique() -> str:
    return f"py-{uuid.uuid4().hex[:8]}"


def new_account(name: str, region: str | None = None) -> AccountRead:
    account = register_account.sync(client=SALES, body=AccountCreate(name=name, region=region))
    assert isinstance(account, AccountRead)
    return account


def new_deal() -> tuple[DealRead, str]:
    product = unique()
    create_product.sync(client=SALES, body=ProductCreate(code=product, name="Oven"))
    line = DealLineCreate(product=product, quantity=2, unit_price="1299.00")
    body = DealCreate(account_id=new_account("Bakery").id, currency="EUR", lines=[line])
    answer = open_deal.sync_detailed(client=SALES, body=body)
    assert isinstance(answer.parsed, DealRead)
    return answer.parsed, etag_of(answer)


def test_a_record_is_created_read_changed_by_its_version_and_refused_by_an_old_one() -> None:
    deal, etag = new_deal()
    assert deal.amount == "2598.00"
    to_proposal = DealStageRequest(stage=OpenDealStage.PROPOSAL)
    moved = change_deal_stage.sync(deal.id, client=SALES, body=to_proposal, if_match=etag)
    assert isinstance(moved, DealRead)
    assert moved.stage is DealStage.PROPOSAL
    with pytest.raises(ProblemError) as stale:
        change_deal_stage.sync(
            deal.id, client=SALES, body=DealStageRequest(stage=OpenDealStage.NEGOTIATION), if_match=etag
        )
    assert (stale.value.status, stale.value.slug) == (412, "stale-version")
    read = get_deal.sync_detailed(deal.id, client=SALES)
    assert isinstance(read.parsed, DealRead)
    assert (read.parsed.version, etag_of(read)) == (2, '"2"')


def test_what_the_state_does_not_allow_is_a_conflict_with_a_name() -> None:
    deal, _ = new_deal()
    won = close_deal.sync(deal.id, client=SALES, body=DealCloseRequest(outcome=DealOutcome.WON))
    assert isinstance(won, DealRead)
    assert won.stage is DealStage.WON
    with pytest.raises(ProblemError) as conflict:
        close_deal.sync(deal.id, client=SALES, body=DealCloseRequest(outcome=DealOutcome.WON))
    assert (conflict.value.status, conflict.value.slug) == (409, "deal-already-closed")
    assert conflict.value.request_id


def test_a_repeat_with_the_same_key_changes_nothing_twice() -> None:
    key, body = new_key(), AccountCreate(name="Repeated")
    first = register_account.sync_detailed(client=SALES, body=body, idempotency_key=key)
    second = register_account.sync_detailed(client=SALES, body=body, idempotency_key=key)
    assert isinstance(first.parsed, AccountRead)
    assert isinstance(second.parsed, AccountRead)
    assert second.parsed.id == first.parsed.id
    assert second.headers["Idempotent-Replayed"] == "true"


def test_an_invalid_request_names_its_places() -> None:
    line = DealLineCreate(product="none", quantity=0, unit_price="1.00")
    body = DealCreate(account_id=new_account("Checked").id, currency="EUR", lines=[line])
    with pytest.raises(ProblemError) as refused:
        open_deal.sync(client=SALES, body=body)
    assert refused.value.status == 422
    assert [error["pointer"] for error in refused.value.errors] == ["#/lines/0/quantity"]


def test_a_list_is_read_to_its_end_page_by_page() -> None:
    region = unique()
    made = {new_account(f"Listed {number}", region).id for number in range(5)}
    found = {each.id for each in records(list_accounts.sync, AccountRead, client=SALES, region=[region], limit=2)}
    assert found == made


def test_the_other_two_apis_answer_by_the_same_rules() -> None:
    customer = register_customer.sync(client=SERVICE, body=CustomerCreate(name="Caller"))
    assert isinstance(customer, CustomerRead)
    body = TicketCreate(
        customer_id=customer.id, kind=TicketKind.PROBLEM, channel=TicketChannel.PHONE, priority=Priority.HIGH
    )
    ticket = open_ticket.sync(client=SERVICE, body=body)
    assert isinstance(ticket, TicketRead)
    assert ticket.status is TicketStatus.OPEN
    catalogue = list_kpis.sync(client=METRICS)
    assert isinstance(catalogue, CatalogueRead)
    assert "win_rate" in {kpi.name for kpi in catalogue.items}
    answer = asyncio.run(answer_kpi.asyncio("win_rate", client=METRICS))
    assert isinstance(answer, AnswerRead)
    assert answer.unit == "ratio"


def test_a_token_that_is_not_valid_is_refused() -> None:
    stranger = client_of(sales.AuthenticatedClient, os.environ["TANDEM_SALES_URL"], "no-token")
    with pytest.raises(ProblemError) as refused:
        list_accounts.sync(client=stranger)
    assert (refused.value.status, refused.value.slug) == (401, "unauthenticated")
