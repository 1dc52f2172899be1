"""The metadata of this service's database: importing it declares every table."""

from sales_api import custom_fields, exchange_rates, products, reps, teams, views
from sales_api.accounts import model as accounts
from sales_api.activities import model as activities
from sales_api.activities import risk_tasks
from sales_api.deals import model as deals
from sales_api.leads import model as leads
from sales_api.leads import suggestions
from sales_api.list_values import model as list_values
from sales_api.planning_rules import model as planning_rules
from sales_api.quotas import model as quotas
from sales_api.referrals import model as referrals
from sales_api.tables import Base

DECLARED = (
    *(teams, reps, products, exchange_rates, accounts, leads, suggestions, deals, quotas, activities),
    *(risk_tasks, planning_rules, referrals),
    *(views, custom_fields, list_values),
)

metadata = Base.metadata
