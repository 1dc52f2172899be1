"""The KPIs of sales and service together."""

from metrics_worker.domain.account import AccountMeasures as Account
from metrics_worker.domain.activity import ReferralMeasures as Referral
from metrics_worker.domain.care import ReviewMeasures as Review
from metrics_worker.domain.care import UpsellMeasures as Upsell
from metrics_worker.domain.deal import DealMeasures as Deal
from metrics_worker.domain.delivery import DeliveryMeasures as Delivery
from metrics_worker.domain.interaction import InteractionMeasures as Interaction
from metrics_worker.domain.lead import LeadMeasures as Lead
from metrics_worker.domain.measure import Sum, Term
from metrics_worker.domain.relationship import RelationshipMeasures as Relationship
from metrics_worker.domain.survey import SurveyMeasures as Survey
from metrics_worker.domain.ticket import TicketMeasures as Ticket
from metrics_worker.kpis.formula import Formula, Kpi, duration, kind_of

_COUNTED = (Account.customers, Lead.created, Deal.won, Deal.lost, Ticket.opened, Survey.answered)


def _coverage(definition: str, *dimensions: str) -> Formula:
    carrying = [
        Term(measure, carrying=dimension)
        for dimension in dimensions
        for measure in _COUNTED
        if dimension in kind_of(measure).dimensions
    ]
    counted = Sum(*(Term(term.measure) for term in carrying))
    return Formula("ratio", Sum(*carrying), counted, definition)


