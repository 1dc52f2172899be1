"""What the fields of service's records mean: each type with its description and an example.

Types of answers, which check nothing, end in `Read`.
"""

from typing import Annotated, Final
from uuid import UUID

from event_contracts.service import (
    AnswerSource,
    Direction,
    Priority,
    SuggestionOutcome,
    SurveyKind,
    TicketChannel,
    TicketKind,
    TicketStatus,
    Visibility,
)
from service_kit.fields import Code, Count, Identifier, Moment, Name, Score, Seconds, Text, described

_REGION: Final = described("The code of the sales region, from the company's own list.", "baltics")
_SEGMENT: Final = described("The code of the kind of customer, from the company's own list.", "manufacturing")
_PRODUCT: Final = described("The product that it is about, by its code in sales.", "heat-pump-9")
_CUSTOMER: Final = described("The customer: the id of an account in sales.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12")
_AGENT: Final = described("The agent who did it.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a11")
_TEAM: Final = described("The agent's team at that time.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14")
_TICKET: Final = described("The ticket that it is about.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a13")
_DEAL: Final = described("The won deal of sales that it is about.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18")
_CUSTOMER_NAME: Final = described(
    "What the company or person is called; null until an event of sales has it, and once it is erased.", "UAB Vėjas"
)
_SUBJECT: Final = described(
    "What the customer wants, in a line; no event carries it.", "No hot water since the morning"
)
_DESCRIPTION: Final = described(
    "What the customer wants, in full; no event carries it.", "The display shows E4.\nRestarting does not help."
)
_RESOLUTION: Final = described("The code of how it was solved, from the company's own list.", "replaced-part")
_TALK: Final = described("Seconds of talking or writing.", 340)
_HOLD: Final = described("Seconds in which the customer was on hold.", 45)
_WRAP_UP: Final = described("Seconds of work afterwards, such as notes.", 120)
_NOTE: Final = described(
    "What was said, for colleagues; no event carries it.", "Called back; a technician comes on Thursday."
)
_SCORE: Final = described("How content the customer was: 1 is the worst, 5 the best.", 4)
_REVIEW_SCORE: Final = described("What the customer gave in public: 1 is the worst, 5 the best.", 5)
_RECOMMENDATION: Final = described("How likely they would recommend us: 0 is not at all, 10 is certainly.", 9)
_EFFORT: Final = described("How easy it was: 1 is very hard, 7 is very easy.", 6)
_COMMENT: Final = described("The customer's own words; no event carries them.", "Quick and friendly.")
_ENTRY_REASON: Final = described(
    "The code of why it was entered for the customer, from the company's own list.", "paper-form"
)
_ATTENDEES: Final = described("How many of the customer's people took part.", 6)
_REVIEW_CHANNEL: Final = described("Where it was given: a marketplace, a directory, a forum.", "marketplace")
_AGENT_NAME: Final = described("What the agent is called.", "Rūta Kazlauskienė")
_AGENT_TEAM: Final = described(
    "The team that they belong to now; null for none.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a14"
)
_TEAM_NAME: Final = described("What people call the team.", "Installation, north")

Region = Annotated[Code, _REGION]
RegionRead = Annotated[str, _REGION]
Segment = Annotated[Code, _SEGMENT]
SegmentRead = Annotated[str, _SEGMENT]
ProductOf = Annotated[Code, _PRODUCT]
ProductOfRead = Annotated[str, _PRODUCT]

CustomerId = Annotated[Identifier, _CUSTOMER]
CustomerIdRead = Annotated[UUID, _CUSTOMER]
AgentId = Annotated[Identifier, _AGENT]
AgentIdRead = Annotated[UUID, _AGENT]
TeamId = Annotated[Identifier, _TEAM]
TeamIdRead = Annotated[UUID, _TEAM]
TicketId = Annotated[Identifier, _TICKET]
TicketIdRead = Annotated[UUID, _TICKET]
DealId = Annotated[Identifier, _DEAL]
DealIdRead = Annotated[UUID, _DEAL]

CustomerName = Annotated[Name, _CUSTOMER_NAME]
CustomerNameRead = Annotated[str, _CUSTOMER_NAME]

