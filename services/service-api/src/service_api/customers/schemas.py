"""Customers over HTTP."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from service_api.customers.model import Origin
from service_api.fields import CustomerName, CustomerNameRead, Region, RegionRead, Segment, SegmentRead
from service_kit.changes import Change
from service_kit.custom_fields.values import CustomGiven, CustomizedRead
from service_kit.fields import (
    ErasedAt,
    ExternalReference,
    ExternalReferenceRead,
    Identifier,
    Moment,
    OccurredAt,
    RecordId,
    StrictModel,
    UpdatedAt,
    Version,
    described,
    examples,
)

_ORIGIN = described("Which function met the customer first, and keeps its record.", "service", schema="Origin")
_MERGED_INTO = described(
    "The customer that this one was found to be, by a merge in sales or a link in service; what is new is entered for "
    "that one.",
    "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a15",
    rarely=True,
)


class CustomerCreate(StrictModel):
    """A customer that service met before sales did."""

    model_config = examples(
        {
            "name": "UAB Vėjas",
            "region": "baltics",
            "segment": "manufacturing",
            "external_ref": "caller-2403",
            "custom": {},
            "occurred_at": "2025-03-31T21:00:00Z",
        }
    )

    name: CustomerName
    region: Region | None = None
    segment: Segment | None = None
    external_ref: ExternalReference | None = None
    custom: CustomGiven = Field(default_factory=dict)
    occurred_at: OccurredAt | None = None


class CustomerUpdate(Change):
    """What to change of a customer of service's own; what is left out stays, null removes a value."""

    model_config = examples(
        {
            "name": "AB Vėjas",
            "region": "nordics",
            "custom": {},
            "segment": "manufacturing",
            "occurred_at": "2025-03-31T21:00:00Z",
        }
    )

    name: CustomerName = Field(default_factory=str)
    region: Region | None = None
    segment: Segment | None = None
    custom: CustomGiven = Field(default_factory=dict)
    occurred_at: OccurredAt | None = None


class CustomerLinkRequest(StrictModel):
    """The customer that this one is."""

    model_config = examples({"into": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a12", "occurred_at": "2026-03-31T14:00:00Z"})

    into: Identifier
    """A customer of sales, by the account's id, or of service's own; all counts for that one from now on."""
    occurred_at: OccurredAt | None = None


class CustomerUnlinkRequest(StrictModel):
    """When it was found that the two customers are not one."""

    model_config = examples({"occurred_at": "2026-04-02T08:00:00Z"})

    occurred_at: OccurredAt | None = None


class CustomerRead(CustomizedRead):
    """A customer; the name of a customer of sales may be unknown yet, or erased."""

    id: RecordId
    version: Version
    updated_at: UpdatedAt
    origin: Annotated[Origin, _ORIGIN]
    name: CustomerNameRead | None
    region: RegionRead | None
    segment: SegmentRead | None
    external_ref: ExternalReferenceRead | None
    registered_at: Moment | None
    """When the customer was registered; null while only the name is known."""
    erased_at: ErasedAt | None
    merged_into: Annotated[UUID, _MERGED_INTO] | None
