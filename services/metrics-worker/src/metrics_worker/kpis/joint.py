"""The KPIs of sales and service together."""

from metrics_worker.kpis.formula import Formula, Kpi, carried, declare, duration

declare(
    Kpi(
        name="referral_rate",
        title="Referral rate",
        function="both",
        indicator="lagging",
        direction="up",
        variants={
            "standard": Formula(
                "ratio",
                ("referral.recorded",),
                ("account.customers",),
                says="recommendations recorded in the period per customer that sales knows at its end",
            )
        },
        prose=(
            "How readily customers recommend us. A customer who recommends twice counts twice; others count the share "
            "of customers who ever did. Customers are the accounts of sales, without those merged into others."
        ),
    )
)
declare(
    Kpi(
        name="advocacy",
        title="Advocacy",
        function="both",
        indicator="lagging",
        direction="up",
        variants={
            "standard": Formula(
                "ratio",
                ("review.good", "referral.recorded"),
                ("account.customers",),
                says="good public reviews and recommendations of the period per customer that sales knows at its end",
            )
        },
        not_by=("channel",),
        prose=(
            "What customers do for us unasked: reviews with 4 or 5 of 5 on the day they were written, and referrals. "
            "Not by channel, which is where a review was written, and where a customer came from."
        ),
    )
)
declare(
    Kpi(
        name="promises_kept",
        title="Promises kept",
        function="both",
        indicator="lagging",
        direction="up",
        leaves_out={"deliveries accepted of deals without a promise": ("delivery.accepted", "-delivery.promised")},
        variants={
            "all": Formula(
                "ratio",
                ("delivery.kept",),
                ("delivery.promised",),
                says="of the deliveries accepted in the period, the share that kept time, price and quality",
            ),
            "time": Formula(
                "ratio",
                ("delivery.in_time",),
                ("delivery.promised",),
                says="the share delivered by the day that was agreed on",
            ),
            "price": Formula(
                "ratio",
                ("delivery.at_price",),
                ("delivery.promised",),
                says="the share that cost no more than was agreed on",
            ),
            "quality": Formula(
                "ratio",
                ("delivery.of_quality",),
                ("delivery.promised",),
                says="the share of the quality that was agreed on, as the customer sees it",
            ),
        },
        prose=(
            "What sales promised, held against what was delivered, on the day the customer accepted it. Deliveries of "
            "deals without a promise are left out, and what was never accepted does not show."
        ),
    )
)
declare(
    Kpi(
        name="onboarding_days",
        title="Onboarding time",
        function="both",
        indicator="lagging",
        direction="down",
        variants=duration(
            "days",
            "ticket.onboarding_seconds",
            "ticket.onboarded",
            "the time from winning a deal to the resolution of its onboarding",
        ),
        prose=(
            "Until a customer can use what they bought, on the day the onboarding was resolved; a reopened one leaves "
            "until it is resolved again. Some end it at the first use."
        ),
    )
)
declare(
    Kpi(
        name="upsell_from_service",
        title="Upsell from service",
        function="both",
        indicator="lagging",
        direction="up",
        variants={
            "period": Formula(
                "ratio",
                ("deal.upsell_won",),
                ("upsell.suggested",),
                says="won deals of the period that an agent had suggested, per suggestion made in the period",
            )
        },
        not_by=("owner", "team"),
        prose=(
            "What agents see and salespeople make of it. Deals and suggestions of one period are not the same ones, so "
            "it may pass 1. `upsell_revenue` tells what it brings. Not by owner or team: those of suggestions are of "
            "service, those of deals of sales."
        ),
    )
)
declare(
    Kpi(
        name="cost_to_serve_minutes",
        title="Cost to serve",
        function="both",
        indicator="lagging",
        direction="down",
        variants={
            "standard": Formula(
                "minutes",
                ("interaction.handle_seconds",),
                ("account.customers",),
                says="talk, hold and wrap-up time of the period per customer that sales knows at its end",
            )
        },
        not_by=("channel", "owner", "team"),
        prose=(
            "Agents' time, not money. Customers whom only service knows add time and are not counted. Not by channel, "
            "owner or team: those of contacts are of service, those of customers of sales."
        ),
    )
)