JOINT: tuple[Kpi, ...] = (
    Kpi(
        name="referral_rate",
        title="Referral rate",
        function="both",
        indicator="lagging",
        direction="up",
        variants={
            "standard": Formula(
                "ratio",
                Referral.recorded,
                Account.customers,
                "recommendations recorded in the period per customer that sales knows at its end",
            )
        },
        description=(
            "How readily customers recommend us. A customer who recommends twice counts twice; others count the share "
            "of customers who ever did. Customers are the accounts of sales, without those merged into others."
        ),
    ),
    Kpi(
        name="advocacy",
        title="Advocacy",
        function="both",
        indicator="lagging",
        direction="up",
        variants={
            "standard": Formula(
                "ratio",
                Review.good + Referral.recorded,
                Account.customers,
                "good public reviews and recommendations of the period per customer that sales knows at its end",
            )
        },
        not_by=("channel",),
        description=(
            "What customers do for us unasked: reviews with 4 or 5 of 5 on the day they were written, and referrals. "
            "Not by channel, which is where a review was written, and where a customer came from."
        ),
    ),
    Kpi(
        name="promises_kept",
        title="Promises kept",
        function="both",
        indicator="lagging",
        direction="up",
        leaves_out={"deliveries accepted of deals without a promise": Delivery.accepted - Delivery.promised},
        variants={
            "all": Formula(
                "ratio",
                Delivery.kept,
                Delivery.promised,
                "of the deliveries accepted in the period, the share that kept time, price and quality",
            ),
            "time": Formula(
                "ratio",
                Delivery.in_time,
                Delivery.promised,
                "the share delivered by the day that was agreed on",
            ),
            "price": Formula(
                "ratio",
                Delivery.at_price,
                Delivery.promised,
                "the share that cost no more than was agreed on",
            ),
            "quality": Formula(
                "ratio",
                Delivery.of_quality,
                Delivery.promised,
                "the share of the quality that was agreed on, as the customer sees it",
            ),
        },
        description=(
            "What sales promised, held against what was delivered, on the day the customer accepted it. Deliveries of "
            "deals without a promise are left out, and what was never accepted does not show."
        ),
    ),
    Kpi(
        name="onboarding_days",
        title="Onboarding time",
        function="both",
        indicator="lagging",
        direction="down",
        variants=duration(
            "days",
            Ticket.onboarding_seconds,
            "the time from winning a deal to the resolution of its onboarding",
        ),
        description=(
            "Until a customer can use what they bought, on the day the onboarding was resolved; a reopened one leaves "
            "until it is resolved again. Some end it at the first use."
        ),
    ),
    Kpi(
        name="upsell_from_service",
        title="Upsell from service",
        function="both",
        indicator="lagging",
        direction="up",
        variants={
            "period": Formula(
                "ratio",
                Deal.upsell_won,
                Upsell.suggested,
                "won deals of the period that an agent had suggested, per suggestion made in the period",
            )
        },
        not_by=("owner", "team"),
        description=(
            "What agents see and salespeople make of it. Deals and suggestions of one period are not the same ones, so "
            "it may pass 1. `upsell_revenue` tells what it brings. Not by owner or team: those of suggestions are of "
            "service, those of deals of sales."
        ),
    ),
    Kpi(
        name="cost_to_serve_minutes",
        title="Cost to serve",
        function="both",
        indicator="lagging",
        direction="down",
        variants={
            "standard": Formula(
                "minutes",
                Interaction.handle_seconds,
                Account.customers,
                "talk, hold and wrap-up time of the period per customer that sales knows at its end",
            )
        },
        not_by=("channel", "owner", "team"),
        description=(
            "Agents' time, not money. Customers whom only service knows add time and are not counted. Not by channel, "
            "owner or team: those of contacts are of service, those of customers of sales."
        ),
    ),
    Kpi(
        name="coverage",
        title="Coverage",
        function="both",
        indicator="leading",
        direction="up",
        variants={
            "standard": _coverage(
                "of all regions, segments and products that customers, leads, closed deals, tickets and survey answers "
                "could carry, the share that is filled in",
                "region",
                "segment",
                "product",
            ),
            **{
                name: _coverage(f"the share of them that carries the {name}", name)
                for name in ("region", "segment", "product", "channel", "owner", "team")
            },
        },
        description=(
            "Whether the other KPIs can be told apart: grouped by region, they say nothing of what carries none. All"
            " customers by the period's end, all else as it came in, was closed or was answered in the period. "
            "`GET /v1/coverage` takes it apart, and names the regions, segments and products that nobody asked."
        ),
    ),
    Kpi(
        name="repeat_purchase_rate",
        title="Repeat purchase rate",
        function="both",
        indicator="lagging",
        direction="up",
        variants={
            "customers": Formula(
                "ratio",
                Relationship.repeat_buyers,
                Relationship.buyers,
                "of the customers who have bought by the end of the period, the share that bought at least twice",
            ),
            "deals": Formula(
                "ratio",
                Relationship.repeat_won,
                Relationship.new_won + Relationship.repeat_won,
                "of the deals won in the period, the share that was not its customer's first",
            ),
        },
        description=(
            "Whether those who bought once come back. By customers is what retailers mean, over all time; a young "
            "customer base pulls it down, as nobody had the time to return. By deals tells of the period alone."
        ),
    ),
    Kpi(
        name="customer_retention",
        title="Customer retention",
        function="both",
        indicator="lagging",
        direction="up",
        variants={
            "trailing": Formula(
                "ratio",
                Relationship.retained,
                Relationship.active_before,
                (
                    "of the customers who bought in the 365 days before the last 365, the share that bought in the "
                    "last 365 too, at the end of the period"
                ),
            ),
            "period": Formula(
                "ratio",
                Relationship.active.at_start() - Relationship.lapsed,
                Relationship.active.at_start(),
                (
                    "of the customers who were active when the period began, the share whose last purchase did not "
                    "turn 365 days old in it"
                ),
            ),
        },
        description=(
            "A customer is active for 365 days after each purchase; where nothing is cancelled, buying is what tells "
            "that they stay. `trailing` compares two whole years and does not depend on the asked period's beginning; "
            "it is what is published as annual retention. `period` is the classic (customers at the end less new ones) "
            "÷ customers at the start, exact for periods of up to 365 days: over longer ones somebody may come and go "
            "within. A customer who lapses and returns within the period counts as lapsed there."
        ),
    ),
    Kpi(
        name="churn",
        title="Customer churn",
        function="both",
        indicator="lagging",
        direction="down",
        variants={
            "trailing": Formula(
                "ratio",
                Relationship.active_before - Relationship.retained,
                Relationship.active_before,
                (
                    "of the customers who bought in the 365 days before the last 365, the share that did not buy in "
                    "the last 365, at the end of the period"
                ),
            ),
            "period": Formula(
                "ratio",
                Relationship.lapsed,
                Relationship.active.at_start(),
                (
                    "customers whose last purchase turned 365 days old in the period, per customer who was active when "
                    "it began"
                ),
            ),
        },
        description=(
            "What `customer_retention` leaves, by the same two definitions. This is churn of customers; churn of "
            "revenue is one less `net_revenue_retention`, and may be negative. Where contracts are cancelled, others "
            "count the cancellations."
        ),
    ),
    Kpi(
        name="net_revenue_retention",
        title="Net revenue retention",
        function="both",
        indicator="lagging",
        direction="up",
        variants={
            "trailing": Formula(
                "ratio",
                Relationship.revenue_retained,
                Relationship.revenue_before,
                (
                    "revenue of the last 365 days from customers who had bought in the 365 days before, per revenue of "
                    "those 365 days, at the end of the period"
                ),
            )
        },
        description=(
            "What last year's customers spend this year, compared with last year: above 1 they grow by more than those "
            "who leave take away. New customers count in neither. Firms with subscriptions compare recurring revenue "
            "of two months instead; gross retention, which leaves growth out, is another number."
        ),
    ),
    Kpi(
        name="presales_assisted_win_rate",
        title="Win rate with presales help",
        function="both",
        indicator="lagging",
        direction="up",
        variants={
            "assisted": Formula(
                "ratio",
                Relationship.assisted_won,
                Relationship.assisted_closed,
                (
                    "won deals per deal closed in the period, of those whose customer had asked service a question "
                    "within 180 days before the closing"
                ),
            ),
            "unassisted": Formula(
                "ratio",
                Relationship.unassisted_won,
                Relationship.unassisted_closed,
                "the same of all other deals",
            ),
        },
        description=(
            "Whether contact before the purchase pays: compare the two variants. A deal is assisted when its customer "
            "asked a presales question (a ticket of that kind, not merged into another) at most 180 days before it was "
            "closed. Those who ask may be keener from the start, so the difference is not all service's merit."
        ),
    ),
    Kpi(
        name="customers_at_risk",
        title="Customers at risk",
        function="both",
        indicator="leading",
        direction="down",
        variants={
            "any": Formula("count", Relationship.at_risk, definition="customers at risk at the end of the period"),
            "sla_breached": Formula(
                "count",
                Relationship.breached,
                definition=(
                    "customers with a ticket whose service-level agreement was breached and that is not resolved"
                ),
            ),
            "reopened": Formula(
                "count",
                Relationship.reopened,
                definition="customers with a reopened ticket that is not resolved again",
            ),
            "badly_rated": Formula(
                "count",
                Relationship.badly_rated,
                definition="customers who rated us 1 or 2 of 5 within the last 90 days and did not revise it",
            ),
        },
        description=(
            "Who may leave, while something can still be done. A customer with several reasons counts once, and under "
            "each of them by variant. `GET /v1/customers/{id}/health` has the tickets and answers behind it."
        ),
        chart="area",
    ),
    Kpi(
        name="revenue_at_risk",
        title="Revenue at risk",
        function="both",
        indicator="leading",
        direction="down",
        variants={
            "all": Formula(
                "money",
                Relationship.revenue_at_risk + Relationship.pipeline_at_risk,
                definition=(
                    "revenue of the last 365 days and open deals of the customers who are at risk at the end of the "
                    "period"
                ),
            ),
            "trailing": Formula(
                "money", Relationship.revenue_at_risk, definition="their revenue of the last 365 days alone"
            ),
            "pipeline": Formula("money", Relationship.pipeline_at_risk, definition="their open deals alone"),
        },
        description=(
            "What stands to be lost with the customers that `customers_at_risk` counts: what they bought in the last "
            "365 days, as a guess at the next 365, and what they are about to buy. Not weighed by how likely a loss is."
        ),
        chart="area",
    ),
    Kpi(
        name="customer_health",
        title="Customer health",
        function="both",
        indicator="leading",
        direction="up",
        variants={
            "mean": Formula(
                "score",
                Relationship.health,
                Relationship.buyers,
                "the mean score, from 0 to 100, of the customers who have bought, at the end of the period",
            )
        },
        description=(
            "A score begins at 100 with the first purchase and loses 30 while a breached ticket is unresolved, 20 "
            "while a reopened one is, 20 for 90 days after a rating of 1 or 2 of 5, 15 once the last purchase is 180 "
            "days old and 15 more at 365. There is no standard score in the industry; this one can be told to a "
            "customer reason by reason, which `GET /v1/customers/{id}/health` does."
        ),
    ),
)
