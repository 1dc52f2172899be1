"""The use cases of deals: one function each, within its route's transaction."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from sales_api.accounts.use_cases import require_account
from sales_api.activities.model import Activity
from sales_api.attribution import Attribution
from sales_api.deals.model import DayRate, Deal
from sales_api.deals.schemas import (
    DealAmendRequest,
    DealCloseRequest,
    DealCreate,
    DealLineCreate,
    DealProposalRequest,
    DealReopenRequest,
    DealStageRequest,
    DealUpdate,
    LeadDealCreate,
    terms_of,
)
from sales_api.exchange_rates import known_rate_of, rate_of
from sales_api.leads.model import Lead
from sales_api.leads.suggestions import note_taken_up
from sales_api.planning_rules.use_cases import plan_after_closing, undo_closing
from sales_api.products import check_products
from sales_api.reps import team_of
from service_kit.aggregates import publish
from service_kit.auth import Principal
from service_kit.custom_fields.queries import changed_custom, new_custom
from service_kit.list_values.queries import check_listed
from service_kit.locking import lock
from service_kit.occurrence import happened_at
from service_kit.references import require, require_new
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion


async def open_deal(work: UnitOfWork, body: DealCreate, by: Principal, reporting_currency: str) -> Deal:
    """Open a deal with an account. Raise `ExternalRefTaken` (409) and `UnknownReference` (422)."""
    at = happened_at(body.occurred_at, by)
    await check_listed(work, body)
    account = await require_account(work, body.account_id)
    if body.lead_id is not None:
        await require(work, Lead, body.lead_id, "#/lead_id")
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
    terms: LeadDealCreate,
    *,
    account_id: UUID,
    lead_id: UUID | None,
    defaults: Attribution,
    at: datetime,
    reporting_currency: str,
    upsell_suggestion_id: UUID | None = None,
    pointer: str = "#",
) -> Deal:
    """Add a deal with its event, within the use case that opens it.

    `defaults` replace what the terms leave out; `pointer` is the place of the terms in the body.
    """
    await require_new(work, Deal, terms.external_ref)
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
        custom=await new_custom(work, Deal, terms.custom, f"{pointer}/custom"),
    )
    if terms.upsell_suggestion_id is not None:
        await note_taken_up(work, terms.upsell_suggestion_id, None)
    work.add(deal)
    publish(work, deal, event, at)
    return deal


async def change_deal_stage(
    work: UnitOfWork,
    deal_id: UUID,
    body: DealStageRequest,
    expected: ExpectedVersion,
    by: Principal,
    reporting_currency: str,
) -> Deal:
    """Move a deal along the pipeline."""
    deal = await lock(work, Deal, deal_id, expected)
    at = happened_at(body.occurred_at, by, after=deal.changed_at)
    day_rate = await _day_rate(work, deal.currency, at, reporting_currency)
    publish(work, deal, deal.change_stage(body.stage, at=at, day_rate=day_rate), at)
    return deal


async def send_proposal(
    work: UnitOfWork,
    deal_id: UUID,
    body: DealProposalRequest,
    expected: ExpectedVersion,
    by: Principal,
    reporting_currency: str,
) -> Deal:
    """Record a proposal to the customer."""
    deal = await lock(work, Deal, deal_id, expected)
    at = happened_at(body.occurred_at, by, after=deal.changed_at)
    day_rate = await _day_rate(work, deal.currency, at, reporting_currency)
    publish(work, deal, deal.send_proposal(at=at, day_rate=day_rate), at)
    return deal


async def close_deal(
    work: UnitOfWork,
    deal_id: UUID,
    body: DealCloseRequest,
    expected: ExpectedVersion,
    by: Principal,
    reporting_currency: str,
) -> Deal:
    """Win or lose a deal, at the exchange rate of the closing day in UTC, and plan what rules say follows.

    Raise `ExchangeRateMissing` (422).
    """
    deal = await lock(work, Deal, deal_id, expected)
    at = happened_at(body.occurred_at, by, after=deal.changed_at)
    deal.check_open()
    await check_listed(work, body)
    rate = await rate_of(work, deal.currency, at.astimezone(UTC).date(), reporting_currency)
    event = deal.close(
        body.outcome,
        reason=body.reason,
        rate=rate,
        reporting_currency=reporting_currency,
        at=at,
        agreed=None if body.promise is None else body.promise.agreed(),
    )
    publish(work, deal, event, at)
    await plan_after_closing(work, deal, at)
    return deal


async def reopen_deal(
    work: UnitOfWork,
    deal_id: UUID,
    body: DealReopenRequest,
    expected: ExpectedVersion,
    by: Principal,
    reporting_currency: str,
) -> Deal:
    """Reopen a closed deal, and cancel what is still open of what followed from its closing."""
    deal = await lock(work, Deal, deal_id, expected)
    at = happened_at(body.occurred_at, by, after=deal.changed_at)
    day_rate = await _day_rate(work, deal.currency, at, reporting_currency)
    publish(work, deal, deal.reopen(at=at, day_rate=day_rate), at)
    await undo_closing(work, deal, at)
    return deal


async def update_deal(
    work: UnitOfWork,
    deal_id: UUID,
    body: DealUpdate,
    expected: ExpectedVersion,
    by: Principal,
    reporting_currency: str,
) -> Deal:
    """Correct a deal; the same again changes nothing. Raise `DealAlreadyClosed` (409) for the lines of a closed one."""
    deal = await lock(work, Deal, deal_id, expected)
    at = happened_at(body.occurred_at, by, after=deal.changed_at)
    changes = body.changed_from(deal, besides=frozenset({"custom", "lines", "occurred_at"}))
    await check_listed(work, body, changes)
    changes |= await changed_custom(work, deal, body.custom)
    if "account_id" in changes:
        account = await require_account(work, changes["account_id"])
        theirs = {"region": account.region, "segment": account.segment}
        changes = {name: value for name, value in theirs.items() if getattr(deal, name) != value} | changes
    lines = body.lines if "lines" in body.model_fields_set else None
    if lines is not None:
        deal.check_open()
    return await _amend(work, deal, changes, lines, at, reporting_currency)


async def amend_deal(
    work: UnitOfWork,
    deal_id: UUID,
    body: DealAmendRequest,
    expected: ExpectedVersion,
    by: Principal,
    reporting_currency: str,
) -> Deal:
    """Correct a deal's lines, attribution or reason, also of a closed one; the same again changes nothing."""
    deal = await lock(work, Deal, deal_id, expected)
    at = happened_at(body.occurred_at, by, after=deal.changed_at)
    changes = body.changed_from(deal, besides=frozenset({"lines", "reason", "occurred_at"}))
    if "reason" in body.model_fields_set and body.reason != deal.close_reason:
        changes["close_reason"] = body.reason
    await check_listed(work, body, {*changes, *({"reason"} if "close_reason" in changes else ())})
    lines = body.lines if "lines" in body.model_fields_set else None
    return await _amend(work, deal, changes, lines, at, reporting_currency)


