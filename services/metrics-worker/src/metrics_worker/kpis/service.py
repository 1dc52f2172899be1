"""The KPIs of service."""

from metrics_worker.kpis.registry import Formula, Kpi, declare

declare(
    Kpi(
        name="csat",
        title="Customer satisfaction",
        function="service",
        indicator="lagging",
        direction="up",
        variants={
            "top_two": Formula(
                "ratio",
                ("survey.satisfied",),
                ("survey.answered",),
                says="of the surveys answered in the period, the share answered with 4 or 5 of 5",
            ),
            "mean": Formula(
                "score", ("survey.score",), ("survey.answered",), says="the mean of the scores from 1 to 5"
            ),
        },
        prose=(
            "The share of the top two answers says how many customers are satisfied, the mean how satisfied they are; "
            "figures of the two kinds cannot be compared. An answer counts on the day it was first given, and a "
            "revised one corrects that day."
        ),
    )
)
declare(
    Kpi(
        name="resolution_rate",
        title="Resolution rate",
        function="service",
        indicator="lagging",
        direction="up",
        variants={
            "cohort": Formula(
                "ratio",
                ("ticket.cohort_resolved",),
                ("ticket.opened",),
                says="of the tickets opened in the period, the share that stands resolved now",
            ),
            "period": Formula(
                "ratio",
                ("ticket.resolved",),
                ("ticket.opened",),
                says="tickets resolved in the period, whenever they were opened, per ticket opened in the period",
            ),
        },
        prose=(
            "By cohort it tells what becomes of the tickets of a period and never passes 1. By period it tells "
            "whether work goes out as fast as it comes in, and passes 1 while a backlog is worked off. A reopened "
            "ticket loses its resolution until it is resolved again."
        ),
    )
)
declare(
    Kpi(
        name="first_contact_resolution",
        title="First contact resolution",
        function="service",
        indicator="lagging",
        direction="up",
        variants={
            "one_touch": Formula(
                "ratio",
                ("ticket.resolved_first_contact",),
                ("ticket.resolved",),
                says=(
                    "of the tickets resolved in the period, the share for which the customer came once at most and "
                    "that were never reopened"
                ),
            )
        },
        prose=(
            "Contacts that the customer began are counted; our own calls and automatic messages are not. Some count "
            "only tickets resolved within the first conversation, others any ticket that was not reopened within some "
            "days; the first is not known when the conversation is by mail, the second is known only days later."
        ),
    )
)
declare(
    Kpi(
        name="average_handle_time",
        title="Average handle time",
        function="service",
        indicator="lagging",
        direction="down",
        variants={
            "mean": Formula(
                "seconds",
                ("interaction.talk_seconds", "interaction.hold_seconds", "interaction.wrap_up_seconds"),
                ("interaction.handled",),
                says="talk, hold and wrap-up time divided by the contacts handled by an agent",
            )
        },
        prose=(
            "Counted on the day of each contact. Automatic messages are left out, since nobody handled them. Some "
            "leave out wrap-up time and so look faster."
        ),
    )
)
declare(
    Kpi(
        name="tickets_opened",
        title="Tickets opened",
        function="service",
        indicator="leading",
        direction="down",
        variants={"standard": Formula("count", ("ticket.opened",), says="tickets that came in")},
        prose="How many tickets came in, on the day they were opened; group by kind to tell questions from complaints.",
    )
)
declare(
    Kpi(
        name="tickets_resolved",
        title="Tickets resolved",
        function="service",
        indicator="lagging",
        direction="up",
        variants={"standard": Formula("count", ("ticket.resolved",), says="tickets resolved in the period")},
        prose="Each ticket counts once, on the day it was last resolved; not while it is reopened.",
    )
)
declare(
    Kpi(
        name="reopen_rate",
        title="Reopen rate",
        function="service",
        indicator="lagging",
        direction="down",
        variants={
            "cohort": Formula(
                "ratio",
                ("ticket.cohort_reopened",),
                ("ticket.opened",),
                says="of the tickets opened in the period, the share that was reopened at least once",
            ),
            "period": Formula(
                "ratio",
                ("ticket.resolved_reopened",),
                ("ticket.resolved",),
                says="of the tickets resolved in the period, the share that had been reopened before",
            ),
        },
        prose="How often a solution did not hold.",
    )
)
declare(
    Kpi(
        name="reopen_count",
        title="Reopenings",
        function="service",
        indicator="lagging",
        direction="down",
        variants={
            "cohort": Formula(
                "count", ("ticket.reopenings",), says="how often tickets opened in the period have been reopened by now"
            )
        },
        prose="A ticket that was reopened twice counts twice, on the day the ticket was opened.",
    )
)
declare(
    Kpi(
        name="survey_response_rate",
        title="Survey response rate",
        function="service",
        indicator="leading",
        direction="up",
        variants={
            "cohort": Formula(
                "ratio",
                ("survey.cohort_answered",),
                ("survey.sent",),
                says="of the surveys sent in the period, the share that has been answered by now",
            )
        },
        prose="A satisfaction that few have answered to is the satisfaction of a few.",
    )
)
