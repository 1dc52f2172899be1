"""What a customer contributes by being one: on the day it was registered, and as a level from then on."""

from typing import Annotated, NamedTuple

from event_contracts.sales import Account
from metrics_worker.domain.activity import SellingDimensions
from metrics_worker.domain.posting import Measure, Posting, Reporting, text_of


class AccountMeasures(NamedTuple):
    """What is summed of accounts. One that was merged into another contributes nothing."""

    registered: Annotated[int, Measure("customers, on the day sales registered them")] = 0
    referred: Annotated[int, Measure("of these, those whom another customer had recommended us to")] = 0
    customers: Annotated[
        int,
        Measure(
            "customers that sales knows",
            level=True,
            ended=("account.customers@start", "account.registered", "-account.customers"),
        ),
    ] = 0


def postings_for(account: Account, reporting: Reporting) -> list[Posting]:
    """The account's whole contribution. Raises ValueError when its day is outside the calendar."""
    if account.merged_into is not None:
        # The surviving account is the same customer.
        return []
    dimensions = SellingDimensions(
        region=account.region,
        segment=account.segment,
        channel=account.channel,
        owner=text_of(account.owner_id),
        team=text_of(account.team_id),
        customer=text_of(account.id),
    )
    measures = AccountMeasures(registered=1, referred=int(account.referred_by is not None), customers=1)
    return [Posting(reporting.day_of(account.registered_at), dimensions, measures)]
