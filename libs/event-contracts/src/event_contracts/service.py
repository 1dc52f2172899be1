"""The events on `service.events`: tickets, surveys and all other work for customers, each with the whole state."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from event_contracts.catalogue import SERVICE_TOPIC, State, corrections, event
from event_contracts.fields import Amendment, Code, Count, Credit, CustomValues, Moment, Money, Score, Seconds
from event_contracts.planned_work import PlannedWork, WorkMoving
from event_contracts.sales import Promise

TicketKind = Literal["presales_question", "installation", "maintenance", "problem", "complaint", "training_request"]
TicketChannel = Literal["phone", "email", "chat", "in_person", "web"]
Priority = Literal["low", "normal", "high", "urgent"]
TicketStatus = Literal["open", "resolved", "closed"]
Direction = Literal["inbound", "outbound"]
Visibility = Literal["public", "internal"]
SurveyKind = Literal["csat"]
AnswerSource = Literal["customer", "entered"]
ReopenCause = Literal["customer_message", "staff"]
WaitEnd = Literal["reply", "resolution"]
RatingWaitEnd = Literal["follow_up", "revision"]
SuggestionOutcome = Literal["new", "assigned", "contacted", "qualified", "disqualified", "converted", "won", "lost"]
SlaTarget = Literal["first_response", "resolution"]
Recommendation = Annotated[
    int, msgspec.Meta(ge=0, le=10, description="How likely they would recommend us, from 0 (not at all) to 10.")
]
Effort = Annotated[
    int, msgspec.Meta(ge=1, le=7, description="How easy it was, from 1 (very difficult) to 7 (very easy).")
]


class Customer(State, frozen=True, kw_only=True):
    """A customer registered by service before sales; names are in the directory."""

    region: Code | None
    segment: Code | None
    registered_at: Moment
    merged_into: UUID | None = None
    """The customer, of sales or service, that it was found to be; null again once the link was taken back."""
    erased_at: Moment | None = None
    """When names and texts were erased. Ids, codes and amounts remain, and so do the sums."""
    custom: CustomValues | None = None
    """Null in events of before there were custom fields."""


@event("service.customer-registered", topic=SERVICE_TOPIC, subject_kind="customers")
class CustomerRegistered(Customer, frozen=True, kw_only=True):
    """Service registered a customer that sales does not know."""


class CustomerUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """The names of the changed fields."""

    fields: list[Code]


@event("service.customer-updated", topic=SERVICE_TOPIC, subject_kind="customers")
class CustomerUpdated(Customer, frozen=True, kw_only=True):
    """The name, region or segment of a customer of service's own changed."""

    change: CustomerUpdate


@event("service.customer-linked", topic=SERVICE_TOPIC, subject_kind="customers")
class CustomerLinked(Customer, frozen=True, kw_only=True):
    """A customer of service's own is the one that `merged_into` names: all that names it counts for that one."""


@event("service.customer-unlinked", topic=SERVICE_TOPIC, subject_kind="customers")
class CustomerUnlinked(Customer, frozen=True, kw_only=True):
    """The customer's link was taken back: `merged_into` is null again, and what names the customer counts for itself.

    What was recorded under the other customer meanwhile stays with that one.
    """


@event("service.customer-erased", topic=SERVICE_TOPIC, subject_kind="customers")
class CustomerErased(Customer, frozen=True, kw_only=True):
    """A customer's name and texts were erased: erase your copies too. Its figures stay."""


