"""Every table of the sales database, for migrations: importing a model enters it into the metadata."""

from sales_api.accounts.model import Account
from sales_api.deals.model import Deal, DealLine
from sales_api.exchange_rates import ExchangeRate
from sales_api.leads.model import Lead
from sales_api.products import Product
from sales_api.quotas.model import Quota
from sales_api.reps import Rep
from sales_api.teams import Team
from service_kit.database import metadata
from service_kit.idempotency import idempotency_key
from service_kit.outbox import outbox

__all__ = [
    "Account",
    "Deal",
    "DealLine",
    "ExchangeRate",
    "Lead",
    "Product",
    "Quota",
    "Rep",
    "Team",
    "idempotency_key",
    "metadata",
    "outbox",
]
