"""The KPIs of service."""

from metrics_worker.domain.care import CheckInMeasures as CheckIn
from metrics_worker.domain.care import MaintenanceMeasures as Maintenance
from metrics_worker.domain.care import ReviewMeasures as Review
from metrics_worker.domain.care import TrainingMeasures as Training
from metrics_worker.domain.interaction import InteractionMeasures as Interaction
from metrics_worker.domain.onboarding_step import OnboardingStepMeasures as Step
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
                "of the surveys answered with a score in the period, the share with 4 or 5 of 5",
            ),
            "mean": Formula("score", Survey.score, Survey.scored, "mean score, from 1 to 5"),
        },
        description=(
            "Customer satisfaction after a ticket. `top_two` measures how many customers are satisfied, `mean` how "
            "satisfied they are; the two are not comparable. An answer counts on the day it was first given, and a "
            "revision corrects that day. `answer_source` tells the customer's own answers (`customer`) from those that "
            "staff entered for them (`entered`)."
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
                "of the tickets opened in the period, the share resolved now",
                ripens=True,
            ),
            "period": Formula(
                "ratio",
                Ticket.resolved,
                Ticket.opened,
                "tickets resolved in the period, whenever opened, per ticket opened in it",
            ),
        },
        description=(
            "Resolved tickets per opened ticket. By cohort, it shows what becomes of a period's tickets and never "
            "exceeds 1. By period, it shows whether work is done as fast as it arrives, and exceeds 1 while a "
            "backlog shrinks. A reopened ticket loses its resolution until it is resolved again."
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
                ("of the tickets resolved in the period, the share with at most one customer contact and no reopening"),
            ),
            "no_reopen_7d": Formula(
                "ratio",
                Ticket.held,
                Ticket.first_resolved,
                ("of the tickets first resolved in the period, the share not reopened within seven days"),
            ),
        },
        description=(
            "Share of tickets solved at the first contact, by two common definitions. `one_touch` counts contacts "
            "started by the customer, also about tickets merged into it, not our calls or automatic messages; it suits "
            "calls and means little for email threads. `no_reopen_7d` counts a ticket as solved when it was not "
            "reopened within a week of its first "
            "resolution; tickets of the last week count as held so far, and a reopened ticket without a record of "
            "its first resolution is left out. Asking the customer, a third definition, covers only those who answer."
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
            "talk, hold and wrap-up time of contacts handled by an agent",
        ),
        description=(
            "Talk, hold and wrap-up time of a contact handled by an agent, by contact day. Automatic messages are "
            "left out. Definitions without wrap-up time give lower values."
        ),
    ),
    Kpi(
        name="tickets_opened",
        title="Tickets opened",
        function="service",
        indicator="leading",
        direction="down",
        variants={"standard": Formula("count", Ticket.opened, definition="tickets opened")},
        description=("Number of tickets, by opening day; group by `kind` to separate questions from complaints."),
    ),
    Kpi(
        name="tickets_resolved",
        title="Tickets resolved",
        function="service",
        indicator="lagging",
        direction="up",
        variants={"standard": Formula("count", Ticket.resolved, definition="tickets resolved in the period")},
        description=(
            "Number of tickets, by the day of their last resolution. A reopened ticket does not count until "
            "it is resolved again."
        ),
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
                "of the tickets opened in the period, the share reopened at least once",
                ripens=True,
            ),
            "period": Formula(
                "ratio",
                Ticket.resolved_reopened,
                Ticket.resolved,
                "of the tickets resolved in the period, the share reopened before",
            ),
        },
        description="Share of tickets whose solution did not last.",
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
                definition="reopenings so far of tickets opened in the period",
                ripens=True,
            )
        },
        description="Number of reopenings, by the tickets' opening day. A ticket reopened twice counts twice.",
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
                "of the surveys sent in the period, the share answered so far",
                ripens=True,
            ),
            "by_customer": Formula(
                "ratio",
                Survey.cohort_answered_by_customer,
                Survey.sent,
                "of the surveys sent in the period, the share answered so far by the customer's own link",
                ripens=True,
            ),
        },
        description=(
            "Share of surveys that are answered. A low rate means that satisfaction reflects few customers. "
            "`by_customer` leaves out answers that were entered for the customer."
        ),
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
                "promoters (9 and 10 of 10) minus detractors (0 to 6), per hundred answers",
                scale=100,
            )
        },
        description=(
            "Net promoter score after a ticket, from -100 to 100. Answers of 7 and 8 count in the denominator only. "
            "An answer counts on the day it was first given, and a revision corrects that day. The score is not "
            "comparable with that of a yearly survey of all customers, as its inventors conduct it."
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
            "answers without an effort rating": Survey.answered - Survey.effort_rated,
        },
        variants={
            "mean": Formula(
                "score",
                Survey.effort,
                Survey.effort_rated,
                "mean answer, from 1 (very difficult) to 7 (very easy)",
            ),
            "top_three": Formula(
                "ratio",
                Survey.effortless,
                Survey.effort_rated,
                "share of answers from 5 to 7",
            ),
        },
        description=(
            "Customer effort score: how easy it was to get help. High is good, as in the second version of 2013; the "
            "first version, from 1 to 5, asked for the effort, so that low was good."
        ),
    ),
    Kpi(
        name="resolution_hours",
        title="Resolution time",
        function="service",
        indicator="lagging",
        direction="down",
        leaves_out={"tickets neither resolved nor closed at the end of the period": Ticket.backlog},
        variants=duration(
            "hours",
            Ticket.resolution_seconds,
            "time from a ticket's opening to its resolution",
        )
        | duration(
            "hours",
            Ticket.business_resolution_seconds,
            "business time from a ticket's opening to its resolution",
            prefix="business_",
        ),
        description=(
            "Time from opening to the last resolution, by the day of that resolution. A reopened ticket is removed "
            "until it is resolved again, and then counts with its whole time. `mean`, `median` and `p90` count all "
            "hours; the business variants count the policy's business hours, for tickets under a policy that has "
            "any. Stopping the clock while waiting for the customer, another common definition, gives lower values."
        ),
    ),
    Kpi(
        name="first_response_minutes",
        title="First response time",
        function="service",
        indicator="leading",
        direction="down",
        leaves_out={"open tickets without a first response at the end of the period": Ticket.unattended},
        variants=duration(
            "minutes",
            Ticket.first_response_seconds,
            "time from a ticket's opening to its first response",
        )
        | duration(
            "minutes",
            Ticket.business_response_seconds,
            "business time from a ticket's opening to its first response",
            prefix="business_",
        ),
        description=(
            "Time from opening to the first public reply by a person, by the day of the reply. Automatic messages do "
            "not count, although other definitions include them. Tickets without a reply are left out: see "
            "`backlog`, and `reply_minutes` for every later wait. A reopened ticket keeps its first response."
        ),
    ),
    Kpi(
        name="reply_minutes",
        title="Reply time",
        function="service",
        indicator="leading",
        direction="down",
        leaves_out={"tickets whose customer still waits at the end of the period": Ticket.waiting},
        variants=duration(
            "minutes",
            Ticket.reply_seconds,
            "time from a customer's question, or a reopening, to our next reply or resolution",
        ),
        description=(
            "How long customers waited each time, by the day of our answer: from the opening, their message or the "
            "reopening to the next public reply by a person or the resolution. Several messages before an answer are "
            "one wait. Unlike `first_response_minutes`, it measures every wait, those after a reopening included."
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
                Ticket.waiting,
                definition="tickets whose customer waits for our answer at the end of the period",
            )
        },
        description=(
            "Tickets whose customer waits for our answer at the end of the period; for a period that ends today, now. "
            "They wait from their question, and from a reopening, until a person replies in public or the ticket is "
            "resolved; a later question, after a reply, is a wait of its own. Of events of before each wait was "
            "recorded, only the wait for the first response is known."
        ),
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
                definition="tickets neither resolved nor closed at the end of the period",
            )
        },
        description=(
            "Open tickets at the end of the period. A reopened ticket counts as open in between, since its solution "
            "did not last, so past days rise; `as_of` shows them as they were."
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
                "of the tickets opened in the period, the share escalated so far",
                ripens=True,
            )
        },
        description="Share of tickets that the first line passed on. A ticket escalated twice counts once.",
    ),
    Kpi(
        name="sla_attainment",
        title="SLA attainment",
        function="service",
        indicator="lagging",
        direction="up",
        leaves_out={"tickets resolved without an SLA policy": Ticket.resolved - Ticket.resolved_under_sla},
        variants={
            "standard": Formula(
                "ratio",
                Ticket.resolved_within_sla,
                Ticket.resolved_under_sla,
                "of the tickets under an SLA policy resolved in the period, the share without a breach",
            )
        },
        description=(
            "Share of resolved tickets that kept their SLA policy; missing the first response or the resolution is a "
            "breach. Tickets without a policy are left out, although other definitions count them as attained."
        ),
    ),
    Kpi(
        name="pre_sales_questions",
        title="Questions before a purchase",
        function="service",
        indicator="leading",
        direction="up",
        variants={"standard": Formula("count", Ticket.presales, definition="questions asked before a purchase")},
        description="Tickets of the kind `presales_question`, by opening day: customers who ask may buy.",
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
            "on_time": Formula(
                "ratio",
                Training.on_time,
                Training.due + Training.open,
                "of the trainings due in the period, the share delivered by their due time",
            ),
        },
        description="Trainings, by delivery day. Trained customers ask less and stay longer.",
        chart="bar",
    ),
    Kpi(
        name="check_ins_completed",
        title="Check-ins completed",
        function="service",
        indicator="leading",
        direction="up",
        leaves_out={"for `on_time`, completed check-ins without a planned day": CheckIn.completed - CheckIn.with_due},
        variants={
            "standard": Formula("count", CheckIn.completed, definition="check-ins completed in the period"),
            "on_time": Formula(
                "ratio",
                CheckIn.on_time,
                CheckIn.due + CheckIn.open,
                "of the check-ins due in the period, the share completed by their due day",
            ),
        },
        description=(
            "Conversations that service starts without a request, by the day they took place; for `on_time` by the "
            "day they were due."
        ),
        chart="bar",
    ),
    Kpi(
        name="check_ins_on_time",
        title="Check-ins on time",
        function="service",
        indicator="leading",
        direction="up",
        leaves_out={"completed check-ins without a due day": CheckIn.completed - CheckIn.with_due},
        variants={
            "standard": Formula(
                "ratio",
                CheckIn.on_time,
                CheckIn.due + CheckIn.open,
                "of the check-ins due in the period, the share completed by their due day",
            )
        },
        description=(
            "Share of check-ins that were completed by their due day, by that day, in the reporting time zone. What "
            "was missed, and what is still open when that day is over, counts as not on time; what was cancelled "
            "counts nowhere."
        ),
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
                Maintenance.due + Maintenance.open,
                "of the maintenance due in the period, the share performed by its due day",
            )
        },
        description=(
            "Share of planned maintenance performed by its due day, by that day, in the reporting time zone. What was "
            "missed, and what is still open when that day is over, counts as not on time; what was cancelled counts "
            "nowhere."
        ),
    ),
    Kpi(
        name="onboarding_steps_on_time",
        title="Onboarding steps on time",
        function="service",
        indicator="leading",
        direction="up",
        variants={
            "standard": Formula(
                "ratio",
                Step.on_time,
                Step.due + Step.open,
                "of the steps of onboardings due in the period, the share done by their due day",
            ),
            "count": Formula("count", Step.completed, definition="steps of onboardings done in the period"),
        },
        description=(
            "Share of the steps that bring won deals into use (installation, set-up, training, the promised delivery) "
            "done by their due day, by that day, in the reporting time zone. What was missed, and what is still open "
            "when that day is over, counts as not on time; what was cancelled, as with a deal that was taken back, "
            "counts nowhere."
        ),
    ),
    Kpi(
        name="review_score",
        title="Public reviews",
        function="service",
        indicator="lagging",
        direction="up",
        variants={
            "mean": Formula("score", Review.score, Review.recorded, "mean score of public reviews, from 1 to 5"),
            "good": Formula("ratio", Review.good, Review.recorded, "share of public reviews with 4 or 5"),
            "count": Formula("count", Review.recorded, definition="public reviews written in the period"),
        },
        description="Scores of public reviews, by the day they were written.",
    ),
)