class Interaction(msgspec.Struct, frozen=True, kw_only=True):
    """One contact on a ticket. Its kind, priority, region, segment and product are the ticket's."""

    id: UUID
    ticket_id: UUID
    customer_id: UUID
    agent_id: UUID | None
    """Null for an automatic message."""
    team_id: UUID | None
    direction: Direction
    visibility: Visibility
    channel: TicketChannel
    ticket_kind: TicketKind
    priority: Priority
    region: Code | None
    segment: Code | None
    product: Code | None
    talk_seconds: Seconds
    hold_seconds: Seconds
    wrap_up_seconds: Seconds
    occurred_at: Moment


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which the customer waited for us: from their question, or the reopening, to our answer."""

    since: Moment
    until: Moment | None = None
    """When a person replied in public, or the ticket was resolved; null while they wait."""
    ended_by: WaitEnd | None = None
    answered_by: Credit | None = None
    """Who replied or resolved it; null while they wait, and where no one was named."""


class Ticket(State, frozen=True, kw_only=True):
    """A customer's question, request or problem. Region and segment are the customer's at the opening."""

    customer_id: UUID
    kind: TicketKind
    channel: TicketChannel
    priority: Priority
    status: TicketStatus
    region: Code | None
    segment: Code | None
    product: Code | None
    agent_id: UUID | None
    team_id: UUID | None
    opened_at: Moment
    assigned_at: Moment | None = None
    first_responded_at: Moment | None = None
    """The first public reply by a person; a reopened ticket keeps it."""
    first_responded_by: Credit | None = None
    """Who gave it; null in events of before this was recorded."""
    resolved_at: Moment | None = None
    """When it was last resolved; null while it is open or reopened."""
    resolved_by: Credit | None = None
    """Who resolved it; null while it is open, and in events of before this was recorded."""
    resolution: Code | None = None
    closed_at: Moment | None = None
    reopened_at: Moment | None = None
    """When it was last reopened."""
    reopen_count: Count = 0
    interaction_count: Count = 0
    inbound_count: Count = 0
    """Interactions that the customer started: more than one is a repeated contact."""
    merged_contact_count: Count = 0
    """How often the customer came about the tickets that were merged into this one: at least once for each."""
    waits: list[Wait] | None = None
    """Each time in which the customer waited for us, in order; the last one is open while they wait. Beyond a thousand
    the oldest are left out. Null in events of before this was recorded."""
    first_resolved_at: Moment | None = None
    """When it was resolved for the first time; a reopened ticket keeps it."""
    first_resolved_by: Credit | None = None
    """Who resolved it for the first time; null in events of before this was recorded."""
    first_reopened_at: Moment | None = None
    escalated_at: Moment | None = None
    """When it was first escalated."""
    merged_into: UUID | None = None
    """The ticket about the same matter that survives; this one no longer counts."""
    merged_at: Moment | None = None
    first_response_due_at: Moment | None = None
    """When the SLA policy requires the first response; null without a policy."""
    resolution_due_at: Moment | None = None
    """When the SLA policy requires the resolution; null without a policy."""
    sla_breached_at: Moment | None = None
    """When the first of the two was missed."""
    first_response_business_seconds: Count | None = None
    """Business time from opening to first response; null where the policy has no business hours."""
    resolution_business_seconds: Count | None = None
    """Business time from opening to resolution; null where the policy has no business hours."""
    onboarding_deal_id: UUID | None = None
    """For an onboarding: the won deal."""
    onboarding_since: Moment | None = None
    """When that deal was won, as known to service."""
    follow_up_to: UUID | None = None
    """For a follow-up: the ticket that had been done with for too long to be reopened by the customer's message."""
    cancelled_at: Moment | None = None
    """Of an onboarding, when its deal was taken back from won; it counts nowhere until the deal is won again."""
    erased_at: Moment | None = None
    """When names and texts were erased. Ids, codes and amounts remain, and so do the sums."""
    custom: CustomValues | None = None
    """Null in events of before there were custom fields."""


