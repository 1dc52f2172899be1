"""The KPIs of sales."""

from metrics_worker.domain.account import AccountMeasures as Account
from metrics_worker.domain.activity import ActivityMeasures as Activity
from metrics_worker.domain.deal import DealMeasures as Deal
from metrics_worker.domain.lead import LeadMeasures as Lead
from metrics_worker.domain.quota import QuotaMeasures as Quota
from metrics_worker.domain.relationship import RelationshipMeasures as Relationship
from metrics_worker.kpis.formula import Formula, Kpi, duration

SALES: tuple[Kpi, ...] = (
    Kpi(
        name="sales_volume",
        title="Sales volume",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={"standard": Formula("count", Deal.won, definition="won deals")},
        description=(
            "How many deals were won, on the day they were closed. A deal that is reopened leaves its day. "
            "By product, a deal counts once under each product that it holds, so the groups may add up to more than "
            "the whole. For pieces instead of deals see `units_sold`."
        ),
    ),
    Kpi(
        name="revenue",
        title="Revenue",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={"standard": Formula("money", Deal.revenue, definition="what won deals are worth")},
        description=(
            "What won deals are worth in the reporting currency, at the exchange rate frozen when each was closed, on "
            "the day of its closing. An amended deal corrects its own day; a reopened one leaves it. By product, each "
            "line counts under its own product. This is revenue as booked by sales, not as recognised by accountants."
        ),
    ),
    Kpi(
        name="new_revenue",
        title="New revenue",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={
            "standard": Formula(
                "money",
                Relationship.new_revenue,
                definition="what won deals that were their customer's first are worth",
            )
        },
        description=(
            "Revenue from customers who had never bought before: each customer's won deal that was closed first, on "
            "the day of its closing. With `repeat_revenue` it adds up to `revenue`, in every group. Some count all "
            "revenue of a customer's first year as new; here it is the first deal alone. When an earlier deal is "
            "booked late, or two customers are found to be one, what was new becomes repeated on its own day."
        ),
    ),
    Kpi(
        name="repeat_revenue",
        title="Repeat revenue",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={
            "standard": Formula(
                "money",
                Relationship.repeat_revenue,
                definition="what won deals after their customer's first are worth",
            )
        },
        description=(
            "Revenue from customers who had bought before, on the day of each deal's closing. Upsell, renewal and a "
            "purchase of the same again all count; for what service suggested see `upsell_revenue`."
        ),
    ),
    Kpi(
        name="new_customers",
        title="New customers",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={
            "standard": Formula(
                "count", Relationship.new_won, definition="customers whose first won deal was closed in the period"
            )
        },
        description=(
            "Who brings new customers: a customer is new on the day of the first won deal, under that deal's "
            "salesperson, channel and region. An account that never bought is none; `referral_customers` counts those "
            "who were recommended, on the day they were registered. By product, a customer counts once under each "
            "product of the first deal."
        ),
    ),
    Kpi(
        name="lead_conversion_rate",
        title="Lead conversion rate",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={
            "cohort": Formula(
                "ratio",
                Lead.cohort_converted,
                Lead.created,
                "of the leads that came in during the period, the share that has been converted by now",
                ripens=True,
            ),
            "period": Formula(
                "ratio",
                Lead.converted,
                Lead.created,
                "leads converted during the period, whenever they came in, per lead that came in during it",
            ),
        },
        description=(
            "Both definitions are in use. By cohort the rate never passes 1 and is fair to a growing business, but "
            "recent periods still rise as their leads mature. By period it is final at once, but compares leads of "
            "different ages and may pass 1."
        ),
    ),
    Kpi(
        name="quota_attainment",
        title="Quota attainment",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={
            "standard": Formula(
                "ratio",
                Deal.revenue,
                Quota.target,
                "revenue of the period divided by the part of the quotas that falls into it",
            )
        },
        description=(
            "A quota is spread evenly over the days of its period, so that any part of the period has its part of the "
            "target: the first k of n days have k/n of it, rounded down to whole minor units. Revenue of salespeople "
            "without a quota counts in the total; group by owner to see each against their own."
        ),
    ),
    Kpi(
        name="leads_created",
        title="Leads created",
        function="sales",
        indicator="leading",
        direction="up",
        variants={"standard": Formula("count", Lead.created, definition="leads that came in")},
        description="How many leads came in, on the day that they did; by channel it tells where customers come from.",
    ),
    Kpi(
        name="qualification_rate",
        title="Qualification rate",
        function="sales",
        indicator="leading",
        direction="up",
        variants={
            "cohort": Formula(
                "ratio",
                Lead.cohort_qualified,
                Lead.created,
                "of the leads that came in during the period, the share that was found worth pursuing by now",
                ripens=True,
            ),
            "period": Formula(
                "ratio",
                Lead.qualified,
                Lead.created,
                "leads qualified during the period, whenever they came in, per lead that came in during it",
            ),
        },
        description="What share of leads is worth a salesperson's time: it turns before the conversion rate does.",
    ),
    Kpi(
        name="win_rate",
        title="Win rate",
        function="sales",
        indicator="lagging",
        direction="up",
        leaves_out={"deals still open at the period's end": Deal.pipeline_deals},
        variants={
            "count": Formula(
                "ratio",
                Deal.won,
                Deal.won + Deal.lost,
                "of the deals closed in the period, the share that was won",
            )
        },
        description=(
            "Deals still open are left out: dividing by all deals opened, as some do, punishes a growing pipeline. By "
            "product, a deal counts once under each product that it holds."
        ),
    ),
    Kpi(
        name="average_deal_size",
        title="Average deal size",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={"standard": Formula("money", Deal.revenue, Deal.won, "revenue divided by the won deals")},
        description="By product, the mean worth of the lines of that product in a won deal that holds it.",
    ),
    Kpi(
        name="units_sold",
        title="Units sold",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={"standard": Formula("count", Deal.units, definition="pieces in won deals")},
        description="The quantities of the lines of won deals, on the day the deal was closed.",
    ),
    Kpi(
        name="sales_cycle_days",
        title="Sales cycle",
        function="sales",
        indicator="lagging",
        direction="down",
        leaves_out={"deals lost in the period": Deal.lost},
        variants=duration("days", Deal.cycle_seconds, "the time from opening to winning of won deals"),
        description=(
            "How long a won deal took from its opening, on the day it was won. Some begin at the lead's arrival, which "
            "adds the time that marketing takes; some count lost deals too, which mostly tells how long a salesperson "
            "hopes. A few endless deals move the mean and leave the median alone."
        ),
    ),
    Kpi(
        name="referral_customers",
        title="Referred customers",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={
            "standard": Formula(
                "count",
                Account.referred,
                definition="customers registered in the period, recommended by another",
            ),
            "share": Formula(
                "ratio",
                Account.referred,
                Account.registered,
                "of the customers registered in the period, the share that another one had recommended us to",
            ),
        },
        description=(
            "Who came through another customer, on the day they were registered. Some count by the lead's channel: "
            "group `leads_created` by channel for that."
        ),
        chart="bar",
    ),
    Kpi(
        name="upsell_revenue",
        title="Upsell revenue",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={
            "standard": Formula(
                "money", Deal.upsell_revenue, definition="what won deals that a service agent had suggested are worth"
            ),
            "share": Formula(
                "ratio",
                Deal.upsell_revenue,
                Deal.revenue,
                "the share of revenue that a service agent had suggested",
            ),
        },
        description=(
            "Revenue of won deals that name the suggestion they came from. Others call every further sale to a "
            "customer an upsell: see `repeat_revenue` for that."
        ),
        chart="bar",
    ),
    Kpi(
        name="lead_response_minutes",
        title="Lead response time",
        function="sales",
        indicator="leading",
        direction="down",
        leaves_out={"leads of the period that nobody has contacted so far": Lead.created - Lead.cohort_contacted},
        variants=duration("minutes", Lead.response_seconds, "the time from a lead's arrival to its first contact"),
        description=(
            "From the lead's arrival to the first contact by the salesperson that it was assigned to, on the day of "
            "it; all hours count, since the lead waits through the night too. Leads never contacted are left out: "
            "`qualification_rate` shows what becomes of them. Some measure from the assignment, which hides how long "
            "leads lie unassigned."
        ),
    ),
    Kpi(
        name="pipeline_value",
        title="Pipeline value",
        function="sales",
        indicator="leading",
        direction="up",
        variants={
            "value": Formula("money", Deal.pipeline_value, definition="what the deals open at its end are worth"),
            "deals": Formula("count", Deal.pipeline_deals, definition="the deals open at the period's end"),
        },
        description=(
            "A level: what stood open at the end of the last day, whatever came and went before. A deal counts at what "
            "it is worth now; one in a foreign currency is worth nothing until its event names an estimate. By "
            "`stage`, deals whose way through the stages was not kept stand under the one they are in, and once "
            "closed under none."
        ),
        chart="area",
    ),
    Kpi(
        name="weighted_pipeline",
        title="Weighted pipeline",
        function="sales",
        indicator="leading",
        direction="up",
        variants={
            "standard": Formula(
                "money",
                Deal.pipeline_weighted,
                definition="what open deals are worth at the period's end, times the chance of their stage",
            )
        },
        description=(
            "`pipeline_value` with each deal weighed by the chance of its stage: prospecting 10 %, qualification 20 %, "
            "presentation 40 %, proposal 60 %, negotiation 80 %; each is rounded down to whole minor units. Closed "
            "deals whose way through the stages was not kept weigh nothing on the days they were open. The chances are "
            "a convention; `stage_conversion` tells what they really are."
        ),
        chart="area",
    ),
    Kpi(
        name="pipeline_velocity",
        title="Pipeline velocity",
        function="sales",
        indicator="leading",
        direction="up",
        variants={
            "standard": Formula(
                "money",
                Deal.revenue,
                Deal.won + Deal.lost,
                (
                    "open deals at the period's end × win rate × average deal size ÷ mean sales cycle in days: revenue "
                    "a day to be expected"
                ),
                times=(
                    Deal.pipeline_deals,
                    Deal.won,
                ),
                over=(Deal.cycle_seconds,),
                scale=86_400,
            )
        },
        description=(
            "How much revenue a day the pipeline yields if deals go on being won as often, as large and as fast as in "
            "the period. Numerator and denominator are the products of the sums that it is made of."
        ),
    ),
    Kpi(
        name="stage_conversion",
        title="Stage conversion",
        function="sales",
        indicator="leading",
        direction="up",
        variants={
            "cohort": Formula(
                "ratio",
                Deal.advanced,
                Deal.entered,
                "of the stages that deals entered in the period, the share that they have left forwards by now",
                ripens=True,
            )
        },
        description=(
            "Group by `stage` to see where deals stay behind. A deal counts once for each stage that it entered, on "
            "the day it first did, and has advanced from it once it went on from there to a later stage or to being "
            "won, skipped stages or not. What was taken back has not advanced: a deal won and reopened again, or one "
            "put back from a later stage into a stage that it had skipped. A deal whose way through the stages was not "
            "kept counts while it is open, under the stage it is in, on the day it was opened. Some divide the deals "
            "that enter one stage by those that enter the one before in the same period, which compares different "
            "deals."
        ),
        chart="bar",
    ),
    Kpi(
        name="activities_completed",
        title="Activities completed",
        function="sales",
        indicator="leading",
        direction="up",
        variants={"standard": Formula("count", Activity.completed, definition="activities completed in the period")},
        description="Calls, messages, meetings and the like, on the day they took place. Effort, not success.",
        chart="bar",
    ),
    Kpi(
        name="follow_ups_on_time",
        title="Follow-ups on time",
        function="sales",
        indicator="leading",
        direction="up",
        leaves_out={"activities completed that had no due time": Activity.completed - Activity.follow_ups},
        variants={
            "standard": Formula(
                "ratio",
                Activity.on_time,
                Activity.follow_ups,
                "of the activities with a due time that were completed in the period, the share that was in time",
            )
        },
        description=(
            "Whether promises to come back are kept. Counted on the day of completion, so what is overdue and undone "
            "shows only when it is done."
        ),
    ),
)