KindOfTicket = Annotated[TicketKind, described("What the customer wants.", "problem", schema="TicketKind")]
ContactChannel = Annotated[
    TicketChannel, described("The way of the contact with the customer.", "phone", schema="TicketChannel")
]
Urgency = Annotated[Priority, described("How urgent it is.", "high", schema="Priority")]
StatusOfTicket = Annotated[
    TicketStatus,
    described("Whether it is worked on, solved, or done with for good.", "resolved", schema="TicketStatus"),
]
ContactDirection = Annotated[
    Direction, described("From the customer (inbound) or to them (outbound).", "outbound", schema="Direction")
]
ContactVisibility = Annotated[
    Visibility, described("Whether the customer takes part, or only colleagues.", "public", schema="Visibility")
]
KindOfSurvey = Annotated[SurveyKind, described("What is asked.", "csat", schema="SurveyKind")]

TicketSubject = Annotated[Name, _SUBJECT]
TicketSubjectRead = Annotated[str, _SUBJECT]
TicketDescription = Annotated[Text, _DESCRIPTION]
TicketDescriptionRead = Annotated[str, _DESCRIPTION]
Resolution = Annotated[Code, _RESOLUTION]
ResolutionRead = Annotated[str, _RESOLUTION]

TalkSeconds = Annotated[Seconds, _TALK]
TalkSecondsRead = Annotated[int, _TALK]
HoldSeconds = Annotated[Seconds, _HOLD]
HoldSecondsRead = Annotated[int, _HOLD]
WrapUpSeconds = Annotated[Seconds, _WRAP_UP]
WrapUpSecondsRead = Annotated[int, _WRAP_UP]
Note = Annotated[Text, _NOTE]
NoteRead = Annotated[str, _NOTE]

AnswerScore = Annotated[Score, _SCORE]
AnswerScoreRead = Annotated[int, _SCORE]
RecommendationRead = Annotated[int, _RECOMMENDATION]
EffortRead = Annotated[int, _EFFORT]
EntryReason = Annotated[Code, _ENTRY_REASON]
EntryReasonRead = Annotated[str, _ENTRY_REASON]
SourceOfAnswer = Annotated[
    AnswerSource,
    described(
        "Whether the customer answered by their link, or it was entered for them; null for answers of before that was "
        "recorded.",
        "customer",
        schema="AnswerSource",
    ),
]
Comment = Annotated[Text, _COMMENT]
CommentRead = Annotated[str, _COMMENT]
RevisedAt = Annotated[
    Moment, described("When the score was last changed; null if it never was.", "2026-04-02T09:00:00Z", rarely=True)
]

ReviewScore = Annotated[Score, _REVIEW_SCORE]
ReviewScoreRead = Annotated[int, _REVIEW_SCORE]
ReviewChannel = Annotated[Code, _REVIEW_CHANNEL]
ReviewChannelRead = Annotated[str, _REVIEW_CHANNEL]
Attendees = Annotated[Count, _ATTENDEES]
AttendeesRead = Annotated[int, _ATTENDEES]

SuggestionOutcomeRead = Annotated[
    SuggestionOutcome,
    described(
        "What has become of it in sales: how far its lead is, or how its deal ended; null while it has neither.",
        "contacted",
        schema="SuggestionOutcome",
    ),
]
SuggestionReasonRead = Annotated[
    str, described("The code of why its lead was given up, or its deal won or lost.", "no-budget", rarely=True)
]
SuggestionOutcomeAt = Annotated[Moment, described("When that happened in sales.", "2026-04-01T09:20:00Z", rarely=True)]
SuggestedLeadIdRead = Annotated[
    UUID, described("The lead of sales that comes of it.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a19", rarely=True)
]
SuggestedDealIdRead = Annotated[
    UUID, described("The deal of sales that comes of it.", "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a18", rarely=True)
]

AgentName = Annotated[Name, _AGENT_NAME]
AgentNameRead = Annotated[str, _AGENT_NAME]
AgentTeamId = Annotated[Identifier, _AGENT_TEAM]
AgentTeamIdRead = Annotated[UUID, _AGENT_TEAM]
TeamName = Annotated[Name, _TEAM_NAME]
TeamNameRead = Annotated[str, _TEAM_NAME]