@event("service.ticket-opened", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketOpened(Ticket, frozen=True, kw_only=True):
    """A ticket was opened."""


class TicketAssignment(msgspec.Struct, frozen=True, kw_only=True):
    """The agent before."""

    previous_agent_id: UUID | None


@event("service.ticket-assigned", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketAssigned(Ticket, frozen=True, kw_only=True):
    """A ticket was assigned to an agent or a team."""

    change: TicketAssignment


@event("service.interaction-logged", topic=SERVICE_TOPIC, subject_kind="tickets")
class InteractionLogged(Ticket, frozen=True, kw_only=True):
    """A contact on a ticket was logged. The subject is the ticket; `change` is the interaction, a subject of its own
    (`interactions/<id>`) at the same sequence for consumers that keep interactions."""

    change: Interaction


class InteractionAmendment(msgspec.Struct, frozen=True, kw_only=True):
    """The interaction as it is now, and as it was."""

    interaction: Interaction
    previous: Interaction


@event("service.interaction-amended", topic=SERVICE_TOPIC, subject_kind="tickets")
class InteractionAmended(Ticket, frozen=True, kw_only=True):
    """What was recorded wrongly of an interaction was corrected, mostly with its ticket. As when it was logged, it is a
    subject of its own at the same sequence."""

    change: InteractionAmendment


@event("service.interaction-withdrawn", topic=SERVICE_TOPIC, subject_kind="tickets")
class InteractionWithdrawn(Ticket, frozen=True, kw_only=True):
    """A restore lost the interaction in `change`: nothing of it counts any more."""

    change: Interaction


@event("service.ticket-first-responded", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketFirstResponded(Ticket, frozen=True, kw_only=True):
    """A person replied to the customer for the first time."""


@event("service.ticket-resolved", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketResolved(Ticket, frozen=True, kw_only=True):
    """A ticket was resolved."""


class TicketReopening(msgspec.Struct, frozen=True, kw_only=True):
    """The resolution that was reversed, and by whom."""

    previous_resolved_at: Moment
    cause: ReopenCause | None = None
    """`customer_message` where the customer wrote or called again; null in events of before this was recorded."""
    interaction_id: UUID | None = None
    """Of a customer's message: the interaction, which the next event of the ticket logs."""


@event("service.ticket-reopened", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketReopened(Ticket, frozen=True, kw_only=True):
    """A resolved ticket was reopened: it loses its resolution and keeps its first response."""

    change: TicketReopening


@event("service.ticket-closed", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketClosed(Ticket, frozen=True, kw_only=True):
    """A resolved ticket was closed for good."""


@event("service.ticket-escalated", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketEscalated(Ticket, frozen=True, kw_only=True):
    """A ticket was escalated to a person with more knowledge or authority."""


@event("service.ticket-merged", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketMerged(Ticket, frozen=True, kw_only=True):
    """A ticket was merged into another about the same matter and no longer counts; the other's figures stay."""


class TicketAbsorption(msgspec.Struct, frozen=True, kw_only=True):
    """The ticket that was merged into this one."""

    ticket_id: UUID


@event("service.ticket-absorbed", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketAbsorbed(Ticket, frozen=True, kw_only=True):
    """Another ticket about the same matter was merged into this one: its contacts count with this one's."""

    change: TicketAbsorption


@event("service.ticket-cancelled", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketCancelled(Ticket, frozen=True, kw_only=True):
    """An onboarding was cancelled, since its deal is no longer won; it no longer counts."""


@event("service.ticket-reinstated", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketReinstated(Ticket, frozen=True, kw_only=True):
    """A cancelled onboarding is needed again, since its deal was won again; what was done of it counts again."""


@event("service.ticket-amended", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketAmended(Ticket, frozen=True, kw_only=True):
    """What was recorded wrongly of a ticket was corrected: it counts as if it had been opened so, in the same days."""

    change: Amendment


@event("service.ticket-erased", topic=SERVICE_TOPIC, subject_kind="tickets")
class TicketErased(Ticket, frozen=True, kw_only=True):
    """The texts of a ticket and its interactions were erased with its customer; its figures stay."""


class SlaBreach(msgspec.Struct, frozen=True, kw_only=True):
    """The target that was missed."""

    target: SlaTarget
    due_at: Moment


@event("service.sla-breached", topic=SERVICE_TOPIC, subject_kind="tickets")
class SlaBreached(Ticket, frozen=True, kw_only=True):
    """A ticket missed a target of its SLA policy."""

    change: SlaBreach


class RatingWait(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which a bad rating waited for an agent to speak with the customer about it."""

    since: Moment
    """When the customer gave it."""
    until: Moment | None = None
    """When an agent spoke with them, or they revised it to a good one; null while it waits."""
    ended_by: RatingWaitEnd | None = None
    channel: TicketChannel | None = None
    """By which they were contacted; null where that is not known, and for a revision."""
    followed_up_by: Credit | None = None
    """Who spoke with them; null while it waits, and for a revision."""


class Survey(State, frozen=True, kw_only=True):
    """A survey after a ticket, about satisfaction, recommendation, effort or several of them.

    Attribution is the ticket's at the time of sending. Agent and team are those whom the answer is about: who resolved
    the ticket, unless its SLA policy names another.
    """

    kind: SurveyKind
    ticket_id: UUID
    customer_id: UUID
    agent_id: UUID | None
    team_id: UUID | None
    ticket_kind: TicketKind
    channel: TicketChannel
    priority: Priority
    region: Code | None
    segment: Code | None
    product: Code | None
    sent_at: Moment
    answered_at: Moment | None = None
    """When it was first answered; a revision keeps it."""
    score: Score | None = None
    """Satisfaction; null while unanswered, and where the survey does not ask it."""
    recommendation: Recommendation | None = None
    effort: Effort | None = None
    answer_source: AnswerSource | None = None
    """`customer` for an answer by the customer's own link, `entered` for one that staff or an import entered for them;
    null while unanswered, and for answers of before this was recorded."""
    entry_reason: Code | None = None
    """Why an answer was entered; null for the customer's own."""
    waits: list[RatingWait] | None = None
    """Each time in which a bad rating waited to be followed up, in order; null before this was recorded."""
    erased_at: Moment | None = None
    """When names and texts were erased. Ids, codes and amounts remain, and so do the sums."""


@event("service.survey-sent", topic=SERVICE_TOPIC, subject_kind="surveys")
class SurveySent(Survey, frozen=True, kw_only=True):
    """A survey was sent."""


@event("service.survey-answered", topic=SERVICE_TOPIC, subject_kind="surveys")
class SurveyAnswered(Survey, frozen=True, kw_only=True):
    """A survey was answered for the first time, or the customer's own answer replaced one that was entered for them."""


class SurveyRevision(msgspec.Struct, frozen=True, kw_only=True):
    """The answer before."""

    previous_score: Score


@event("service.survey-revised", topic=SERVICE_TOPIC, subject_kind="surveys")
class SurveyRevised(Survey, frozen=True, kw_only=True):
    """An answer was revised, by the customer or by who had entered it; it counts on the day of the first one."""

    change: SurveyRevision


@event("service.survey-followed-up", topic=SERVICE_TOPIC, subject_kind="surveys")
class SurveyFollowedUp(Survey, frozen=True, kw_only=True):
    """An agent spoke with the customer about their bad rating: it is the last of `waits`."""


@event("service.survey-amended", topic=SERVICE_TOPIC, subject_kind="surveys")
class SurveyAmended(Survey, frozen=True, kw_only=True):
    """The survey's ticket was amended, and what the survey has taken over from it with it."""

    change: Amendment


@event("service.survey-erased", topic=SERVICE_TOPIC, subject_kind="surveys")
class SurveyErased(Survey, frozen=True, kw_only=True):
    """A survey's comment was erased with the customer; the score stays."""


class Training(PlannedWork, frozen=True, kw_only=True):
    """A training for a customer's staff, planned or delivered."""

    customer_id: UUID
    agent_id: UUID | None
    team_id: UUID | None
    region: Code | None
    segment: Code | None
    product: Code | None
    attendees: Count
    delivered_at: Moment | None
    """When it was done; null while it is not."""
    due_at: Moment | None = None
    """When it is due; null when unplanned."""


class DeliveredTraining(Training, frozen=True, kw_only=True):
    """A training that was delivered to a customer's staff."""

    delivered_at: Moment


@event("service.training-delivered", topic=SERVICE_TOPIC, subject_kind="trainings")
class TrainingDelivered(DeliveredTraining, frozen=True, kw_only=True):
    """A training was delivered."""


@event("service.training-amended", topic=SERVICE_TOPIC, subject_kind="trainings")
class TrainingAmended(DeliveredTraining, frozen=True, kw_only=True):
    """What was recorded wrongly of a training was corrected."""

    change: Amendment


@event("service.training-planned", topic=SERVICE_TOPIC, subject_kind="trainings")
class TrainingPlanned(Training, frozen=True, kw_only=True):
    """A training was planned, with its due time."""


@event("service.training-moved", topic=SERVICE_TOPIC, subject_kind="trainings")
class TrainingMoved(Training, frozen=True, kw_only=True):
    """A planned training, or one that was missed, was moved to another due time."""

    change: WorkMoving


@event("service.training-missed", topic=SERVICE_TOPIC, subject_kind="trainings")
class TrainingMissed(Training, frozen=True, kw_only=True):
    """A planned training did not take place."""


@event("service.training-cancelled", topic=SERVICE_TOPIC, subject_kind="trainings")
class TrainingCancelled(Training, frozen=True, kw_only=True):
    """A planned training is no longer to be done; it counts nowhere."""


@event("service.planned-training-amended", topic=SERVICE_TOPIC, subject_kind="trainings")
class PlannedTrainingAmended(Training, frozen=True, kw_only=True):
    """What was recorded wrongly of a training that is not done was corrected."""

    change: Amendment


class CheckIn(PlannedWork, frozen=True, kw_only=True):
    """A conversation that service starts without a request by the customer, planned or completed."""

    customer_id: UUID
    agent_id: UUID | None
    team_id: UUID | None
    region: Code | None
    segment: Code | None
    product: Code | None
    due_on: date | None
    """The last day on which it is on time; null when unplanned."""
    completed_at: Moment | None
    """When it was done; null while it is not."""
    planning_rule_id: UUID | None = None
    """The rule of service that planned it; null for what people planned."""


class CompletedCheckIn(CheckIn, frozen=True, kw_only=True):
    """A conversation that service started without a request by the customer."""

    completed_at: Moment


@event("service.check-in-completed", topic=SERVICE_TOPIC, subject_kind="checkins")
class CheckInCompleted(CompletedCheckIn, frozen=True, kw_only=True):
    """A check-in with a customer was completed."""


@event("service.check-in-amended", topic=SERVICE_TOPIC, subject_kind="checkins")
class CheckInAmended(CompletedCheckIn, frozen=True, kw_only=True):
    """What was recorded wrongly of a check-in was corrected."""

    change: Amendment


@event("service.check-in-planned", topic=SERVICE_TOPIC, subject_kind="checkins")
class CheckInPlanned(CheckIn, frozen=True, kw_only=True):
    """A check-in was planned, with its due time."""


@event("service.check-in-moved", topic=SERVICE_TOPIC, subject_kind="checkins")
class CheckInMoved(CheckIn, frozen=True, kw_only=True):
    """A planned check-in, or one that was missed, was moved to another due time."""

    change: WorkMoving


@event("service.check-in-missed", topic=SERVICE_TOPIC, subject_kind="checkins")
class CheckInMissed(CheckIn, frozen=True, kw_only=True):
    """A planned check-in did not take place."""


@event("service.check-in-cancelled", topic=SERVICE_TOPIC, subject_kind="checkins")
class CheckInCancelled(CheckIn, frozen=True, kw_only=True):
    """A planned check-in is no longer to be done; it counts nowhere."""


@event("service.planned-check-in-amended", topic=SERVICE_TOPIC, subject_kind="checkins")
class PlannedCheckInAmended(CheckIn, frozen=True, kw_only=True):
    """What was recorded wrongly of a check-in that is not done was corrected."""

    change: Amendment


class Maintenance(PlannedWork, frozen=True, kw_only=True):
    """One visit or update under a maintenance plan, planned or done."""

    plan_id: UUID | None
    customer_id: UUID
    agent_id: UUID | None
    team_id: UUID | None
    region: Code | None
    segment: Code | None
    product: Code | None
    due_on: date
    """The last day on which it is on time."""
    performed_at: Moment | None
    """When it was done; null while it is not."""


class PerformedMaintenance(Maintenance, frozen=True, kw_only=True):
    """One visit or update under a maintenance plan that was done."""

    performed_at: Moment


@event("service.maintenance-performed", topic=SERVICE_TOPIC, subject_kind="maintenance")
class MaintenancePerformed(PerformedMaintenance, frozen=True, kw_only=True):
    """Planned maintenance was performed."""


@event("service.maintenance-amended", topic=SERVICE_TOPIC, subject_kind="maintenance")
class MaintenanceAmended(PerformedMaintenance, frozen=True, kw_only=True):
    """What was recorded wrongly of maintenance was corrected."""

    change: Amendment


@event("service.maintenance-planned", topic=SERVICE_TOPIC, subject_kind="maintenance")
class MaintenancePlanned(Maintenance, frozen=True, kw_only=True):
    """Maintenance was planned, with its due time."""


@event("service.maintenance-moved", topic=SERVICE_TOPIC, subject_kind="maintenance")
class MaintenanceMoved(Maintenance, frozen=True, kw_only=True):
    """Planned maintenance, or maintenance that was missed, was moved to another due time."""

    change: WorkMoving


@event("service.maintenance-missed", topic=SERVICE_TOPIC, subject_kind="maintenance")
class MaintenanceMissed(Maintenance, frozen=True, kw_only=True):
    """Planned maintenance did not take place."""


@event("service.maintenance-cancelled", topic=SERVICE_TOPIC, subject_kind="maintenance")
class MaintenanceCancelled(Maintenance, frozen=True, kw_only=True):
    """Planned maintenance is no longer to be done; it counts nowhere."""


@event("service.planned-maintenance-amended", topic=SERVICE_TOPIC, subject_kind="maintenance")
class PlannedMaintenanceAmended(Maintenance, frozen=True, kw_only=True):
    """What was recorded wrongly of maintenance that is not done was corrected."""

    change: Amendment


class OnboardingStep(PlannedWork, frozen=True, kw_only=True):
    """One step by which a won deal is brought into use, planned or done; the promised delivery is one, too."""

    deal_id: UUID
    ticket_id: UUID
    """The onboarding."""
    customer_id: UUID
    agent_id: UUID | None
    team_id: UUID | None
    region: Code | None
    segment: Code | None
    product: Code | None
    step: Code
    """What is to be done: `delivery` for what the deal promises, else as the template has it."""
    promised: bool
    """Whether it is the delivery that the deal promises: from the end of its due day on the customer waits for it."""
    due_on: date
    """The last day on which it is on time."""
    completed_at: Moment | None
    """When it was done; null while it is not."""


class CompletedOnboardingStep(OnboardingStep, frozen=True, kw_only=True):
    """One step of an onboarding that was done."""

    completed_at: Moment


@event("service.onboarding-step-completed", topic=SERVICE_TOPIC, subject_kind="onboardingsteps")
class OnboardingStepCompleted(CompletedOnboardingStep, frozen=True, kw_only=True):
    """A step of an onboarding was done."""


@event("service.onboarding-step-amended", topic=SERVICE_TOPIC, subject_kind="onboardingsteps")
class OnboardingStepAmended(CompletedOnboardingStep, frozen=True, kw_only=True):
    """What was recorded wrongly of a step that is done was corrected."""

    change: Amendment


@event("service.onboarding-step-planned", topic=SERVICE_TOPIC, subject_kind="onboardingsteps")
class OnboardingStepPlanned(OnboardingStep, frozen=True, kw_only=True):
    """A step of an onboarding was planned, with its due day."""


@event("service.onboarding-step-moved", topic=SERVICE_TOPIC, subject_kind="onboardingsteps")
class OnboardingStepMoved(OnboardingStep, frozen=True, kw_only=True):
    """A planned step, or one that was missed, was moved to another due day."""

    change: WorkMoving


@event("service.onboarding-step-missed", topic=SERVICE_TOPIC, subject_kind="onboardingsteps")
class OnboardingStepMissed(OnboardingStep, frozen=True, kw_only=True):
    """A planned step did not take place."""


@event("service.onboarding-step-cancelled", topic=SERVICE_TOPIC, subject_kind="onboardingsteps")
class OnboardingStepCancelled(OnboardingStep, frozen=True, kw_only=True):
    """A planned step is no longer to be done; it counts nowhere."""


@event("service.planned-onboarding-step-amended", topic=SERVICE_TOPIC, subject_kind="onboardingsteps")
class PlannedOnboardingStepAmended(OnboardingStep, frozen=True, kw_only=True):
    """What was recorded wrongly of a step that is not done was corrected, or it went to another agent."""

    change: Amendment


class Delivery(State, frozen=True, kw_only=True):
    """The delivery of a won deal as the customer accepted it, to compare with the deal's promise."""

    deal_id: UUID
    customer_id: UUID
    agent_id: UUID | None
    team_id: UUID | None
    region: Code | None
    segment: Code | None
    delivered_at: Moment
    accepted_at: Moment
    price: Money
    """The final price, in the deal's currency."""
    quality_as_agreed: bool
    """Whether the customer found the quality as agreed."""
    promise: Promise | None = None
    """The deal's promise as known to service; null where nothing was agreed."""


@event("service.delivery-accepted", topic=SERVICE_TOPIC, subject_kind="deliveries")
class DeliveryAccepted(Delivery, frozen=True, kw_only=True):
    """The customer accepted the delivery of a won deal."""


@event("service.delivery-amended", topic=SERVICE_TOPIC, subject_kind="deliveries")
class DeliveryAmended(Delivery, frozen=True, kw_only=True):
    """What was recorded wrongly of a delivery was corrected."""

    change: Amendment


class Review(State, frozen=True, kw_only=True):
    """A customer's public review, as a score without its text."""

    customer_id: UUID
    region: Code | None
    segment: Code | None
    product: Code | None
    channel: Code | None
    """Where it was published: a marketplace, a directory, a forum."""
    score: Score
    reviewed_at: Moment


@event("service.review-recorded", topic=SERVICE_TOPIC, subject_kind="reviews")
class ReviewRecorded(Review, frozen=True, kw_only=True):
    """A customer's public review was recorded, or recorded again after a change."""


@event("service.review-amended", topic=SERVICE_TOPIC, subject_kind="reviews")
class ReviewAmended(Review, frozen=True, kw_only=True):
    """What was recorded wrongly of a review was corrected."""

    change: Amendment


class UpsellSuggestion(State, frozen=True, kw_only=True):
    """A service agent's suggestion of what a customer could buy; it becomes a lead in sales."""

    customer_id: UUID
    ticket_id: UUID | None
    agent_id: UUID | None
    team_id: UUID | None
    region: Code | None
    segment: Code | None
    product: Code | None
    suggested_at: Moment
    outcome: SuggestionOutcome | None = None
    """What has become of it in sales; null as long as sales has neither a lead nor a deal of it."""
    outcome_reason: Code | None = None
    """Why the lead was given up, or the deal won or lost."""
    outcome_at: Moment | None = None
    """When that happened in sales."""
    lead_id: UUID | None = None
    """The lead of sales that comes of it."""
    deal_id: UUID | None = None
    """The deal of sales that comes of it."""


@event("service.upsell-suggested", topic=SERVICE_TOPIC, subject_kind="upsells")
class UpsellSuggested(UpsellSuggestion, frozen=True, kw_only=True):
    """A service agent suggested an upsell."""


@event("service.upsell-amended", topic=SERVICE_TOPIC, subject_kind="upsells")
class UpsellAmended(UpsellSuggestion, frozen=True, kw_only=True):
    """What was recorded wrongly of an upsell suggestion was corrected."""

    change: Amendment


@event("service.upsell-outcome-changed", topic=SERVICE_TOPIC, subject_kind="upsells")
class UpsellOutcomeChanged(UpsellSuggestion, frozen=True, kw_only=True):
    """Something became of a suggestion in sales: its lead went on, or its deal was won, lost or reopened."""


for _noun, _state, _subject_kind in (
    # Of two states of a subject the narrower one first: it corrects what was done.
    ("customer", Customer, "customers"),
    ("ticket", Ticket, "tickets"),
    ("survey", Survey, "surveys"),
    ("training", DeliveredTraining, "trainings"),
    ("planned-training", Training, "trainings"),
    ("check-in", CompletedCheckIn, "checkins"),
    ("planned-check-in", CheckIn, "checkins"),
    ("maintenance", PerformedMaintenance, "maintenance"),
    ("planned-maintenance", Maintenance, "maintenance"),
    ("onboarding-step", CompletedOnboardingStep, "onboardingsteps"),
    ("planned-onboarding-step", OnboardingStep, "onboardingsteps"),
    ("delivery", Delivery, "deliveries"),
    ("review", Review, "reviews"),
    ("upsell", UpsellSuggestion, "upsells"),
):
    corrections(_noun, _state, topic=SERVICE_TOPIC, subject_kind=_subject_kind)
