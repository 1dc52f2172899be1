"""The KPIs of sales."""

from metrics_worker.kpis.registry import Formula, Kpi, declare

declare(
    Kpi(
        name="sales_volume",
        title="Sales volume",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={"standard": Formula("count", ("deal.won",), says="won deals")},
        prose=(
            "How many deals were won, on the day they were closed. A deal that is reopened leaves its day. "
            "By product, a deal counts once under each product that it holds, so the groups may add up to more than "
            "the whole. For pieces instead of deals see `units_sold`."
        ),
    )
)
declare(
    Kpi(
        name="revenue",
        title="Revenue",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={"standard": Formula("money", ("deal.revenue",), says="what won deals are worth")},
        prose=(
            "What won deals are worth in the reporting currency, at the exchange rate frozen when each was closed, on "
            "the day of its closing. An amended deal corrects its own day; a reopened one leaves it. By product, each "
            "line counts under its own product. This is revenue as booked by sales, not as recognised by accountants."
        ),
    )
)
declare(
    Kpi(
        name="lead_conversion_rate",
        title="Lead conversion rate",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={
            "cohort": Formula(
                "ratio",
                ("lead.cohort_converted",),
                ("lead.created",),
                says="of the leads that came in during the period, the share that has been converted by now",
            ),
            "period": Formula(
                "ratio",
                ("lead.converted",),
                ("lead.created",),
                says="leads converted during the period, whenever they came in, per lead that came in during it",
            ),
        },
        prose=(
            "Both definitions are in use. By cohort the rate never passes 1 and is fair to a growing business, but "
            "recent periods still rise as their leads mature. By period it is final at once, but compares leads of "
            "different ages and may pass 1."
        ),
    )
)
declare(
    Kpi(
        name="quota_attainment",
        title="Quota attainment",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={
            "standard": Formula(
                "ratio",
                ("deal.revenue",),
                ("quota.target",),
                says="revenue of the period divided by the part of the quotas that falls into it",
            )
        },
        prose=(
            "A quota is spread evenly over the days of its period, in whole minor units, so that any part of the "
            "period has its part of the target. Revenue of salespeople without a quota counts in the total; group by "
            "owner to see each against their own."
        ),
    )
)
declare(
    Kpi(
        name="leads_created",
        title="Leads created",
        function="sales",
        indicator="leading",
        direction="up",
        variants={"standard": Formula("count", ("lead.created",), says="leads that came in")},
        prose="How many leads came in, on the day that they did; by channel it tells where customers come from.",
    )
)
declare(
    Kpi(
        name="qualification_rate",
        title="Qualification rate",
        function="sales",
        indicator="leading",
        direction="up",
        variants={
            "cohort": Formula(
                "ratio",
                ("lead.cohort_qualified",),
                ("lead.created",),
                says="of the leads that came in during the period, the share that was found worth pursuing by now",
            ),
            "period": Formula(
                "ratio",
                ("lead.qualified",),
                ("lead.created",),
                says="leads qualified during the period, whenever they came in, per lead that came in during it",
            ),
        },
        prose="What share of leads is worth a salesperson's time: it turns before the conversion rate does.",
    )
)
declare(
    Kpi(
        name="win_rate",
        title="Win rate",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={
            "count": Formula(
                "ratio",
                ("deal.won",),
                ("deal.won", "deal.lost"),
                says="of the deals closed in the period, the share that was won",
            )
        },
        prose=(
            "Deals still open are left out: dividing by all deals opened, as some do, punishes a growing pipeline. By "
            "product, a deal counts once under each product that it holds."
        ),
    )
)
declare(
    Kpi(
        name="average_deal_size",
        title="Average deal size",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={
            "standard": Formula("money", ("deal.revenue",), ("deal.won",), says="revenue divided by the won deals")
        },
        prose="By product, the mean worth of the lines of that product in a won deal that holds it.",
    )
)
declare(
    Kpi(
        name="units_sold",
        title="Units sold",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={"standard": Formula("count", ("deal.units",), says="pieces in won deals")},
        prose="The quantities of the lines of won deals, on the day the deal was closed.",
    )
)
