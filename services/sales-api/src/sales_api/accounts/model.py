"""An account and its rules."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from event_contracts.directory import SalesDirectoryEntrySet
from event_contracts.sales import Account as ContractAccount
from event_contracts.sales import (
    AccountErased,
    AccountMerged,
    AccountRegistered,
    AccountUnmerged,
    AccountUpdate,
    AccountUpdated,
)
from sales_api.attribution import Attribution
from sales_api.tables import Base
from service_kit.custom_fields.model import Customized, customized
from service_kit.entities import Recorded, column, names_of, state_of
from service_kit.identifiers import new_id
from service_kit.occurrence import check_follows
from service_kit.problems import Conflict
from service_kit.references import erased_ref
from service_kit.tables import filtered, searched, sorted_by_name, unassigned


class AccountAlreadyMerged(Conflict):
    """It was merged into another account, which `merged_into` names."""

    slug, title = "account-already-merged", "The account was merged into another"


class AccountNotMerged(Conflict):
    """There is no merge to take back."""

    slug, title = "account-not-merged", "The account is not merged"


class AccountAlreadyErased(Conflict):
    """Nothing more may be written about it."""

    slug, title = "account-already-erased", "The account was erased"


class Account(Customized, Recorded, Base, table="account"):
    """A customer. Its id is the customer's id in every service; its name goes to the directory only."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    name: Annotated[str | None, column(personal=True, comment="null once erased")] = None
    region: str | None = None
    segment: str | None = None
    channel: str | None = None
    owner_id: Annotated[UUID | None, column(references="rep.id")] = None
    team_id: Annotated[UUID | None, column(references="team.id")] = None
    external_ref: Annotated[str | None, column(unique=True, personal=True)] = None
    registered_at: datetime
    referred_by: Annotated[UUID | None, column(references="account.id")] = None
    merged_into: Annotated[UUID | None, column(references="account.id")] = None
    erased_at: datetime | None = None
    changed_at: Annotated[datetime, column(comment="when the latest change happened in the business")]

    __table_args__: ClassVar = (
        *filtered("account", ("region", "segment", "channel", "owner_id", "team_id", "referred_by", "merged_into")),
        unassigned("account", "owner_id", "team_id"),
        *filtered("account", ("registered_at", "updated_at")),
        *sorted_by_name("account", "name"),
        searched("account", "name", "external_ref"),
        customized("accounts"),
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
        custom: Mapping[str, Any] | None = None,
    ) -> tuple["Account", AccountRegistered]:
        """Return a new account."""
        account = cls(
            id=new_id(),
            version=1,
            name=name,
            external_ref=external_ref,
            referred_by=referred_by,
            registered_at=at,
            changed_at=at,
            **attribution.columns(),
            **(custom or {}),
        )
        return account, AccountRegistered(**account.state_fields())

    @property
    def partition_key(self) -> UUID:
        """The account's own id."""
        return self.id

    def update(self, changes: Mapping[str, Any], *, at: datetime) -> AccountUpdated:
        """Change columns by name; the event names them.

        Raise `OccurredTooEarly`, `AccountAlreadyMerged` and `AccountAlreadyErased`.
        """
        self.check_is_current()
        check_follows(at, self.changed_at)
        for name, value in changes.items():
            setattr(self, name, value)
        self.version += 1
        self.changed_at = at
        return AccountUpdated(**self.state_fields(), change=AccountUpdate(fields=names_of(changes)))

    def check_is_current(self) -> None:
        """Raise `AccountAlreadyMerged` or `AccountAlreadyErased` for an account that nothing new may happen to."""
        if self.merged_into is not None:
            raise AccountAlreadyMerged("Use the account that merged_into names.", merged_into=str(self.merged_into))
        if self.erased_at is not None:
            raise AccountAlreadyErased("Register a returning customer as a new account.")

    def merge(self, into: "Account", *, at: datetime) -> AccountMerged:
        """Merge it into another account of the same customer. Raise as `check_is_current` does, for both."""
        self.check_is_current()
        into.check_is_current()
        check_follows(at, max(self.changed_at, into.registered_at))
        self.merged_into = into.id
        self.version += 1
        self.changed_at = at
        return AccountMerged(**self.state_fields())

    def unmerge(self, *, at: datetime) -> AccountUnmerged:
        """Take its merge back: it counts for itself again. What was recorded under the other one stays there.

        Raise `AccountAlreadyErased`, `AccountNotMerged` and `OccurredTooEarly`.
        """
        if self.erased_at is not None:
            raise AccountAlreadyErased("It was erased with the account that it was merged into, and stays with it.")
        if self.merged_into is None:
            raise AccountNotMerged("Only a merged account, which has merged_into, can be unmerged.")
        check_follows(at, self.changed_at)
        self.merged_into = None
        self.version += 1
        self.changed_at = at
        return AccountUnmerged(**self.state_fields())

    def erase(self, *, at: datetime) -> AccountErased:
        """Erase who it is; all that is counted stays. Raise `OccurredTooEarly`."""
        check_follows(at, self.changed_at)
        self.name = None
        self.custom_personal = {}
        self.external_ref = erased_ref(self.external_ref)
        self.version += 1
        self.changed_at = self.erased_at = at
        return AccountErased(**self.state_fields())

    def directory_entry(self) -> SalesDirectoryEntrySet:
        """Return the name behind the id, for the directory topic. Raise ValueError after erasure."""
        if self.name is None:
            raise ValueError(f"account {self.id} has no name")
        return SalesDirectoryEntrySet(id=self.id, kind="account", name=self.name)

    def state_fields(self) -> dict[str, Any]:
        """Return the state that all of its events carry."""
        return state_of(self, ContractAccount)
