"""Everything that is in this service's database: importing it declares every table."""

from service_api import agents, business_calendars, sla_policies, teams
from service_api.customers import model as customers
from service_api.surveys import model as surveys
from service_api.tables import Base
from service_api.tickets import model as tickets

DECLARED = (agents, teams, business_calendars, sla_policies, customers, tickets, surveys)

metadata = Base.metadata
