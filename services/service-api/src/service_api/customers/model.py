"""A customer as service knows it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, get_args
from uuid import UUID

from event_contracts.directory import ServiceDirectoryEntrySet
from event_contracts.service import (
    CustomerErased,
    CustomerLinked,
    CustomerRegistered,
    CustomerUnlinked,
    CustomerUpdate,
    CustomerUpdated,
)
from service_api.tables import Base
from service_kit.custom_fields.model import Customized, customized
from service_kit.entities import Recorded, column, names_of, state_of
from service_kit.identifiers import new_id
from service_kit.occurrence import check_follows
from service_kit.problems import Conflict
from service_kit.references import erased_ref
from service_kit.tables import filtered, one_of, searched, sorted_by_name

Origin = Literal["sales", "service"]


class CustomerAlreadyErased(Conflict):
    """Nothing more may be written about it."""

    slug, title = "customer-already-erased", "The customer was erased"


class CustomerAlreadyMerged(Conflict):
    """It was merged into another customer by sales, or linked to it; `merged_into` names that one."""

    slug, title = "customer-already-merged", "The customer was merged into another"


class CustomerNotLinked(Conflict):
    """There is no link to take back."""

    slug, title = "customer-not-linked", "The customer is not linked"


class CustomerOfSales(Conflict):
    """It is a copy that only sales can change."""

    slug, title = "customer-of-sales", "The customer belongs to sales"


class Customer(Customized, Recorded, Base, table="customer"):
    """A customer, of sales or of service's own.

    Of origin `sales` it is a copy that only the consumer writes, and its id is the account's.
    """

    __table_args__: ClassVar = (
        one_of("origin", get_args(Origin)),
        *filtered("customer", ("origin", "region", "segment", "merged_into", "registered_at", "updated_at")),
        *sorted_by_name("customer", "name"),
        searched("customer", "name", "external_ref"),
        customized("customers"),
    )

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    origin: Origin
    name: Annotated[
        str | None, column(personal=True, comment="null until the directory event arrives, and after erasure")
    ] = None
    region: str | None = None
    segment: str | None = None
    external_ref: Annotated[str | None, column(unique=True, personal=True)] = None
    registered_at: Annotated[datetime | None, column(comment="null while only the name is known")] = None
    erased_at: datetime | None = None
    merged_into: Annotated[UUID | None, column(comment="no foreign key: its copy may arrive later")] = None

    @classmethod
    def register(
        cls,
        *,
        name: str,
        region: str | None,
        segment: str | None,
        external_ref: str | None,
        at: datetime,
        custom: Mapping[str, Any] | None = None,
    ) -> tuple["Customer", CustomerRegistered]:
        """Return a new customer of service's own."""
        customer = cls(
            id=new_id(),
            version=1,
            origin="service",
            name=name,
            region=region,
            segment=segment,
            external_ref=external_ref,
            registered_at=at,
            **(custom or {}),
        )
        return customer, CustomerRegistered(**state_of(customer, CustomerRegistered))

    @property
    def partition_key(self) -> UUID:
        """The customer's own id."""
        return self.id

    def directory_entry(self) -> ServiceDirectoryEntrySet:
        """Return the name behind the id, for the directory topic. Raise ValueError without a name."""
        if self.name is None:
            raise ValueError(f"customer {self.id} has no name")
        return ServiceDirectoryEntrySet(id=self.id, kind="customer", name=self.name)

    def check_is_current(self) -> None:
        """Raise `CustomerAlreadyMerged` or `CustomerAlreadyErased` for a customer that nothing new is written about."""
        if self.merged_into is not None:
            raise CustomerAlreadyMerged("Use the customer that merged_into names.", merged_into=str(self.merged_into))
        if self.erased_at is not None:
            raise CustomerAlreadyErased("Register a returning customer as a new one.")

    def check_is_own(self) -> None:
        """Raise `CustomerOfSales` for a copy."""
        if self.origin != "service":
            raise CustomerOfSales("Do it with the account of the same id in sales; the copy here follows.")

    def update(self, changes: Mapping[str, Any], *, at: datetime) -> CustomerUpdated:
        """Change columns by name. Raise `CustomerOfSales`, and as `check_is_current` does."""
        self.check_is_own()
        self.check_is_current()
        check_follows(at, self.registered_at or at)
        for name, value in changes.items():
            setattr(self, name, value)
        self.version += 1
        return CustomerUpdated(**state_of(self, CustomerUpdated, change=CustomerUpdate(fields=names_of(changes))))

    def link(self, into: "Customer", *, at: datetime) -> CustomerLinked:
        """Link it to the customer that it is, of sales or of service's own: all that names it counts for that one.

        Raise `CustomerOfSales` for a copy, and as `check_is_current` does, for both.
        """
        self.check_is_own()
        self.check_is_current()
        into.check_is_current()
        check_follows(at, max(self.registered_at or at, into.registered_at or at))
        self.merged_into = into.id
        self.version += 1
        return CustomerLinked(**state_of(self, CustomerLinked))

    def unlink(self, *, at: datetime) -> CustomerUnlinked:
        """Take its link back: it counts for itself again. What was recorded under the other one stays there.

        Raise `CustomerOfSales`, `CustomerAlreadyErased`, `CustomerNotLinked` and `OccurredTooEarly`.
        """
        self.check_is_own()
        if self.erased_at is not None:
            raise CustomerAlreadyErased("It was erased with the customer that it was linked to, and stays with it.")
        if self.merged_into is None:
            raise CustomerNotLinked("Only a linked customer, which has merged_into, can be unlinked.")
        check_follows(at, self.registered_at or at)
        self.merged_into = None
        self.version += 1
        return CustomerUnlinked(**state_of(self, CustomerUnlinked))

    def erase(self, *, at: datetime) -> CustomerErased | None:
        """Erase who it is. Return the event for a customer of service's own; sales publishes that of a copy."""
        self.name = None
        self.custom_personal = {}
        self.external_ref = erased_ref(self.external_ref)
        self.erased_at = at
        self.version += 1
        return CustomerErased(**state_of(self, CustomerErased)) if self.origin == "service" else None
