"""The timelines of accounts: what sales did itself, and what the events of service tell."""

from typing import Final

from event_contracts.catalogue import SALES_TOPIC, SERVICE_TOPIC
from sales_api.accounts.model import Account
from sales_api.activities.model import Activity
from sales_api.deals.model import Deal
from sales_api.leads.model import Lead
from sales_api.referrals.model import Referral
from sales_api.reps import Rep
from service_kit.timeline.queries import OwnRecords, Timeline

CONSUMER: Final = "sales-timeline"
"""The consumer group, and the name of its offsets and dead letters. Its own, so that it reads service.events from the
first record on, whatever the others have read."""
TIMELINE: Final = Timeline(
    topic=SALES_TOPIC,
    other_topic=SERVICE_TOPIC,
    customers=Account.table,
    people=Rep.table,
    own=(
        OwnRecords("accounts", Account.table, "id"),
        OwnRecords("leads", Lead.table, "account_id", key=("partition_key",)),
        OwnRecords("deals", Deal.table, "account_id", title="title", key=("keyed_by", "account_id")),
        OwnRecords("activities", Activity.table, "account_id", by=Lead.table, key=("keyed_by", "account_id", "id")),
        OwnRecords("referrals", Referral.table, "account_id"),
    ),
)
