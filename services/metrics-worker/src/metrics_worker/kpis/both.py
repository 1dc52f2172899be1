"""The KPIs of sales and service together."""

from metrics_worker.kpis.registry import Formula, Kpi, carried, declare, duration

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
        prose="What customers do for us unasked: reviews with 4 or 5 of 5 on the day they were written, and referrals.",
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
        prose=(
            "What agents see and salespeople make of it. Deals and suggestions of one period are not the same ones, so "
            "it may pass 1. `upsell_revenue` tells what it brings."
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
        prose="Agents' time, not money. Customers whom only service knows add time and are not counted.",
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
