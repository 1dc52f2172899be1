"""What a customer contributes by being one: on the day it was registered, and as a balance from then on."""

from event_contracts.sales import Account
from metrics_worker.domain.activity import SellingDimensions
from metrics_worker.domain.measure import Measure, Measures
from metrics_worker.domain.posting import Posting, Reporting, text_of


class AccountMeasures(Measures, kind="account", credit="the account's owner now"):
    """The measures of accounts. One that was merged into another contributes nothing."""

    registered: Measure = Measure("customers, by registration day")
    referred: Measure = Measure("of these, those recommended by another customer")
    customers: Measure = Measure("customers known to sales", semi_additive=True)


def postings_for(account: Account, reporting: Reporting) -> list[Posting]:
    """Return the account's whole contribution. Raise ValueError when its day is outside the calendar."""
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
