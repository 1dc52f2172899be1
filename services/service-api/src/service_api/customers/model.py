"""A customer as service knows it."""

from datetime import datetime
from typing import Literal, TypedDict, get_args
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from event_contracts.service import CustomerErased
from service_api.tables import Base
from service_kit.problems import Conflict
from service_kit.references import erased_ref
from service_kit.tables import filtered, one_of

Origin = Literal["sales", "service"]


class CustomerAlreadyErased(Conflict):
    """Whoever it was is forgotten."""

    slug, title = "customer-already-erased", "The customer was erased"


class CustomerAlreadyMerged(Conflict):
    """Sales found it to be the same customer as another; `merged_into` names that one."""

    slug, title = "customer-already-merged", "The customer was merged into another"


class CustomerOfSales(Conflict):
    """It is a copy that only sales can change."""

    slug, title = "customer-of-sales", "The customer belongs to sales"


class CustomerFields(TypedDict):
    """The fields of the contract's `Customer`."""

    id: UUID
    region: str | None
    segment: str | None
    registered_at: datetime
    erased_at: datetime | None


class Customer(Base):
    """A customer, whoever met them first.

    Of origin `sales` it is a copy that only the consumer writes, and its id is the account's.
    """

    __tablename__ = "customer"
    __table_args__ = (
        one_of("origin", get_args(Origin)),
        *filtered("customer", ("origin", "region", "segment", "merged_into")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    origin: Mapped[Origin] = mapped_column(sa.Text)
    name: Mapped[str | None] = mapped_column(comment="null until the directory tells it, and after it was erased")
    name_sequence: Mapped[int] = mapped_column(comment="of sales' newest directory entry that is in here, 0 for none")
    account_sequence: Mapped[int] = mapped_column(comment="of sales' newest account event that is in here, 0 for none")
    region: Mapped[str | None]
    segment: Mapped[str | None]
    external_ref: Mapped[str | None] = mapped_column(unique=True)
    registered_at: Mapped[datetime | None] = mapped_column(comment="null while only the name is known")
    erased_at: Mapped[datetime | None]
    merged_into: Mapped[UUID | None] = mapped_column(comment="whose copy may come later: no foreign key")

    def check_stands(self) -> None:
        """Asked before anything new is written of it. Raises `CustomerAlreadyMerged`, `CustomerAlreadyErased`."""
        if self.merged_into is not None:
            raise CustomerAlreadyMerged("Use the customer that merged_into names.", merged_into=str(self.merged_into))
        if self.erased_at is not None:
            raise CustomerAlreadyErased("Whoever comes back is a new customer: register them.")

    def check_own(self) -> None:
        """Raises `CustomerOfSales` for a copy."""
        if self.origin != "service":
            raise CustomerOfSales("Erase the account of the same id in sales; the copy here goes with it.")

    def erase(self, *, at: datetime) -> CustomerErased | None:
        """Forgets who it is. The event is for a customer of our own only: sales tells of its own."""
        self.name = None
        self.external_ref = erased_ref(self.external_ref) if self.external_ref is not None else None
        self.erased_at = at
        self.version += 1
        return CustomerErased(**self.state_fields()) if self.origin == "service" else None

    def state_fields(self) -> CustomerFields:
        """The state that events of a customer of our own carry."""
        if self.registered_at is None:
            raise ValueError(f"customer {self.id} is not one of our own")
        return {
            "id": self.id,
            "region": self.region,
            "segment": self.segment,
            "registered_at": self.registered_at,
            "erased_at": self.erased_at,
        }
