"""The metadata of this service's database: importing it declares every table."""

from service_api import (
    agents,
    business_calendars,
    check_ins,
    custom_fields,
    reviews,
    suggested_sales,
    teams,
    trainings,
    upsell_suggestions,
    views,
    won_deals,
)
from service_api.customers import model as customers
from service_api.deliveries import model as deliveries
from service_api.maintenance import model as maintenance
from service_api.onboardings import model as onboardings
from service_api.planning_rules import model as planning_rules
from service_api.sla_policies import model as sla_policies
from service_api.surveys import model as surveys
from service_api.tables import Base
from service_api.tickets import model as tickets

CARE = (trainings, check_ins, maintenance, deliveries, reviews, upsell_suggestions)
DECLARED = (
    agents,
    teams,
    business_calendars,
    sla_policies,
    customers,
    won_deals,
    suggested_sales,
    tickets,
    surveys,
    *CARE,
    planning_rules,
    onboardings,
    views,
    custom_fields,
)

metadata = Base.metadata