async def _amend(
    work: UnitOfWork,
    deal: Deal,
    changes: dict[str, Any],
    lines: list[DealLineCreate] | None,
    at: datetime,
    reporting_currency: str,
) -> Deal:
    if "owner_id" in changes:
        changes["team_id"] = await team_of(work, changes["owner_id"])
    if (suggestion_id := changes.get("upsell_suggestion_id")) is not None:
        await note_taken_up(work, suggestion_id, None)
    terms = None if lines is None or deal.has_lines(terms_of(lines)) else terms_of(lines)
    if not changes and terms is None:
        return deal
    if terms is not None and lines is not None:
        await _check_products(work, lines, "#")
    day_rate = await _day_rate(work, deal.currency, at, reporting_currency)
    former_id = deal.account_id
    publish(work, deal, deal.amend(changes, terms, at=at, day_rate=day_rate), at)
    if "account_id" in changes:
        await _move_along(work, deal, former_id, at)
    return deal


async def _move_along(work: UnitOfWork, deal: Deal, former_id: UUID, at: datetime) -> None:
    """Correct to a deal's account the lead that became the deal, and what was done for both."""
    lead = None if deal.lead_id is None else await work.get(Lead, deal.lead_id, lock="no key update")
    if lead is not None and lead.deal_id == deal.id and lead.account_id == former_id and lead.erased_at is None:
        when = max(at, lead.changed_at)
        publish(work, lead, lead.amend({"account_id": deal.account_id}, at=when), when)
    columns = Activity.table.c
    of_both = columns.deal_id == deal.id
    if lead is not None and lead.account_id == deal.account_id:
        of_both = sa.or_(of_both, columns.lead_id == lead.id)
    done = await work.find(
        Activity, of_both, columns.account_id == former_id, order_by=[columns.id], lock="no key update"
    )
    for activity in done:
        activity.keep_key()
        when = max(at, activity.changed_at)
        changes = {name: getattr(deal, name) for name in ("account_id", "region", "segment")}
        publish(work, activity, activity.amend(changes, at=when), when)


async def _day_rate(work: UnitOfWork, currency: str, at: datetime, reporting_currency: str) -> DayRate | None:
    """Return the rate that values an open deal, or None where no rate is known: an open deal needs none."""
    found = await known_rate_of(work, currency, at.astimezone(UTC).date(), reporting_currency)
    return None if found is None else DayRate(rate=found.rate, reporting_currency=reporting_currency)


async def _check_products(work: UnitOfWork, lines: list[DealLineCreate], pointer: str) -> None:
    await check_products(
        work, {line.product: f"{pointer}/lines/{n}/product" for n, line in reversed(list(enumerate(lines)))}
    )
