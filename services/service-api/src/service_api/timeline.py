"""The timelines of customers: what service did itself, and what the events of sales tell."""

from typing import Final

from event_contracts.catalogue import SALES_TOPIC, SERVICE_TOPIC
from service_api.agents import Agent
from service_api.check_ins import CheckIn
from service_api.customers.model import Customer
from service_api.deliveries.model import Delivery
from service_api.maintenance.model import Maintenance
from service_api.onboardings.model import OnboardingStep
from service_api.reviews import Review
from service_api.surveys.model import Survey
from service_api.tickets.model import Ticket
from service_api.trainings import Training
from service_api.upsell_suggestions import UpsellSuggestion
from service_kit.timeline.queries import OwnRecords, Timeline

CONSUMER: Final = "service-timeline"
"""The consumer group, and the name of its offsets and dead letters. Its own, so that it reads sales.events from the
first record on, whatever the others have read."""
_KEY: Final = ("keyed_by", "customer_id")
TIMELINE: Final = Timeline(
    topic=SERVICE_TOPIC,
    other_topic=SALES_TOPIC,
    customers=Customer.table,
    people=Agent.table,
    own=(
        OwnRecords("customers", Customer.table, "id"),
        OwnRecords("tickets", Ticket.table, "customer_id", title="subject", key=_KEY),
        *(
            OwnRecords(records, table, "customer_id", key=_KEY)
            for records, table in (
                ("surveys", Survey.table),
                ("trainings", Training.table),
                ("checkins", CheckIn.table),
                ("maintenance", Maintenance.table),
                ("onboardingsteps", OnboardingStep.table),
                ("deliveries", Delivery.table),
                ("reviews", Review.table),
                ("upsells", UpsellSuggestion.table),
            )
        ),
    ),
)
