"""The KPIs of service."""

from metrics_worker.domain.care import CheckInMeasures as CheckIn
from metrics_worker.domain.care import MaintenanceMeasures as Maintenance
from metrics_worker.domain.care import ReviewMeasures as Review
from metrics_worker.domain.care import TrainingMeasures as Training
from metrics_worker.domain.interaction import InteractionMeasures as Interaction
from metrics_worker.domain.survey import SurveyMeasures as Survey
from metrics_worker.domain.ticket import TicketMeasures as Ticket
from metrics_worker.kpis.formula import Formula, Kpi, duration

SERVICE: tuple[Kpi, ...] = (
    Kpi(
        name="csat",
        title="Customer satisfaction",
        function="service",
        indicator="lagging",
        direction="up",
        leaves_out={
            "surveys sent in the period and not answered so far": Survey.sent - Survey.cohort_answered,
            "answers without a score": Survey.answered - Survey.scored,
        },
        variants={
            "top_two": Formula(
                "ratio",
                Survey.satisfied,
                Survey.scored,
                "of the surveys answered with a score in the period, the share answered with 4 or 5 of 5",
            ),
            "mean": Formula("score", Survey.score, Survey.scored, "the mean of the scores from 1 to 5"),
        },
        description=(
            "The share of the top two answers says how many customers are satisfied, the mean how satisfied they are; "
            "figures of the two kinds cannot be compared. An answer counts on the day it was first given, and a "
            "revised one corrects that day."
        ),
    ),
    Kpi(
        name="resolution_rate",
        title="Resolution rate",
        function="service",
        indicator="lagging",
        direction="up",
        variants={
            "cohort": Formula(
                "ratio",
                Ticket.cohort_resolved,
                Ticket.opened,
                "of the tickets opened in the period, the share that stands resolved now",
                ripens=True,
            ),
            "period": Formula(
                "ratio",
                Ticket.resolved,
                Ticket.opened,
                "tickets resolved in the period, whenever they were opened, per ticket opened in the period",
            ),
        },
        description=(
            "By cohort it tells what becomes of the tickets of a period and never passes 1. By period it tells "
            "whether work goes out as fast as it comes in, and passes 1 while a backlog is worked off. A reopened "
            "ticket loses its resolution until it is resolved again."
        ),
    ),
    Kpi(
        name="first_contact_resolution",
        title="First contact resolution",
        function="service",
        indicator="lagging",
        direction="up",
        variants={
            "one_touch": Formula(
                "ratio",
                Ticket.resolved_first_contact,
                Ticket.resolved,
                (
                    "of the tickets resolved in the period, the share for which the customer came once at most and "
                    "that were never reopened"
                ),
            ),
            "no_reopen_7d": Formula(
                "ratio",
                Ticket.held,
                Ticket.first_resolved,
                (
                    "of the tickets resolved for the first time in the period, the share that was not reopened within "
                    "seven days"
                ),
            ),
        },
        description=(
            "Both definitions are in use. `one_touch` counts contacts that the customer began; our own calls and "
            "automatic messages are not. It suits calls, and says little of a conversation by mail. `no_reopen_7d` "
            "takes a ticket for solved at once when it was not reopened within a week of its first resolution; those "
            "of the last week count as held so far. A reopened ticket whose first resolution was not kept is left "
            "out of it. Others ask the customer, which only those who answer know."
        ),
    ),
    Kpi(
        name="average_handle_time",
        title="Average handle time",
        function="service",
        indicator="lagging",
        direction="down",
        variants=duration(
            "seconds",
            Interaction.handle_seconds,
            "the talk, hold and wrap-up time of contacts handled by an agent",
        ),
        description=(
            "Counted on the day of each contact. Automatic messages are left out, since nobody handled them. Some "
            "leave out wrap-up time and so look faster."
        ),
    ),
    Kpi(
        name="tickets_opened",
        title="Tickets opened",
        function="service",
        indicator="leading",
        direction="down",
        variants={"standard": Formula("count", Ticket.opened, definition="tickets that came in")},
        description=(
            "How many tickets came in, on the day they were opened; group by kind to tell questions from complaints."
        ),
    ),
    Kpi(
        name="tickets_resolved",
        title="Tickets resolved",
        function="service",
        indicator="lagging",
        direction="up",
        variants={"standard": Formula("count", Ticket.resolved, definition="tickets resolved in the period")},
        description="Each ticket counts once, on the day it was last resolved; not while it is reopened.",
    ),
    Kpi(
        name="reopen_rate",
        title="Reopen rate",
        function="service",
        indicator="lagging",
        direction="down",
        variants={
            "cohort": Formula(
                "ratio",
                Ticket.cohort_reopened,
                Ticket.opened,
                "of the tickets opened in the period, the share that was reopened at least once",
                ripens=True,
            ),
            "period": Formula(
                "ratio",
                Ticket.resolved_reopened,
                Ticket.resolved,
                "of the tickets resolved in the period, the share that had been reopened before",
            ),
        },
        description="How often a solution did not hold.",
    ),
    Kpi(
        name="reopen_count",
        title="Reopenings",
        function="service",
        indicator="lagging",
        direction="down",
        variants={
            "cohort": Formula(
                "count",
                Ticket.reopenings,
                definition="how often tickets opened in the period have been reopened by now",
                ripens=True,
            )
        },
        description="A ticket that was reopened twice counts twice, on the day the ticket was opened.",
    ),
    Kpi(
        name="survey_response_rate",
        title="Survey response rate",
        function="service",
        indicator="leading",
        direction="up",
        variants={
            "cohort": Formula(
                "ratio",
                Survey.cohort_answered,
                Survey.sent,
                "of the surveys sent in the period, the share that has been answered by now",
                ripens=True,
            )
        },
        description="A satisfaction that few have answered to is the satisfaction of a few.",
    ),
    Kpi(
        name="nps",
        title="Net promoter score",
        function="service",
        indicator="lagging",
        direction="up",
        leaves_out={
            "surveys sent in the period and not answered so far": Survey.sent - Survey.cohort_answered,
            "answers without a recommendation": Survey.answered - Survey.recommended,
        },
        variants={
            "standard": Formula(
                "score",
                Survey.promoters - Survey.detractors,
                Survey.recommended,
                "promoters (9 and 10 of 10) less detractors (0 to 6), per hundred answers",
                scale=100,
            )
        },
        description=(
            "From -100 to 100. Answers of 7 and 8 count in the denominator only. An answer counts on the day it was "
            "first given, and a revised one corrects that day. This is the score after a ticket; one asked of all "
            "customers once a year, as its inventors do, cannot be compared with it."
        ),
    ),
    Kpi(
        name="ces",
        title="Customer effort score",
        function="service",
        indicator="lagging",
        direction="up",
        leaves_out={
            "surveys sent in the period and not answered so far": Survey.sent - Survey.cohort_answered,
            "answers that say nothing of the effort": Survey.answered - Survey.effort_rated,
        },
        variants={
            "mean": Formula(
                "score",
                Survey.effort,
                Survey.effort_rated,
                "the mean of the answers from 1 (very difficult) to 7 (very easy)",
            ),
            "top_three": Formula(
                "ratio",
                Survey.effortless,
                Survey.effort_rated,
                "the share of the answers from 5 to 7",
            ),
        },
        description=(
            "How easy it was to get help: high is good, as in its second version of 2013. The first one, from 1 to 5, "
            "asked for the effort, so that low was good."
        ),
    ),
    Kpi(
        name="resolution_hours",
        title="Resolution time",
        function="service",
        indicator="lagging",
        direction="down",
        leaves_out={"tickets neither resolved nor closed at the period's end": Ticket.backlog},
        variants=duration(
            "hours",
            Ticket.resolution_seconds,
            "the time from a ticket's opening to its resolution",
        )
        | duration(
            "hours",
            Ticket.business_resolution_seconds,
            "the business hours from a ticket's opening to its resolution",
            prefix="business_",
        ),
        description=(
            "From the opening to the last resolution, on the day of that; a ticket that is reopened leaves until it is "
            "resolved again, and then has taken the whole time. All hours count, as the customer waits through them; "
            "the business variants count the hours of the policy, for tickets under one that has any. Some stop the "
            "clock while they wait for the customer."
        ),
    ),
    Kpi(
        name="first_response_minutes",
        title="First response time",
        function="service",
        indicator="leading",
        direction="down",
        leaves_out={"open tickets without a first response at the period's end": Ticket.unattended},
        variants=duration(
            "minutes",
            Ticket.first_response_seconds,
            "the time from a ticket's opening to its first response",
        )
        | duration(
            "minutes",
            Ticket.business_response_seconds,
            "the business hours from a ticket's opening to its first response",
            prefix="business_",
        ),
        description=(
            "To the first public reply by a person, on the day of it; automatic messages are no response, though some "
            "count them. Tickets not answered yet are left out: see `unattended_now`. A reopened ticket keeps its "
            "first response."
        ),
    ),
    Kpi(
        name="answered_within_hour",
        title="Answered within the hour",
        function="service",
        indicator="leading",
        direction="up",
        variants={
            "cohort": Formula(
                "ratio",
                Ticket.cohort_within_hour,
                Ticket.opened,
                "of the tickets opened in the period, the share that got a first response within an hour",
            )
        },
        description=(
            "A customer left alone for an hour is lost. Unlike `first_response_minutes` it counts tickets that nobody "
            "answered, those of the last hour included."
        ),
    ),
    Kpi(
        name="unattended_now",
        title="Unattended tickets",
        function="service",
        indicator="leading",
        direction="down",
        variants={
            "standard": Formula(
                "count",
                Ticket.unattended,
                definition="open tickets without a first response, as they stood at the period's end",
            )
        },
        description="A level: with a period that ends today, it is now.",
        chart="area",
    ),
    Kpi(
        name="backlog",
        title="Backlog",
        function="service",
        indicator="leading",
        direction="down",
        variants={
            "standard": Formula(
                "count",
                Ticket.backlog,
                definition="tickets neither resolved nor closed, as they stood at the period's end",
            )
        },
        description=(
            "A level: what stood open at the end of the last day. A ticket that was reopened counts as never resolved "
            "in between, since the solution did not hold; so past days of it rise. `as_of` shows them as they were."
        ),
        chart="area",
    ),
    Kpi(
        name="escalation_rate",
        title="Escalation rate",
        function="service",
        indicator="lagging",
        direction="down",
        variants={
            "cohort": Formula(
                "ratio",
                Ticket.cohort_escalated,
                Ticket.opened,
                "of the tickets opened in the period, the share that has been escalated by now",
                ripens=True,
            )
        },
        description="How often the first line needed help. A ticket escalated twice counts once.",
    ),
    Kpi(
        name="sla_attainment",
        title="SLA attainment",
        function="service",
        indicator="lagging",
        direction="up",
        leaves_out={"tickets resolved without a service-level agreement": Ticket.resolved - Ticket.resolved_under_sla},
        variants={
            "standard": Formula(
                "ratio",
                Ticket.resolved_within_sla,
                Ticket.resolved_under_sla,
                "of the tickets with a service-level agreement resolved in the period, the share without a breach",
            )
        },
        description=(
            "A ticket that missed either the first response or the resolution has breached it. Tickets without an "
            "agreement are left out; some count them as attained."
        ),
    ),
    Kpi(
        name="pre_sales_questions",
        title="Questions before a purchase",
        function="service",
        indicator="leading",
        direction="up",
        variants={"standard": Formula("count", Ticket.presales, definition="questions asked before a purchase")},
        description="Tickets of the kind `presales_question`, on the day they were opened: who asks may buy.",
        chart="bar",
    ),
    Kpi(
        name="training_delivered",
        title="Trainings delivered",
        function="service",
        indicator="leading",
        direction="up",
        variants={
            "trainings": Formula("count", Training.delivered, definition="trainings delivered in the period"),
            "attendees": Formula("count", Training.attendees, definition="people trained in them"),
        },
        description="Whoever knows the product asks less and stays longer. On the day each training was delivered.",
        chart="bar",
    ),
    Kpi(
        name="check_ins_completed",
        title="Check-ins completed",
        function="service",
        indicator="leading",
        direction="up",
        leaves_out={
            "check-ins completed that were planned for no day, where it is about time": CheckIn.completed - CheckIn.due
        },
        variants={
            "standard": Formula("count", CheckIn.completed, definition="check-ins completed in the period"),
            "on_time": Formula(
                "ratio",
                CheckIn.on_time,
                CheckIn.due,
                "of those that were planned for a day, the share completed by then",
            ),
        },
        description="Conversations that service sought before anything was wrong, on the day they took place.",
        chart="bar",
    ),
    Kpi(
        name="maintenance_done_on_time",
        title="Maintenance done on time",
        function="service",
        indicator="leading",
        direction="up",
        variants={
            "standard": Formula(
                "ratio",
                Maintenance.on_time,
                Maintenance.performed,
                "of the planned maintenance performed in the period, the share performed by its due day",
            )
        },
        description=(
            "Days are those of the reporting time zone. Maintenance that is overdue shows when it is performed."
        ),
    ),
    Kpi(
        name="review_score",
        title="Public reviews",
        function="service",
        indicator="lagging",
        direction="up",
        variants={
            "mean": Formula("score", Review.score, Review.recorded, "the mean score of public reviews, from 1 to 5"),
            "good": Formula("ratio", Review.good, Review.recorded, "the share of public reviews with 4 or 5"),
            "count": Formula("count", Review.recorded, definition="public reviews written in the period"),
        },
        description="What customers say where others can read it, on the day they wrote it.",
    ),
)
