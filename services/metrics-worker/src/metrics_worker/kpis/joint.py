"""The KPIs of sales and service together."""

from metrics_worker.domain.account import AccountMeasures as Account
from metrics_worker.domain.activity import ActivityMeasures as Activity
from metrics_worker.domain.activity import ReferralMeasures as Referral
from metrics_worker.domain.care import ReviewMeasures as Review
from metrics_worker.domain.care import UpsellMeasures as Upsell
from metrics_worker.domain.deal import DealMeasures as Deal
from metrics_worker.domain.delivery import DeliveryMeasures as Delivery
from metrics_worker.domain.interaction import InteractionMeasures as Interaction
from metrics_worker.domain.lead import LeadMeasures as Lead
from metrics_worker.domain.measure import Sum, Term
from metrics_worker.domain.onboarding_step import OnboardingStepMeasures as Step
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


_BROKEN = Step.delivered - Step.delivered_in_time + Step.undelivered
"""Promised deliveries that did not come by their day: their customers waited."""
_BROKEN_WITHIN_HOUR = Step.delivered_within_hour - Step.delivered_in_time

JOINT: tuple[Kpi, ...] = (
    Kpi(
        name="answered_within_hour",
        title="Answered within the hour",
        function="both",
        indicator="leading",
        direction="up",
        variants={
            "all": Formula(
                "ratio",
                Ticket.waits_within_hour + Survey.waits_within_hour + _BROKEN_WITHIN_HOUR + Lead.within_hour,
                Ticket.waits + Survey.waits + _BROKEN + Lead.created,
                "of all times in which customers began to wait in the period, and of its leads, the share that we "
                "answered within an hour",
            ),
            "service": Formula(
                "ratio",
                Ticket.waits_within_hour + Survey.waits_within_hour + _BROKEN_WITHIN_HOUR,
                Ticket.waits + Survey.waits + _BROKEN,
                "of all times in which customers began to wait for service in the period, the share that a reply, a "
                "resolution, a follow-up or a delivery ended within an hour",
            ),
            "ratings": Formula(
                "ratio",
                Survey.waits_within_hour,
                Survey.waits,
                "of all bad ratings that began to wait for a follow-up in the period, the share in which an agent "
                "spoke with the customer within an hour",
            ),
            "promises": Formula(
                "ratio",
                Step.delivered_within_hour,
                Step.delivered + Step.undelivered,
                "of all deliveries that were promised for a day of the period, the share that reached the customer by "
                "an hour after that day",
            ),
            "call_backs": Formula(
                "ratio",
                Activity.agreed_within_hour,
                Activity.agreed + Activity.agreed_open,
                "of all calls and visits that were agreed with customers for the period, the share that took place by "
                "an hour after the agreed time",
            ),
            "sales": Formula(
                "ratio",
                Lead.within_hour,
                Lead.created,
                "of the leads of the period, the share that something came of within an hour",
            ),
            "cohort": Formula(
                "ratio",
                Ticket.cohort_within_hour,
                Ticket.opened,
                "of the tickets opened in the period, the share with a first response within an hour",
            ),
        },
        description=(
            "A customer left alone for longer than an hour is lost. `all` counts every wait, by the day it began: each "
            "question to service, each reopening, each bad rating until an agent speaks with the customer, each "
            "promised delivery from the end of its day until it is there, which counts on that day, and each lead "
            "until it is contacted, qualified or converted. Those who still wait count as not answered, those of the "
            "last hour included, and so does a rating that its customer revised first. `cohort` is the common "
            "definition: the first response to each ticket. Hours are counted around the clock, whatever the policy of "
            "waiting. `call_backs`, by the day they were agreed for, are in none of the others; those of a day that is "
            "over and still to be done count as not kept."
        ),
    ),
    Kpi(
        name="waiting_now",
        title="Waiting for us",
        function="both",
        indicator="leading",
        direction="down",
        variants={
            "all": Formula(
                "count",
                Ticket.waiting + Survey.waiting + Step.waiting + Lead.waiting,
                definition="tickets, bad ratings, promised deliveries and leads that wait for us at the end of the "
                "period",
            ),
            "service": Formula(
                "count",
                Ticket.waiting + Survey.waiting + Step.waiting,
                definition="tickets whose customer waits for our answer, bad ratings that wait for a follow-up, and "
                "deliveries whose promised day is over, at the end of the period",
            ),
            "ratings": Formula(
                "count",
                Survey.waiting,
                definition="bad ratings that wait for a follow-up at the end of the period",
            ),
            "promises": Formula(
                "count",
                Step.waiting,
                definition="promised deliveries that customers wait for at the end of the period",
            ),
            "sales": Formula(
                "count",
                Lead.waiting,
                definition="leads without a contact, and of which nothing has come, at the end of the period",
            ),
        },
        description=(
            "How many wait for us at the end of the period; for a period that ends today, now. A promised delivery is "
            "waited for once its day is over; of a day to come, it counts as if nothing more were delivered. "
            "`GET /v1/waiting` lists "
            "them, and says for how long; it leaves out leads and ratings of those who were erased, who cannot be "
            "contacted."
        ),
        chart="area",
    ),
    Kpi(
        name="longest_wait_minutes",
        title="Longest wait",
        function="both",
        indicator="leading",
        direction="down",
        leaves_out={
            "tickets whose customer still waits at the end of the period": Ticket.waiting,
            "bad ratings that still wait at the end of the period": Survey.waiting,
            "promised deliveries that customers still wait for at the end of the period": Step.waiting,
        },
        variants={
            "service": Formula(
                "minutes",
                Ticket.reply_seconds,
                Ticket.replied,
                "the longest time from a customer's question, or a reopening, to our next reply or resolution",
                percentile=100,
            ),
            "sales": Formula(
                "minutes",
                Lead.response_seconds,
                Lead.contacted,
                "the longest time from a lead's creation to its first contact",
                percentile=100,
            ),
            "ratings": Formula(
                "minutes",
                Survey.follow_up_seconds,
                Survey.followed_up,
                "the longest time from a bad rating until an agent spoke with the customer",
                percentile=100,
            ),
            "promises": Formula(
                "minutes",
                Step.late_seconds,
                Step.delivered_late,
                "the longest time from the end of a promised day to the delivery",
                percentile=100,
            ),
        },
        description=(
            "The longest wait of those that ended in the period, by the day of our answer; read from a histogram, and "
            "so within 2 %. Those who still wait are in `GET /v1/waiting`, the longest first."
        ),
    ),
    Kpi(
        name="waits_per_customer",
        title="Waits per customer",
        function="both",
        indicator="leading",
        direction="down",
        variants={
            "standard": Formula(
                "ratio",
                Ticket.waits + Survey.waits + _BROKEN,
                Account.customers,
                "times in which customers began to wait for service in the period per customer known to sales at its "
                "end",
            )
        },
        not_by=("channel", "owner", "team"),
        description=(
            "How often a customer has to wait for us: each question, each reopening, each bad rating until an agent "
            "speaks with them, and each promised delivery that does not come by its day, which counts on that day. "
            "Waits for the first contact with a lead are left out: a lead is mostly no customer yet. Not available by "
            "`channel`, `owner` and `team`, which are the ticket's on one side and the account's on the other."
        ),
    ),
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
                "recommendations recorded in the period per customer known to sales at its end",
            )
        },
        description=(
            "Recommendations per customer. A customer who recommends twice counts twice; another common definition "
            "is the share of customers who ever did. Customers are the accounts of sales, without merged ones."
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
                "good public reviews and recommendations of the period per customer known to sales at its end",
            )
        },
        not_by=("channel",),
        description=(
            "Good public reviews (4 or 5 of 5, by the day they were written) and referrals, per customer. Not "
            "available by `channel`, which is where a review was written, and where a customer came from."
        ),
    ),
    Kpi(
        name="promises_kept",
        title="Promises kept",
        function="both",
        indicator="lagging",
        direction="up",
        leaves_out={"accepted deliveries of deals without a promise": Delivery.accepted - Delivery.promised},
        variants={
            "all": Formula(
                "ratio",
                Delivery.kept,
                Delivery.promised,
                "of the deliveries with a promise accepted in the period, the share that kept time, price and quality",
            ),
            "time": Formula(
                "ratio",
                Delivery.in_time,
                Delivery.promised,
                "share delivered by the agreed day",
            ),
            "price": Formula(
                "ratio",
                Delivery.at_price,
                Delivery.promised,
                "share that cost no more than agreed",
            ),
            "quality": Formula(
                "ratio",
                Delivery.of_quality,
                Delivery.promised,
                "share of the agreed quality, as judged by the customer",
            ),
            "due": Formula(
                "ratio",
                Step.delivered_in_time,
                Step.delivered + Step.undelivered,
                "of the deliveries that were promised for a day of the period, the share that reached the customer by "
                "that day",
            ),
        },
        description=(
            "Deliveries compared with the promise of their deal, by acceptance day. Deliveries of deals without a "
            "promise are left out; deliveries never accepted do not appear, but in `due`: by the promised day, with "
            "those that have not come when that day is over, as far as the deal has an onboarding with steps."
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
            "time from winning a deal to the resolution of its onboarding",
        ),
        description=(
            "Time from winning a deal to the resolution of its onboarding ticket, by resolution day. A reopened "
            "onboarding is removed until it is resolved again. Other definitions end at the first use."
        ),
    ),
    Kpi(
        name="onboardings_open",
        title="Open onboardings",
        function="both",
        indicator="leading",
        direction="down",
        variants={
            "standard": Formula(
                "count",
                Ticket.onboarding_backlog,
                definition="onboardings of won deals neither resolved nor closed at the end of the period",
            )
        },
        description=(
            "Won deals whose customers are not up and running yet. An onboarding counts from the day its deal was won; "
            "it is no request of the customer, and in no other figure of tickets."
        ),
        chart="area",
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
                "deals suggested by an agent and won in the period, per suggestion made in it",
            )
        },
        not_by=("owner", "team"),
        description=(
            "Won deals that came from service suggestions, per suggestion. The deals won in a period do not "
            "all stem from its suggestions, so the rate may exceed 1. `upsell_revenue` gives their value. Not "
            "available by `owner` or `team`, which belong to service for suggestions and to sales for deals."
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
                "talk, hold and wrap-up time of the period per customer known to sales at its end",
            )
        },
        not_by=("channel", "owner", "team"),
        description=(
            "Agents' handle time per customer; it measures time, not money. Customers that only service knows add "
            "time but are not counted. Not available by `channel`, `owner` or `team`, which belong to service for "
            "contacts and to sales for customers."
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
                "of all regions, segments and products of customers, leads, closed deals, tickets and survey "
                "answers, the share with a value",
                "region",
                "segment",
                "product",
            ),
            **{
                name: _coverage(f"the share with a value of `{name}`", name)
                for name in ("region", "segment", "product", "channel", "owner", "team")
            },
        },
        description=(
            "Share of regions, segments and products that are filled in: groups of other KPIs cannot show subjects "
            "without a value. It covers all customers at the end of the period, and leads created, deals closed, "
            "tickets opened and surveys answered in it. `GET /v1/coverage` breaks it down and lists the regions, "
            "segments and products without surveys or answers."
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
                "of the customers who bought by the end of the period, the share who bought at least twice",
            ),
            "deals": Formula(
                "ratio",
                Relationship.repeat_won,
                Relationship.new_won + Relationship.repeat_won,
                "of the deals won in the period, the share that is not its customer's first",
            ),
        },
        description=(
            "Share of repeat purchases. `customers` is the retail definition, over all time; a young customer base "
            "lowers it. `deals` covers the period alone."
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
                    "of the customers who bought in the 365 days before the last 365, the share who bought in the "
                    "last 365 too, at the end of the period"
                ),
            ),
            "period": Formula(
                "ratio",
                Relationship.active.at_start() - Relationship.lapsed,
                Relationship.active.at_start(),
                (
                    "of the customers active at the start of the period, the share whose last purchase did not turn "
                    "365 days old in it"
                ),
            ),
        },
        description=(
            "Share of customers who stay. Where no contract is cancelled, purchases show who stays: a customer is "
            "active for 365 days after each. `trailing` compares two whole years, independently of the period's start; "
            "it corresponds to published annual retention. `period` is the classic (customers at the end minus new "
            "ones) ÷ customers at the start, and exact for periods of up to 365 days: within longer ones, customers "
            "may come and go. A customer who lapses and returns within the period counts as lapsed."
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
                    "of the customers who bought in the 365 days before the last 365, the share who did not buy in "
                    "the last 365, at the end of the period"
                ),
            ),
            "period": Formula(
                "ratio",
                Relationship.lapsed,
                Relationship.active.at_start(),
                ("customers whose last purchase turned 365 days old in the period, per customer active at its start"),
            ),
        },
        description=(
            "Share of customers who leave: 1 minus `customer_retention`, by the same two definitions. Revenue churn "
            "is 1 minus `net_revenue_retention` and may be negative. Where contracts are cancelled, other "
            "definitions count the cancellations."
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
                    "revenue of the last 365 days from customers who bought in the 365 days before, per revenue of "
                    "those 365 days, at the end of the period"
                ),
            )
        },
        description=(
            "Revenue from last year's customers compared with last year: above 1, growth exceeds losses. New "
            "customers count in neither. Subscription businesses compare recurring revenue of two months instead; "
            "gross retention, without growth, is another figure."
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
                    "of the deals closed in the period whose customer asked service a question within 180 days "
                    "before, the share won"
                ),
            ),
            "unassisted": Formula(
                "ratio",
                Relationship.unassisted_won,
                Relationship.unassisted_closed,
                "the same for all other deals",
            ),
        },
        description=(
            "Win rate with and without contact before the purchase: compare the two variants. A deal is assisted "
            "when its customer asked a presales question (a ticket of that kind, not merged into another) at most "
            "180 days before it closed. Customers who ask may be more interested from the start, so the "
            "difference is not service's merit alone."
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
                definition=("customers with an unresolved ticket that breached its SLA policy"),
            ),
            "reopened": Formula(
                "count",
                Relationship.reopened,
                definition="customers with a reopened ticket that is not resolved again",
            ),
            "badly_rated": Formula(
                "count",
                Relationship.badly_rated,
                definition="customers with an unrevised rating of 1 or 2 of 5 in the last 90 days",
            ),
            "promise_broken": Formula(
                "count",
                Relationship.promise_broken,
                definition="customers who wait for a delivery whose promised day is over",
            ),
        },
        description=(
            "Customers who may leave, at the end of the period. A customer with several reasons counts once, and "
            "once in the variant of each. `GET /v1/customers/{id}/health` lists the tickets and answers behind it."
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
                    "revenue of the last 365 days and open deals of customers at risk at the end of the period"
                ),
            ),
            "trailing": Formula(
                "money", Relationship.revenue_at_risk, definition="their revenue of the last 365 days only"
            ),
            "pipeline": Formula("money", Relationship.pipeline_at_risk, definition="their open deals only"),
        },
        description=(
            "Revenue that may be lost with the customers of `customers_at_risk`, at the end of the period: their "
            "purchases of the last 365 days, as an estimate of the next 365, and their open deals. Not weighted by "
            "the likelihood of a loss."
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
                "mean score, from 0 to 100, of customers who have bought, at the end of the period",
            )
        },
        description=(
            "Mean health score of customers, at the end of the period. A score starts at 100 with the first purchase "
            "and loses 30 while a breached ticket is unresolved, 20 while a reopened one is, 20 for 90 days after a "
            "rating of 1 or 2 of 5, 20 while a delivery is awaited whose promised day is over, 15 once the last "
            "purchase is 180 days old and 15 more at 365; it is never less than 0. There is no industry standard; `GET "
            "/v1/customers/{id}/health` explains a customer's score reason by reason."
        ),
    ),
)
