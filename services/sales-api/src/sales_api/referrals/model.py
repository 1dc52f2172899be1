"""A referral: the recommending customer, and the lead that came of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from event_contracts.sales import ReferralAmended, ReferralRecorded
from sales_api.accounts.model import Account
from sales_api.tables import Base
from service_kit.entities import Recorded, amended, column, state_of
from service_kit.identifiers import new_id
from service_kit.occurrence import check_follows
from service_kit.problems import Conflict
from service_kit.tables import filtered, unassigned


class ReferralAlreadyRecorded(Conflict):
    """A lead has one referral at most; `existing_id` is its id."""

    slug, title = "referral-already-recorded", "The lead's referral is recorded"


class Referral(Recorded, Base, table="referral"):
    """A recommendation, with the recommending customer's attribution then. It changes only where it was wrong."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    account_id: Annotated[UUID, column(references="account.id")]
    lead_id: Annotated[UUID | None, column(references="lead.id", unique=True)] = None
    owner_id: Annotated[UUID | None, column(references="rep.id")] = None
    team_id: Annotated[UUID | None, column(references="team.id")] = None
    region: str | None = None
    segment: str | None = None
    channel: str | None = None
    recorded_at: datetime

    __table_args__: ClassVar = (
        *filtered("referral", ("account_id", "owner_id", "team_id")),
        unassigned("referral", "owner_id", "team_id"),
        *filtered("referral", ("recorded_at", "updated_at")),
    )

    @classmethod
    def record(cls, account: Account, *, lead_id: UUID | None, at: datetime) -> tuple["Referral", ReferralRecorded]:
        """Return a new referral by an account."""
        referral = cls(
            id=new_id(),
            version=1,
            account_id=account.id,
            lead_id=lead_id,
            owner_id=account.owner_id,
            team_id=account.team_id,
            region=account.region,
            segment=account.segment,
            channel=account.channel,
            recorded_at=at,
        )
        return referral, ReferralRecorded(**state_of(referral, ReferralRecorded))

    def amend(self, changes: Mapping[str, Any], *, at: datetime) -> ReferralAmended:
        """Correct columns by name."""
        check_follows(at, self.recorded_at)
        return amended(self, changes, ReferralAmended)

    @property
    def partition_key(self) -> UUID:
        """The recommending account's id."""
        return self.account_id
