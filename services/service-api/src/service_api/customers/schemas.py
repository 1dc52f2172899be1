"""Customers over HTTP."""

from uuid import UUID

from service_api.customers.model import Origin
from service_kit.fields import Code, ExternalReference, Moment, Name, ReadModel, StrictModel, examples


class CustomerCreate(StrictModel):
    """A customer that service met before sales did."""

    model_config = examples(
        {
            "name": "UAB Vėjas",
            "region": "baltics",
            "segment": "manufacturing",
            "external_ref": "caller-2403",
            "occurred_at": "2025-03-31T21:00:00Z",
        }
    )

    name: Name
    region: Code | None = None
    segment: Code | None = None
    external_ref: ExternalReference | None = None
    occurred_at: Moment | None = None


class CustomerRead(ReadModel):
    """A customer; the name of a customer of sales may be unknown yet, or erased."""

    id: UUID
    version: int
    origin: Origin
    name: str | None
    region: str | None
    segment: str | None
    external_ref: str | None
    registered_at: Moment | None
    erased_at: Moment | None
    merged_into: UUID | None
    """The customer that sales found this one to be; what is new is entered for that one."""
