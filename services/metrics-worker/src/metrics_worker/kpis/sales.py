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
            "Number of deals won, by closing day. Reopening a deal removes it from that day. By `product`, a deal "
            "counts once under each of its products, so groups may add up to more than the total. For units instead "
            "of deals see `units_sold`."
        ),
    ),
    Kpi(
        name="revenue",
        title="Revenue",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={"standard": Formula("money", Deal.revenue, definition="value of won deals")},
        description=(
            "Value of won deals in the reporting currency, by closing day, at the exchange rate frozen at closing. "
            "An amendment corrects the deal's own day; reopening removes it. By `product`, each line counts under "
            "its own product. This is revenue as booked by sales, not as recognised in accounting."
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
                definition="value of won deals that are their customer's first",
            )
        },
        description=(
            "Revenue from first purchases: each customer's earliest won deal, by closing day. `new_revenue` and "
            "`repeat_revenue` add up to `revenue` in every group. Another common definition counts all revenue of a "
            "customer's first year as new. When an earlier deal is recorded late, or two customers are merged, new "
            "revenue becomes repeat revenue on its own day."
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
                definition="value of won deals after their customer's first",
            )
        },
        description=(
            "Revenue from customers who had bought before, by closing day. Upsells, renewals and repeated purchases "
            "all count; for deals suggested by service see `upsell_revenue`."
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
                "count", Relationship.new_won, definition="customers whose first won deal closed in the period"
            )
        },
        description=(
            "Number of customers by the day of their first won deal, under that deal's salesperson, channel and "
            "region. An account without a purchase does not count; `referral_customers` counts recommended accounts "
            "by registration day. By `product`, a customer counts once under each product of the first deal."
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
                "of the leads created in the period, the share converted so far",
                ripens=True,
            ),
            "period": Formula(
                "ratio",
                Lead.converted,
                Lead.created,
                "leads converted in the period, whenever created, per lead created in it",
            ),
        },
        description=(
            "Share of leads that become customers. By cohort, the rate never exceeds 1 and growth does "
            "not distort it, but recent periods still rise as their leads mature. By period, it is final at once, but "
            "compares leads of different ages and may exceed 1."
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
            "Revenue as a share of quota. A quota is spread evenly over the days of its period: the first k of n "
            "days have k/n of it, rounded down to whole minor units. Revenue of salespeople without a quota counts "
            "in the total; group by `owner` to compare each with their own quota."
        ),
    ),
    Kpi(
        name="leads_created",
        title="Leads created",
        function="sales",
        indicator="leading",
        direction="up",
        variants={"standard": Formula("count", Lead.created, definition="leads created")},
        description="Number of leads, by creation day. By `channel`, it shows where customers come from.",
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
                "of the leads created in the period, the share qualified so far",
                ripens=True,
            ),
            "period": Formula(
                "ratio",
                Lead.qualified,
                Lead.created,
                "leads qualified in the period, whenever created, per lead created in it",
            ),
        },
        description="Share of leads that are worth a salesperson's time. It moves before the conversion rate does.",
    ),
    Kpi(
        name="win_rate",
        title="Win rate",
        function="sales",
        indicator="lagging",
        direction="up",
        leaves_out={"deals still open at the end of the period": Deal.pipeline_deals},
        variants={
            "count": Formula(
                "ratio",
                Deal.won,
                Deal.won + Deal.lost,
                "of the deals closed in the period, the share won",
            )
        },
        description=(
            "Share of closed deals that were won, by closing day. Open deals are left out: dividing by all opened "
            "deals, another common definition, penalises a growing pipeline. By `product`, a deal counts once under "
            "each of its products."
        ),
    ),
    Kpi(
        name="average_deal_size",
        title="Average deal size",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={"standard": Formula("money", Deal.revenue, Deal.won, "revenue per won deal")},
        description=(
            "Mean value of a won deal. By `product`, the mean value of that product's lines per won deal "
            "that contains it."
        ),
    ),
    Kpi(
        name="units_sold",
        title="Units sold",
        function="sales",
        indicator="lagging",
        direction="up",
        variants={"standard": Formula("count", Deal.units, definition="units in won deals")},
        description="Quantities on the lines of won deals, by closing day.",
    ),
    Kpi(
        name="sales_cycle_days",
        title="Sales cycle",
        function="sales",
        indicator="lagging",
        direction="down",
        leaves_out={"deals lost in the period": Deal.lost},
        variants=duration("days", Deal.cycle_seconds, "time from opening to winning a deal"),
        description=(
            "Time from opening to winning a deal, by closing day. Other definitions start at the lead's creation, "
            "which adds marketing's time, or include lost deals, which mostly measures how long salespeople wait "
            "before giving up. A few very long deals move the mean, not the median."
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
                definition="customers registered in the period on another's recommendation",
            ),
            "share": Formula(
                "ratio",
                Account.referred,
                Account.registered,
                "of the customers registered in the period, the share recommended by another",
            ),
        },
        description=(
            "Customers recommended by another customer, by registration day. For a definition by the lead's channel, "
            "group `leads_created` by `channel`."
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
                "money", Deal.upsell_revenue, definition="value of won deals suggested by a service agent"
            ),
            "share": Formula(
                "ratio",
                Deal.upsell_revenue,
                Deal.revenue,
                "share of revenue from deals suggested by a service agent",
            ),
        },
        description=(
            "Revenue of won deals that name the service suggestion they came from. Other definitions count every "
            "further sale to a customer: see `repeat_revenue`."
        ),
        chart="bar",
    ),
    Kpi(
        name="lead_response_minutes",
        title="Lead response time",
        function="sales",
        indicator="leading",
        direction="down",
        leaves_out={"leads of the period without a contact so far": Lead.created - Lead.cohort_contacted},
        variants=duration("minutes", Lead.response_seconds, "time from a lead's creation to its first contact"),
        description=(
            "Time from a lead's creation to the first contact by its assigned salesperson, by contact day. All hours "
            "count, nights included. Leads without a contact are left out; `qualification_rate` covers them. "
            "Measuring from the assignment, another common definition, hides how long leads wait for one."
        ),
    ),
    Kpi(
        name="pipeline_value",
        title="Pipeline value",
        function="sales",
        indicator="leading",
        direction="up",
        variants={
            "value": Formula(
                "money", Deal.pipeline_value, definition="value of the deals open at the end of the period"
            ),
            "deals": Formula("count", Deal.pipeline_deals, definition="deals open at the end of the period"),
        },
        description=(
            "Value of open deals at the end of the period. A deal counts at its current value; one in a foreign "
            "currency has no value until its event carries an estimate. By `stage`, open deals without a stage "
            "history count under their current stage, and closed ones under none."
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
                definition="value of open deals at the end of the period × weight of their stage",
            )
        },
        description=(
            "`pipeline_value` with each deal weighted by its stage: prospecting 10 %, qualification 20 %, "
            "presentation 40 %, proposal 60 %, negotiation 80 %; each is rounded down to whole minor units. Closed "
            "deals without a stage history have no weight on the days they were open. The weights are a convention; "
            "`stage_conversion` shows the actual rates."
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
                ("open deals at the end of the period × win rate × average deal size ÷ mean sales cycle in days"),
                times=(
                    Deal.pipeline_deals,
                    Deal.won,
                ),
                over=(Deal.cycle_seconds,),
                scale=86_400,
            )
        },
        description=(
            "Expected revenue per day if deals are won at the rate, size and speed of the period. "
            "Numerator and denominator are products of the underlying sums."
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
                "of the stages entered in the period, the share left forwards so far",
                ripens=True,
            )
        },
        description=(
            "Share of entered stages from which deals advanced; group by `stage` to find where deals stall. A deal "
            "counts once per stage, on the day it first entered, and has advanced once it moved on to a later stage "
            "or was won, skipped stages or not. A reversed step does not count: a deal won and reopened, or returned "
            "from a later stage to one it had skipped. An open deal without a stage history counts under its current "
            "stage on its opening day. Dividing the entries of one stage by those of the one before in the same "
            "period, another common definition, compares different deals."
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
        description=(
            "Calls, messages, meetings and other activities, by the day they took place. A measure of "
            "effort, not of success."
        ),
        chart="bar",
    ),
    Kpi(
        name="follow_ups_on_time",
        title="Follow-ups on time",
        function="sales",
        indicator="leading",
        direction="up",
        leaves_out={"completed activities without a due time": Activity.completed - Activity.with_due},
        variants={
            "standard": Formula(
                "ratio",
                Activity.on_time,
                Activity.follow_ups + Activity.open,
                "of the activities due in the period, the share completed by their due time",
            )
        },
        description=(
            "Share of activities that were completed by their due time, by the day they were due. What was missed, and "
            "what is still open when that day is over, counts as not on time; what was cancelled counts nowhere."
        ),
    ),
)
