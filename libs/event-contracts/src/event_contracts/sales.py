"""The events on `sales.events`: accounts, leads, deals, activities, referrals, quotas, each with the whole state."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from event_contracts.catalogue import SALES_TOPIC, State, corrections, event
from event_contracts.fields import Amendment, Code, Count, Credit, CustomValues, Moment, Money
from event_contracts.planned_work import PlannedWork, WorkMoving

LeadStatus = Literal["new", "assigned", "contacted", "qualified", "disqualified", "converted"]
OpenStage = Literal["prospecting", "qualification", "presentation", "proposal", "negotiation"]
Stage = Literal["prospecting", "qualification", "presentation", "proposal", "negotiation", "won", "lost"]
Outcome = Literal["won", "lost"]
ActivityKind = Literal["call", "email", "meeting", "demonstration", "visit", "follow_up"]


class Account(State, frozen=True, kw_only=True):
    """A customer of sales. Its id is the customer's id everywhere; its name is in the directory."""

    region: Code | None
    segment: Code | None
    channel: Code | None
    """Where the customer came from; the channel of its lead where it was converted from one."""
    owner_id: UUID | None
    """The salesperson responsible for the account."""
    team_id: UUID | None
    registered_at: Moment
    referred_by: UUID | None = None
    """The customer who recommended us to this one."""
    merged_into: UUID | None = None
    """The account of the same customer that survives the merge; null again once the merge was taken back."""
    erased_at: Moment | None = None
    """When names and texts were erased. Ids, codes and amounts remain, and so do the sums."""
    custom: CustomValues | None = None
    """Null in events of before there were custom fields."""


@event("sales.account-registered", topic=SALES_TOPIC, subject_kind="accounts")
class AccountRegistered(Account, frozen=True, kw_only=True):
    """A new customer was registered, by hand or by converting a lead."""


class AccountUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """The names of the changed fields."""

    fields: list[Code]


@event("sales.account-updated", topic=SALES_TOPIC, subject_kind="accounts")
class AccountUpdated(Account, frozen=True, kw_only=True):
    """A customer's region, segment, channel, owner or name changed."""

    change: AccountUpdate


@event("sales.account-merged", topic=SALES_TOPIC, subject_kind="accounts")
class AccountMerged(Account, frozen=True, kw_only=True):
    """The account was merged: everything it did counts for `merged_into` from now on."""


@event("sales.account-unmerged", topic=SALES_TOPIC, subject_kind="accounts")
class AccountUnmerged(Account, frozen=True, kw_only=True):
    """The account's merge was taken back: `merged_into` is null again, and what names the account counts for itself.

    What was recorded under the surviving account meanwhile stays with that one.
    """


@event("sales.account-erased", topic=SALES_TOPIC, subject_kind="accounts")
class AccountErased(Account, frozen=True, kw_only=True):
    """A customer's name and texts were erased: erase your copies too. Its figures stay."""


class SuggestionOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """The suggestion of a service agent that a lead comes from, as service has it."""

    customer_id: UUID
    """The customer of service; of sales too where the lead has that account, or one that it was merged into."""
    ticket_id: UUID | None
    """The ticket that showed the need."""
    agent_id: UUID | None
    """The service agent who had it."""
    team_id: UUID | None
    """The agent's team then."""
    suggested_at: Moment


class Lead(State, frozen=True, kw_only=True):
    """A possible customer. Its conversion counts in the cohort of `created_at`."""

    status: LeadStatus
    channel: Code | None
    region: Code | None
    segment: Code | None
    product: Code | None
    owner_id: UUID | None
    team_id: UUID | None
    created_at: Moment
    assigned_at: Moment | None = None
    contacted_at: Moment | None = None
    """The first contact by the assigned salesperson."""
    contacted_by: Credit | None = None
    """Who made it; null in events of before this was recorded."""
    qualified_at: Moment | None = None
    qualified_by: Credit | None = None
    """Whose lead it was then; null in events of before this was recorded."""
    disqualified_at: Moment | None = None
    disqualified_reason: Code | None = None
    converted_at: Moment | None = None
    account_id: UUID | None = None
    """An existing customer, or the one that the conversion created."""
    deal_id: UUID | None = None
    upsell_suggestion_id: UUID | None = None
    """The service agent's suggestion that led to this lead."""
    suggestion: SuggestionOrigin | None = None
    """What service says of it; null until sales has read that, and in events of before it did."""
    erased_at: Moment | None = None
    """When names and texts were erased. Ids, codes and amounts remain, and so do the sums."""
    custom: CustomValues | None = None
    """Null in events of before there were custom fields."""


