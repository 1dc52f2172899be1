"""The account: its columns and its rules."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from event_contracts.directory import SalesDirectoryEntrySet
from event_contracts.sales import AccountRegistered, AccountUpdate, AccountUpdated
from sales_api.attribution import Attribution
from sales_api.tables import Base
from service_kit.identifiers import new_id
from service_kit.occurrence import check_follows
from service_kit.tables import filtered


class Account(Base):
    """A customer. Its id is the customer's id in every service; its name goes to the directory only."""

    __tablename__ = "account"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    name: Mapped[str]
    region: Mapped[str | None]
    segment: Mapped[str | None]
    channel: Mapped[str | None]
    owner_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("rep.id"))
    team_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("team.id"))
    external_ref: Mapped[str | None] = mapped_column(unique=True)
    registered_at: Mapped[datetime]
    changed_at: Mapped[datetime] = mapped_column(comment="when the latest change happened in the business")

    __table_args__ = filtered("account", ("region", "segment", "channel", "owner_id", "team_id"))

    @classmethod
    def register(
        cls, *, name: str, attribution: Attribution, external_ref: str | None, at: datetime
    ) -> tuple["Account", AccountRegistered]:
        """A new customer."""
        account = cls(
            id=new_id(),
            version=1,
            name=name,
            external_ref=external_ref,
            registered_at=at,
            changed_at=at,
            **asdict(attribution),
        )
        return account, AccountRegistered(**account.state_fields())

    def update(self, changes: Mapping[str, Any], *, at: datetime) -> AccountUpdated:
        """Changes columns by name; the event names those of them that the contract knows, and `name`.

        Raises `OccurredTooEarly`.
        """
        check_follows(at, self.changed_at)
        for column, value in changes.items():
            setattr(self, column, value)
        self.version += 1
        self.changed_at = at
        return AccountUpdated(**self.state_fields(), change=AccountUpdate(fields=sorted(changes)))

    def directory_entry(self) -> SalesDirectoryEntrySet:
        """The name behind the id, for the directory topic."""
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
        }
