"""What the fields of sales' records mean: each type with its description and an example.

Types of answers, which check nothing, end in `Read`.
"""

from typing import Annotated, Final
from uuid import UUID

from event_contracts.sales import ActivityKind, LeadStatus, OpenStage, Outcome, Stage
from service_kit.fields import Code, Identifier, Moment, Name, Quantity, described
from service_kit.list_values.values import ListedIn

_REGION: Final = described("The code of the sales region, from the company's own list.", "south")
_SEGMENT: Final = described("The code of the kind of customer, from the company's own list.", "home-decor")
_CHANNEL: Final = described("The way the customer came: a key of the declared list `channels`.", "trade_show")
_PRODUCT: Final = described("A product of the catalogue, by its code.", "heat-pump-9")
_OWNER: Final = described("The salesperson who is responsible.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11")
_ACCOUNT: Final = described("The customer: the id of an account.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12")
_LEAD: Final = described("The lead that it comes from.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13")
_DEAL: Final = described("The deal that it is for.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18")
_REFERRER: Final = described("The customer who recommended us to this one.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a17")
_SUGGESTION: Final = described(
    "The suggestion of a service agent that it comes from.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a16"
)
_TITLE: Final = described("What the sale is about, for people; no event carries it.", "Two pumps for the annex")
_ACCOUNT_NAME: Final = described(
    "What the company or person is called; it is erased with the customer.", "Casa Verde Ltda"
)
_QUANTITY: Final = described("How many units are sold.", 2)
_QUALITY: Final = described("The code of a quality beyond the usual, from the company's own list.", "gold")
_CLOSE_REASON: Final = described(
    "Why the deal was won or lost: a key of the declared list `close_reasons`.", "best_service"
)
_DISQUALIFICATION: Final = described(
    "Why nothing can come of it: a key of the declared list `disqualification_reasons`.", "no_budget", rarely=True
)
_PERSON: Final = described("Who showed the interest. It stays in this service: no event carries it.", "Joana Prado")
_COMPANY: Final = described("Whom they work for. It stays in this service: no event carries it.", "Casa Verde Ltda")
_E_MAIL: Final = described(
    "Where they get mail. It stays in this service: no event carries it.", "joana@casaverde.example"
)
_PHONE: Final = described(
    "Where they can be called. It stays in this service: no event carries it.", "+55 11 5550 0100"
)
_PRODUCT_NAME: Final = described("What people call the product.", "Heat pump, 9 kW")
_PRODUCT_CODE: Final = described("Identifies the product in deals, leads and events; it never changes.", "heat-pump-9")
_REP_NAME: Final = described("What the salesperson is called.", "Ana Souza")
_REP_TEAM: Final = described("The team that they belong to now; null for none.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14")
_TEAM_NAME: Final = described("What people call the team.", "Iberia")

Region = Annotated[Code, _REGION]
RegionRead = Annotated[str, _REGION]
Segment = Annotated[Code, _SEGMENT]
SegmentRead = Annotated[str, _SEGMENT]
Channel = Annotated[Code, ListedIn("channels"), _CHANNEL]
ChannelRead = Annotated[str, _CHANNEL]
ProductOf = Annotated[Code, _PRODUCT]
ProductOfRead = Annotated[str, _PRODUCT]

OwnerId = Annotated[Identifier, _OWNER]
OwnerIdRead = Annotated[UUID, _OWNER]
TeamIdRead = Annotated[
    UUID, described("The owner's team when the owner got the record.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14")
]
AccountId = Annotated[Identifier, _ACCOUNT]
AccountIdRead = Annotated[UUID, _ACCOUNT]
LeadId = Annotated[Identifier, _LEAD]
LeadIdRead = Annotated[UUID, _LEAD]
DealId = Annotated[Identifier, _DEAL]
DealIdRead = Annotated[UUID, _DEAL]
ReferrerId = Annotated[Identifier, _REFERRER]
ReferrerIdRead = Annotated[UUID, _REFERRER]
SuggestionId = Annotated[Identifier, _SUGGESTION]
SuggestionIdRead = Annotated[UUID, _SUGGESTION]

ChangedAt = Annotated[Moment, described("When the latest change happened in the business.", "2026-03-31T14:00:00Z")]

DisqualifiedAt = Annotated[
    Moment, described("When it was found that nothing can come of it.", "2026-03-04T10:00:00Z", rarely=True)
]

ActivityKindField = Annotated[ActivityKind, described("What was done.", "follow_up", schema="ActivityKind")]
DealOutcome = Annotated[Outcome, described("How the deal ended.", "won", schema="DealOutcome")]
DealStage = Annotated[
    Stage, described("Where the deal is in the pipeline; won and lost are its ends.", "won", schema="DealStage")
]
OpenDealStage = Annotated[
    OpenStage, described("Where an open deal is in the pipeline.", "proposal", schema="OpenDealStage")
]
LeadStatusField = Annotated[LeadStatus, described("How far the lead has come.", "converted", schema="LeadStatus")]

RiskReasonRead = Annotated[str, described("A reason, as metrics names it.", "sla-breached")]

AccountName = Annotated[Name, _ACCOUNT_NAME]
AccountNameRead = Annotated[str, _ACCOUNT_NAME]
DealTitle = Annotated[Name, _TITLE]
DealTitleRead = Annotated[str, _TITLE]
LineQuantity = Annotated[Quantity, _QUANTITY]
LineQuantityRead = Annotated[int, _QUANTITY]
PromisedQuality = Annotated[Code, _QUALITY]
PromisedQualityRead = Annotated[str, _QUALITY]
CloseReason = Annotated[Code, ListedIn("close_reasons"), _CLOSE_REASON]
CloseReasonRead = Annotated[str, _CLOSE_REASON]

PersonName = Annotated[Name, _PERSON]
PersonNameRead = Annotated[str, _PERSON]
Company = Annotated[Name, _COMPANY]
CompanyRead = Annotated[str, _COMPANY]
EMail = Annotated[Name, _E_MAIL]
EMailRead = Annotated[str, _E_MAIL]
Phone = Annotated[Name, _PHONE]
PhoneRead = Annotated[str, _PHONE]
DisqualificationReason = Annotated[Code, ListedIn("disqualification_reasons"), _DISQUALIFICATION]
DisqualificationReasonRead = Annotated[str, _DISQUALIFICATION]

ProductCode = Annotated[Code, _PRODUCT_CODE]
ProductCodeRead = Annotated[str, _PRODUCT_CODE]
ProductName = Annotated[Name, _PRODUCT_NAME]
ProductNameRead = Annotated[str, _PRODUCT_NAME]
RepName = Annotated[Name, _REP_NAME]
RepNameRead = Annotated[str, _REP_NAME]
RepTeamId = Annotated[Identifier, _REP_TEAM]
RepTeamIdRead = Annotated[UUID, _REP_TEAM]
TeamName = Annotated[Name, _TEAM_NAME]
TeamNameRead = Annotated[str, _TEAM_NAME]