@event("sales.lead-created", topic=SALES_TOPIC, subject_kind="leads")
class LeadCreated(Lead, frozen=True, kw_only=True):
    """A lead was created."""


class LeadAssignment(msgspec.Struct, frozen=True, kw_only=True):
    """The owner before."""

    previous_owner_id: UUID | None


@event("sales.lead-assigned", topic=SALES_TOPIC, subject_kind="leads")
class LeadAssigned(Lead, frozen=True, kw_only=True):
    """A lead was assigned to a salesperson, or reassigned to another."""

    change: LeadAssignment


@event("sales.lead-contacted", topic=SALES_TOPIC, subject_kind="leads")
class LeadContacted(Lead, frozen=True, kw_only=True):
    """The assigned salesperson made the first contact."""


@event("sales.lead-qualified", topic=SALES_TOPIC, subject_kind="leads")
class LeadQualified(Lead, frozen=True, kw_only=True):
    """The lead was qualified as worth pursuing."""


@event("sales.lead-disqualified", topic=SALES_TOPIC, subject_kind="leads")
class LeadDisqualified(Lead, frozen=True, kw_only=True):
    """The lead was given up; `disqualified_reason` gives the reason."""


class LeadConversion(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the conversion."""

    account_registered: bool
    """False when the lead belonged to an existing customer."""


@event("sales.lead-converted", topic=SALES_TOPIC, subject_kind="leads")
class LeadConverted(Lead, frozen=True, kw_only=True):
    """The lead became a customer with a deal."""

    change: LeadConversion


@event("sales.lead-amended", topic=SALES_TOPIC, subject_kind="leads")
class LeadAmended(Lead, frozen=True, kw_only=True):
    """What was recorded wrongly of a lead was corrected: it counts as if it had come in so, in the same days."""

    change: Amendment


@event("sales.lead-erased", topic=SALES_TOPIC, subject_kind="leads")
class LeadErased(Lead, frozen=True, kw_only=True):
    """The lead's name and contact details were erased: erase your copies too."""


class DealLine(msgspec.Struct, frozen=True, kw_only=True):
    """One product of a deal. `amount` is quantity times unit price, in the deal's currency."""

    product: Code
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    unit_price: Money
    amount: Money
    reporting_amount: Money | None = None
    """`amount` at the frozen rate; null until the deal is closed."""


class FrozenRate(msgspec.Struct, frozen=True, kw_only=True):
    """The exchange rate at closing; unchanged while the deal stays closed."""

    rate: Decimal
    """Units of the reporting currency for one unit of the deal's currency."""
    on: date
    """The day of the rate: the closing day, or the last day before it that has a rate."""


class StageEntry(msgspec.Struct, frozen=True, kw_only=True):
    """When a deal entered a stage; it stays there until the next entry."""

    stage: Stage
    entered_at: Moment


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What a won deal agrees on: time, price and quality."""

    deliver_by: date
    price: Money
    """In the deal's currency."""
    quality: Code | None = None
    """The agreed grade or service level; null for the usual one."""


class Deal(State, frozen=True, kw_only=True):
    """A sale. `amount` is the sum of its lines; attribution is that at this event."""

    account_id: UUID
    lead_id: UUID | None
    stage: Stage
    lines: list[DealLine]
    amount: Money
    owner_id: UUID | None
    team_id: UUID | None
    region: Code | None
    segment: Code | None
    channel: Code | None
    opened_at: Moment
    expected_close_on: date | None = None
    closed_at: Moment | None = None
    """When it was won or lost; null while it is open or reopened."""
    close_reason: Code | None = None
    frozen_rate: FrozenRate | None = None
    reporting_amount: Money | None = None
    """The sum of the lines' reporting amounts; null until the deal is closed."""
    reopen_count: Count = 0
    stage_entries: list[StageEntry] = msgspec.field(default_factory=list)
    """Every stage it entered, won and lost included, in order of time; empty where not recorded."""
    estimated_reporting_amount: Money | None = None
    """`amount` at the rate of the event's day, while the deal is open."""
    proposal_sent_at: Moment | None = None
    """When the first proposal was sent."""
    proposal_count: Count = 0
    promise: Promise | None = None
    upsell_suggestion_id: UUID | None = None
    """The service agent's suggestion that led to this deal."""
    erased_at: Moment | None = None
    """When names and texts were erased. Ids, codes and amounts remain, and so do the sums."""
    custom: CustomValues | None = None
    """Null in events of before there were custom fields."""


@event("sales.deal-opened", topic=SALES_TOPIC, subject_kind="deals")
class DealOpened(Deal, frozen=True, kw_only=True):
    """A deal entered the pipeline."""


class DealStageChange(msgspec.Struct, frozen=True, kw_only=True):
    """The stage before."""

    previous_stage: OpenStage


@event("sales.deal-stage-changed", topic=SALES_TOPIC, subject_kind="deals")
class DealStageChanged(Deal, frozen=True, kw_only=True):
    """A deal moved to another stage, forwards or back."""

    change: DealStageChange


@event("sales.proposal-sent", topic=SALES_TOPIC, subject_kind="deals")
class ProposalSent(Deal, frozen=True, kw_only=True):
    """A proposal was sent to the customer."""


class DealClosing(msgspec.Struct, frozen=True, kw_only=True):
    """How the deal ended, and from which stage."""

    outcome: Outcome
    previous_stage: OpenStage


@event("sales.deal-closed", topic=SALES_TOPIC, subject_kind="deals")
class DealClosed(Deal, frozen=True, kw_only=True):
    """A deal was won or lost."""

    change: DealClosing


class DealReopening(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome that was reversed."""

    previous_outcome: Outcome


@event("sales.deal-reopened", topic=SALES_TOPIC, subject_kind="deals")
class DealReopened(Deal, frozen=True, kw_only=True):
    """A closed deal returned to the pipeline; a won one leaves the revenue of its day."""

    change: DealReopening


class DealAmendment(msgspec.Struct, frozen=True, kw_only=True):
    """The amount before, and the names of the amended fields."""

    previous_amount: Money
    fields: list[Code] = []
    """Empty in events from before amendments named them."""


@event("sales.deal-amended", topic=SALES_TOPIC, subject_kind="deals")
class DealAmended(Deal, frozen=True, kw_only=True):
    """A deal's lines, attribution or other terms were corrected; a closed deal keeps its day and its rate."""

    change: DealAmendment


@event("sales.deal-erased", topic=SALES_TOPIC, subject_kind="deals")
class DealErased(Deal, frozen=True, kw_only=True):
    """A deal's texts were erased with its customer; its figures stay."""


class Quota(State, frozen=True, kw_only=True):
    """A salesperson's sales target for a period, first and last day included."""

    rep_id: UUID
    team_id: UUID | None
    period_start: date
    period_end: date
    target: Money
    """Revenue to reach, in the reporting currency."""
    set_at: Moment


class QuotaSetting(msgspec.Struct, frozen=True, kw_only=True):
    """The target before; null when the quota is new."""

    previous_target: Money | None


@event("sales.quota-set", topic=SALES_TOPIC, subject_kind="quotas")
class QuotaSet(Quota, frozen=True, kw_only=True):
    """A quota was set or changed."""

    change: QuotaSetting


class Activity(PlannedWork, frozen=True, kw_only=True):
    """A salesperson's work on a lead, a deal or a customer, planned or done; attribution is that at the time."""

    kind: ActivityKind
    account_id: UUID | None
    lead_id: UUID | None
    deal_id: UUID | None
    owner_id: UUID | None
    team_id: UUID | None
    region: Code | None
    segment: Code | None
    channel: Code | None
    due_at: Moment | None
    """When it is due; null when unplanned."""
    completed_at: Moment | None
    """When it was done; null while it is not."""
    agreed_with_customer: bool = False
    """Whether the customer counts on it at `due_at`: from then on they wait until it is done, moved or cancelled."""
    reasons: list[Code] | None = None
    """Why the customer is at risk: of what was planned for that; null for all else."""
    planning_rule_id: UUID | None = None
    """The rule of sales that planned it; null for what people planned."""
    custom: CustomValues | None = None
    """Null in events of before there were custom fields."""


class CompletedActivity(Activity, frozen=True, kw_only=True):
    """A salesperson's completed work on a lead, a deal or a customer; attribution is that at the time."""

    completed_at: Moment


@event("sales.activity-completed", topic=SALES_TOPIC, subject_kind="activities")
class ActivityCompleted(CompletedActivity, frozen=True, kw_only=True):
    """A salesperson completed an activity, planned or not."""


@event("sales.activity-amended", topic=SALES_TOPIC, subject_kind="activities")
class ActivityAmended(CompletedActivity, frozen=True, kw_only=True):
    """What was recorded wrongly of an activity was corrected."""

    change: Amendment


@event("sales.activity-planned", topic=SALES_TOPIC, subject_kind="activities")
class ActivityPlanned(Activity, frozen=True, kw_only=True):
    """An activity was planned, with its due time."""


@event("sales.activity-moved", topic=SALES_TOPIC, subject_kind="activities")
class ActivityMoved(Activity, frozen=True, kw_only=True):
    """A planned activity, or one that was missed, was moved to another due time."""

    change: WorkMoving


@event("sales.activity-missed", topic=SALES_TOPIC, subject_kind="activities")
class ActivityMissed(Activity, frozen=True, kw_only=True):
    """A planned activity did not take place."""


@event("sales.activity-cancelled", topic=SALES_TOPIC, subject_kind="activities")
class ActivityCancelled(Activity, frozen=True, kw_only=True):
    """A planned activity is no longer to be done; it counts nowhere."""


@event("sales.planned-activity-amended", topic=SALES_TOPIC, subject_kind="activities")
class PlannedActivityAmended(Activity, frozen=True, kw_only=True):
    """What was recorded wrongly of an activity that is not done was corrected."""

    change: Amendment


class Referral(State, frozen=True, kw_only=True):
    """A customer's recommendation to another party; attribution is the recommending customer's."""

    account_id: UUID
    """The customer who recommends."""
    lead_id: UUID | None
    """The lead that resulted."""
    owner_id: UUID | None
    team_id: UUID | None
    region: Code | None
    segment: Code | None
    channel: Code | None
    recorded_at: Moment


@event("sales.referral-recorded", topic=SALES_TOPIC, subject_kind="referrals")
class ReferralRecorded(Referral, frozen=True, kw_only=True):
    """A customer's recommendation was recorded."""


@event("sales.referral-amended", topic=SALES_TOPIC, subject_kind="referrals")
class ReferralAmended(Referral, frozen=True, kw_only=True):
    """What was recorded wrongly of a referral was corrected."""

    change: Amendment


for _noun, _state, _subject_kind in (
    ("account", Account, "accounts"),
    ("lead", Lead, "leads"),
    ("deal", Deal, "deals"),
    ("quota", Quota, "quotas"),
    # The narrower one first: it corrects what was completed.
    ("activity", CompletedActivity, "activities"),
    ("planned-activity", Activity, "activities"),
    ("referral", Referral, "referrals"),
):
    corrections(_noun, _state, topic=SALES_TOPIC, subject_kind=_subject_kind)