_COUNTED = ("account.customers", "lead.created", "deal.won", "deal.lost", "ticket.opened", "survey.answered")
_CARRYING = {
    name: tuple(measure for measure in _COUNTED if not (name == "product" and measure == "account.customers"))
    for name in ("region", "segment", "product", "channel", "owner", "team")
}
_TOLD_APART = ("region", "segment", "product")


def _coverage(names: tuple[str, ...], says: str) -> Formula:
    pairs = [(measure, name) for name in names for measure in _CARRYING[name]]
    numerator = tuple(carried(measure, name) for measure, name in pairs)
    return Formula("ratio", numerator, tuple(measure for measure, _ in pairs), says=says)


declare(
    Kpi(
        name="coverage",
        title="Coverage",
        function="both",
        indicator="leading",
        direction="up",
        variants={
            "standard": _coverage(
                _TOLD_APART,
                "of all regions, segments and products that customers, leads, closed deals, tickets and survey answers "
                "could carry, the share that is filled in",
            ),
            **{name: _coverage((name,), f"the share of them that carries the {name}") for name in _CARRYING},
        },
        prose=(
            "Whether the other KPIs can be told apart: grouped by region, they say nothing of what carries none. All"
            " customers by the period's end, all else as it came in, was closed or was answered in the period. "
            "`GET /v1/coverage` takes it apart, and names the regions, segments and products that nobody asked."
        ),
    )
)
declare(
    Kpi(
        name="repeat_purchase_rate",
        title="Repeat purchase rate",
        function="both",
        indicator="lagging",
        direction="up",
        variants={
            "customers": Formula(
                "ratio",
                ("relationship.repeat_buyers",),
                ("relationship.buyers",),
                says="of the customers who have bought by the end of the period, the share that bought at least twice",
            ),
            "deals": Formula(
                "ratio",
                ("relationship.repeat_won",),
                ("relationship.new_won", "relationship.repeat_won"),
                says="of the deals won in the period, the share that was not its customer's first",
            ),
        },
        prose=(
            "Whether those who bought once come back. By customers is what retailers mean, over all time; a young "
            "customer base pulls it down, as nobody had the time to return. By deals tells of the period alone."
        ),
    )
)
declare(
    Kpi(
        name="customer_retention",
        title="Customer retention",
        function="both",
        indicator="lagging",
        direction="up",
        variants={
            "trailing": Formula(
                "ratio",
                ("relationship.retained",),
                ("relationship.active_before",),
                says=(
                    "of the customers who bought in the 365 days before the last 365, the share that bought in the "
                    "last 365 too, at the end of the period"
                ),
            ),
            "period": Formula(
                "ratio",
                ("relationship.active@start", "-relationship.lapsed"),
                ("relationship.active@start",),
                says=(
                    "of the customers who were active when the period began, the share whose last purchase did not "
                    "turn 365 days old in it"
                ),
            ),
        },
        prose=(
            "A customer is active for 365 days after each purchase; where nothing is cancelled, buying is what tells "
            "that they stay. `trailing` compares two whole years and does not depend on the asked period's beginning; "
            "it is what is published as annual retention. `period` is the classic (customers at the end less new ones) "
            "÷ customers at the start, exact for periods of up to 365 days: over longer ones somebody may come and go "
            "within. A customer who lapses and returns within the period counts as lapsed there."
        ),
    )
)
declare(
    Kpi(
        name="churn",
        title="Customer churn",
        function="both",
        indicator="lagging",
        direction="down",
        variants={
            "trailing": Formula(
                "ratio",
                ("relationship.active_before", "-relationship.retained"),
                ("relationship.active_before",),
                says=(
                    "of the customers who bought in the 365 days before the last 365, the share that did not buy in "
                    "the last 365, at the end of the period"
                ),
            ),
            "period": Formula(
                "ratio",
                ("relationship.lapsed",),
                ("relationship.active@start",),
                says=(
                    "customers whose last purchase turned 365 days old in the period, per customer who was active when "
                    "it began"
                ),
            ),
        },
        prose=(
            "What `customer_retention` leaves, by the same two definitions. This is churn of customers; churn of "
            "revenue is one less `net_revenue_retention`, and may be negative. Where contracts are cancelled, others "
            "count the cancellations."
        ),
    )
)
declare(
    Kpi(
        name="net_revenue_retention",
        title="Net revenue retention",
        function="both",
        indicator="lagging",
        direction="up",
        variants={
            "trailing": Formula(
                "ratio",
                ("relationship.revenue_retained",),
                ("relationship.revenue_before",),
                says=(
                    "revenue of the last 365 days from customers who had bought in the 365 days before, per revenue of "
                    "those 365 days, at the end of the period"
                ),
            )
        },
        prose=(
            "What last year's customers spend this year, compared with last year: above 1 they grow by more than those "
            "who leave take away. New customers count in neither. Firms with subscriptions compare recurring revenue "
            "of two months instead; gross retention, which leaves growth out, is another number."
        ),
    )
)
declare(
    Kpi(
        name="presales_assisted_win_rate",
        title="Win rate with presales help",
        function="both",
        indicator="lagging",
        direction="up",
        variants={
            "assisted": Formula(
                "ratio",
                ("relationship.assisted_won",),
                ("relationship.assisted_closed",),
                says=(
                    "won deals per deal closed in the period, of those whose customer had asked service a question "
                    "within 180 days before the closing"
                ),
            ),
            "unassisted": Formula(
                "ratio",
                ("relationship.unassisted_won",),
                ("relationship.unassisted_closed",),
                says="the same of all other deals",
            ),
        },
        prose=(
            "Whether contact before the purchase pays: compare the two variants. A deal is assisted when its customer "
            "asked a presales question (a ticket of that kind, not merged into another) at most 180 days before it was "
            "closed. Those who ask may be keener from the start, so the difference is not all service's merit."
        ),
    )
)
declare(
    Kpi(
        name="customers_at_risk",
        title="Customers at risk",
        function="both",
        indicator="leading",
        direction="down",
        variants={
            "any": Formula("count", ("relationship.at_risk",), says="customers at risk at the end of the period"),
            "sla_breached": Formula(
                "count",
                ("relationship.breached",),
                says="customers with a ticket whose service-level agreement was breached and that is not resolved",
            ),
            "reopened": Formula(
                "count",
                ("relationship.reopened",),
                says="customers with a reopened ticket that is not resolved again",
            ),
            "badly_rated": Formula(
                "count",
                ("relationship.badly_rated",),
                says="customers who rated us 1 or 2 of 5 within the last 90 days and did not revise it",
            ),
        },
        prose=(
            "Who may leave, while something can still be done. A customer with several reasons counts once, and under "
            "each of them by variant. `GET /v1/customers/{id}/health` has the tickets and answers behind it."
        ),
        chart="area",
    )
)
declare(
    Kpi(
        name="revenue_at_risk",
        title="Revenue at risk",
        function="both",
        indicator="leading",
        direction="down",
        variants={
            "all": Formula(
                "money",
                ("relationship.revenue_at_risk", "relationship.pipeline_at_risk"),
                says=(
                    "revenue of the last 365 days and open deals of the customers who are at risk at the end of the "
                    "period"
                ),
            ),
            "trailing": Formula(
                "money", ("relationship.revenue_at_risk",), says="their revenue of the last 365 days alone"
            ),
            "pipeline": Formula("money", ("relationship.pipeline_at_risk",), says="their open deals alone"),
        },
        prose=(
            "What stands to be lost with the customers that `customers_at_risk` counts: what they bought in the last "
            "365 days, as a guess at the next 365, and what they are about to buy. Not weighed by how likely a loss is."
        ),
        chart="area",
    )
)
declare(
    Kpi(
        name="customer_health",
        title="Customer health",
        function="both",
        indicator="leading",
        direction="up",
        variants={
            "mean": Formula(
                "score",
                ("relationship.health",),
                ("relationship.buyers",),
                says="the mean score, from 0 to 100, of the customers who have bought, at the end of the period",
            )
        },
        prose=(
            "A score begins at 100 with the first purchase and loses 30 while a breached ticket is unresolved, 20 "
            "while a reopened one is, 20 for 90 days after a rating of 1 or 2 of 5, 15 once the last purchase is 180 "
            "days old and 15 more at 365. There is no standard score in the industry; this one can be told to a "
            "customer reason by reason, which `GET /v1/customers/{id}/health` does."
        ),
    )
)
