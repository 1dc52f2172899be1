"""What can be done with deals: one function, one transaction each."""

from datetime import UTC, datetime
from uuid import UUID

from event_contracts.sales import Deal as DealState
from sales_api.accounts.use_cases import standing_account
from sales_api.attribution import Attribution
from sales_api.deals.model import DayRate, Deal
from sales_api.deals.schemas import (
    DealAmend,
    DealClose,
    DealIn,
    DealReopen,
    DealStage,
    DealTerms,
    LineIn,
    ProposalIn,
    terms_of,
)
from sales_api.exchange_rates import known_rate_of, rate_of
from sales_api.leads.model import Lead
from sales_api.products import check_products
from sales_api.reps import team_of
from service_kit import outbox
from service_kit.auth import Principal
from service_kit.occurrence import happened_at
from service_kit.problems import NotFound
from service_kit.references import UnknownReference, require_free
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion


async def open_deal(work: UnitOfWork, body: DealIn, by: Principal, reporting_currency: str) -> Deal:
    """Opens a deal with an account."""
    at = happened_at(body.occurred_at, by)
    account = await standing_account(work, body.account_id)
    if body.lead_id is not None and await work.get(Lead, body.lead_id) is None:
        raise UnknownReference.at("#/lead_id", "no lead has this id")
    defaults = Attribution(region=account.region, segment=account.segment, channel=account.channel)
    return await add_deal(
        work,
        body,
        account_id=account.id,
        lead_id=body.lead_id,
        defaults=defaults,
        at=at,
        reporting_currency=reporting_currency,
    )


async def add_deal(
    work: UnitOfWork,
    terms: DealTerms,
    *,
    account_id: UUID,
    lead_id: UUID | None,
    defaults: Attribution,
    at: datetime,
    reporting_currency: str,
    upsell_suggestion_id: UUID | None = None,
    pointer: str = "#",
) -> Deal:
    """The deal with its event, inside whichever use case opens it.

    `defaults` stand in for what the terms leave out; `pointer` is where in the body the terms are.
    """
    await require_free(work, terms.external_ref, among=Deal.table.c.external_ref, ids=Deal.table.c.id)
    await _check_products(work, terms.lines, pointer)
    owner_id, team_id = defaults.owner_id, defaults.team_id
    if terms.owner_id is not None:
        owner_id, team_id = terms.owner_id, await team_of(work, terms.owner_id, f"{pointer}/owner_id")
    deal, event = Deal.open(
        account_id=account_id,
        lead_id=lead_id,
        title=terms.title,
        currency=terms.currency,
        lines=terms_of(terms.lines),
        attribution=Attribution(
            owner_id=owner_id,
            team_id=team_id,
            region=terms.region or defaults.region,
            segment=terms.segment or defaults.segment,
            channel=terms.channel or defaults.channel,
        ),
        expected_close_on=terms.expected_close_on,
        external_ref=terms.external_ref,
        at=at,
        upsell_suggestion_id=terms.upsell_suggestion_id or upsell_suggestion_id,
        day_rate=await _day_rate(work, terms.currency, at, reporting_currency),
    )
    work.add(deal)
    await _publish(work, deal, event)
    return deal


async def change_deal_stage(
    work: UnitOfWork,
    deal_id: UUID,
    body: DealStage,
    expected: ExpectedVersion,
    by: Principal,
    reporting_currency: str,
) -> Deal:
    """Moves a deal along the pipeline."""
    deal = await _locked(work, deal_id, expected)
    at = happened_at(body.occurred_at, by, after=deal.changed_at)
    day_rate = await _day_rate(work, deal.currency, at, reporting_currency)
    await _publish(work, deal, deal.change_stage(body.stage, at=at, day_rate=day_rate))
    return deal


async def send_proposal(
    work: UnitOfWork,
    deal_id: UUID,
    body: ProposalIn,
    expected: ExpectedVersion,
    by: Principal,
    reporting_currency: str,
) -> Deal:
    """Notes that a proposal went out to the customer."""
    deal = await _locked(work, deal_id, expected)
    at = happened_at(body.occurred_at, by, after=deal.changed_at)
    day_rate = await _day_rate(work, deal.currency, at, reporting_currency)
    await _publish(work, deal, deal.send_proposal(at=at, day_rate=day_rate))
    return deal


