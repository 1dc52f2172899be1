"""The account: its columns and its rules."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from event_contracts.directory import SalesDirectoryEntrySet
from event_contracts.sales import AccountErased, AccountMerged, AccountRegistered, AccountUpdate, AccountUpdated
from sales_api.attribution import Attribution
from sales_api.tables import Base
from service_kit.entities import column
from service_kit.identifiers import new_id
from service_kit.occurrence import check_follows
from service_kit.problems import Conflict
from service_kit.references import erased_ref
from service_kit.tables import filtered


class AccountAlreadyMerged(Conflict):
    """It turned out to be the same customer as another; `merged_into` names that one."""

    slug, title = "account-already-merged", "The account was merged into another"


class AccountAlreadyErased(Conflict):
    """Whoever it was is forgotten."""

    slug, title = "account-already-erased", "The account was erased"


class Account(Base, table="account"):
    """A customer. Its id is the customer's id in every service; its name goes to the directory only."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    name: Annotated[str | None, column(comment="null once erased")] = None
    region: str | None = None
    segment: str | None = None
    channel: str | None = None
    owner_id: Annotated[UUID | None, column(references="rep.id")] = None
    team_id: Annotated[UUID | None, column(references="team.id")] = None
    external_ref: Annotated[str | None, column(unique=True)] = None
    registered_at: datetime
    referred_by: Annotated[UUID | None, column(references="account.id")] = None
    merged_into: Annotated[UUID | None, column(references="account.id")] = None
    erased_at: datetime | None = None
    changed_at: Annotated[datetime, column(comment="when the latest change happened in the business")]

    __table_args__: ClassVar = filtered(
        "account", ("region", "segment", "channel", "owner_id", "team_id", "referred_by", "merged_into")
    )

    @classmethod
    def register(
        cls,
        *,
        name: str,
        attribution: Attribution,
        external_ref: str | None,
        at: datetime,
        referred_by: UUID | None = None,
    ) -> tuple["Account", AccountRegistered]:
        """A new customer."""
        account = cls(
            id=new_id(),
            version=1,
            name=name,
            external_ref=external_ref,
            referred_by=referred_by,
            registered_at=at,
            changed_at=at,
            **attribution.columns(),
        )
        return account, AccountRegistered(**account.state_fields())

    def update(self, changes: Mapping[str, Any], *, at: datetime) -> AccountUpdated:
        """Changes columns by name; the event names those of them that the contract knows, and `name`.

        Raises `OccurredTooEarly`, `AccountAlreadyMerged` and `AccountAlreadyErased`.
        """
        self.check_stands()
        check_follows(at, self.changed_at)
        for name, value in changes.items():
            setattr(self, name, value)
        self.version += 1
        self.changed_at = at
        return AccountUpdated(**self.state_fields(), change=AccountUpdate(fields=sorted(changes)))

    def check_stands(self) -> None:
        """Asked before anything new happens with it. Raises `AccountAlreadyMerged`, `AccountAlreadyErased`."""
        if self.merged_into is not None:
            raise AccountAlreadyMerged("Use the account that merged_into names.", merged_into=str(self.merged_into))
        if self.erased_at is not None:
            raise AccountAlreadyErased("Whoever comes back is a new customer: register an account.")

    def merge(self, into: "Account", *, at: datetime) -> AccountMerged:
        """Says that it is the same customer as another. Raises as `check_stands` does, of both."""
        self.check_stands()
        into.check_stands()
        check_follows(at, max(self.changed_at, into.registered_at))
        self.merged_into = into.id
        self.version += 1
        self.changed_at = at
        return AccountMerged(**self.state_fields())

    def erase(self, *, at: datetime) -> AccountErased:
        """Forgets who it is. What it was counted for stays. Raises `OccurredTooEarly`."""
        check_follows(at, self.changed_at)
        self.name = None
        self.external_ref = erased_ref(self.external_ref)
        self.version += 1
        self.changed_at = self.erased_at = at
        return AccountErased(**self.state_fields())

    def directory_entry(self) -> SalesDirectoryEntrySet:
        """The name behind the id, for the directory topic. Raises ValueError once it is erased."""
        if self.name is None:
            raise ValueError(f"account {self.id} has no name")
        return SalesDirectoryEntrySet(id=self.id, kind="account", name=self.name)

    def state_fields(self) -> dict[str, Any]:
        """The fields of the contract's `Account`, as this row has them."""
        return {
            "id": self.id,
            "region": self.region,
            "segment": self.segment,
            "channel": self.channel,
            "owner_id": self.owner_id,
            "team_id": self.team_id,
            "registered_at": self.registered_at,
            "referred_by": self.referred_by,
            "merged_into": self.merged_into,
            "erased_at": self.erased_at,
        }