async def close_deal(
    work: UnitOfWork,
    deal_id: UUID,
    body: DealClose,
    expected: ExpectedVersion,
    by: Principal,
    reporting_currency: str,
) -> Deal:
    """Wins or loses a deal, at the exchange rate of the closing day in UTC."""
    deal = await _locked(work, deal_id, expected)
    at = happened_at(body.occurred_at, by, after=deal.changed_at)
    deal.check_open()
    rate = await rate_of(work, deal.currency, at.astimezone(UTC).date(), reporting_currency)
    event = deal.close(
        body.outcome,
        reason=body.reason,
        rate=rate,
        reporting_currency=reporting_currency,
        at=at,
        agreed=None if body.promise is None else body.promise.agreed(),
    )
    await _publish(work, deal, event)
    return deal


async def reopen_deal(
    work: UnitOfWork,
    deal_id: UUID,
    body: DealReopen,
    expected: ExpectedVersion,
    by: Principal,
    reporting_currency: str,
) -> Deal:
    """Takes a closed deal back into the pipeline."""
    deal = await _locked(work, deal_id, expected)
    at = happened_at(body.occurred_at, by, after=deal.changed_at)
    day_rate = await _day_rate(work, deal.currency, at, reporting_currency)
    await _publish(work, deal, deal.reopen(at=at, day_rate=day_rate))
    return deal


async def amend_deal(
    work: UnitOfWork,
    deal_id: UUID,
    body: DealAmend,
    expected: ExpectedVersion,
    by: Principal,
    reporting_currency: str,
) -> Deal:
    """Corrects a deal's lines, attribution or reason; giving the same again changes nothing."""
    deal = await _locked(work, deal_id, expected)
    at = happened_at(body.occurred_at, by, after=deal.changed_at)
    changes = body.changed_from(deal, besides=frozenset({"lines", "reason", "occurred_at"}))
    if "owner_id" in changes:
        changes["team_id"] = await team_of(work, body.owner_id)
    if "reason" in body.model_fields_set and body.reason != deal.close_reason:
        changes["close_reason"] = body.reason
    lines = terms_of(body.lines) if "lines" in body.model_fields_set else None
    if lines is not None and deal.has_lines(lines):
        lines = None
    if not changes and lines is None:
        return deal
    if lines is not None:
        await _check_products(work, body.lines, "#")
    day_rate = await _day_rate(work, deal.currency, at, reporting_currency)
    await _publish(work, deal, deal.amend(changes, lines, at=at, day_rate=day_rate))
    return deal


async def get_deal(work: UnitOfWork, deal_id: UUID) -> Deal:
    """A deal with its lines. Raises `NotFound` (404)."""
    return _found(await work.get(Deal, deal_id), deal_id)


async def _locked(work: UnitOfWork, deal_id: UUID, expected: ExpectedVersion) -> Deal:
    deal = _found(await work.edit(Deal, deal_id), deal_id)
    expected.check(deal.version)
    return deal


def _found(deal: Deal | None, deal_id: UUID) -> Deal:
    if deal is None:
        raise NotFound(f"There is no deal {deal_id}.")
    return deal


async def _day_rate(work: UnitOfWork, currency: str, at: datetime, reporting_currency: str) -> DayRate | None:
    """What an open deal is valued at; None where no rate is known, which an open deal need not have."""
    found = await known_rate_of(work, currency, at.astimezone(UTC).date(), reporting_currency)
    return None if found is None else DayRate(rate=found.rate, reporting_currency=reporting_currency)


async def _check_products(work: UnitOfWork, lines: list[LineIn], pointer: str) -> None:
    await check_products(
        work, {line.product: f"{pointer}/lines/{n}/product" for n, line in reversed(list(enumerate(lines)))}
    )


async def _publish(work: UnitOfWork, deal: Deal, event: DealState) -> None:
    await outbox.write(work, event, sequence=deal.version, time=deal.changed_at, partition_key=deal.account_id)
