"""A lead and its rules, from new to converted or disqualified."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, get_args
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from event_contracts.fields import Credit
from event_contracts.sales import Lead as ContractLead
from event_contracts.sales import (
    LeadAmended,
    LeadAssigned,
    LeadAssignment,
    LeadContacted,
    LeadConversion,
    LeadConverted,
    LeadCreated,
    LeadDisqualified,
    LeadErased,
    LeadQualified,
    LeadStatus,
    SuggestionOrigin,
)
from sales_api.attribution import Attribution
from sales_api.tables import Base
from service_kit.credits import credit_in, credit_row
from service_kit.custom_fields.model import Customized, customized
from service_kit.entities import Recorded, amended, column, state_of
from service_kit.identifiers import new_id
from service_kit.occurrence import check_follows
from service_kit.problems import Conflict
from service_kit.references import erased_ref
from service_kit.tables import filtered, one_of, searched, sorted_by_name, unassigned


class LeadAlreadyConverted(Conflict):
    """It became a customer: nothing more can happen to it."""

    slug, title = "lead-already-converted", "The lead is converted"


class LeadAlreadyDisqualified(Conflict):
    """It was disqualified: nothing more can happen to it."""

    slug, title = "lead-already-disqualified", "The lead is disqualified"


class LeadAlreadyAssigned(Conflict):
    """It belongs to that salesperson."""

    slug, title = "lead-already-assigned", "The lead belongs to that salesperson already"


class LeadNotAssigned(Conflict):
    """A contact is made by the owner, and it has none."""

    slug, title = "lead-not-assigned", "The lead has no owner yet"


class LeadAlreadyContacted(Conflict):
    """Only the first contact is recorded."""

    slug, title = "lead-already-contacted", "The first contact is recorded"


class LeadAlreadyQualified(Conflict):
    """It was qualified before."""

    slug, title = "lead-already-qualified", "The lead is qualified"


class LeadNotDisqualified(Conflict):
    """It has no reason of a disqualification."""

    slug, title = "lead-not-disqualified", "The lead is not disqualified"


class LeadHasAccount(Conflict):
    """It belongs to a known customer: its conversion cannot create or name another."""

    slug, title = "lead-has-account", "The lead belongs to an account already"


class LeadAlreadyErased(Conflict):
    """Nothing more may happen to it."""

    slug, title = "lead-already-erased", "The lead was erased"


class Lead(Customized, Recorded, Base, table="lead"):
    """A possible customer. Who it is (name, company, email, phone) stays in this table."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    partition_key: Annotated[UUID, column(comment="the account's id if it had one at first, else its own")]
    status: LeadStatus
    name: Annotated[str | None, column(personal=True)] = None
    company: Annotated[str | None, column(personal=True)] = None
    email: Annotated[str | None, column(personal=True)] = None
    phone: Annotated[str | None, column(personal=True)] = None
    channel: str | None = None
    region: str | None = None
    segment: str | None = None
    product: Annotated[str | None, column(references="product.code")] = None
    owner_id: Annotated[UUID | None, column(references="rep.id")] = None
    team_id: Annotated[UUID | None, column(references="team.id")] = None
    account_id: Annotated[UUID | None, column(references="account.id")] = None
    deal_id: Annotated[UUID | None, column(sa.ForeignKey("deal.id", use_alter=True))] = None
    upsell_suggestion_id: UUID | None = None
    suggestion: Annotated[dict[str, str | None] | None, column(JSONB, comment="what service says of it")] = None
    created_at: datetime
    assigned_at: datetime | None = None
    contacted_at: datetime | None = None
    contacted_by: Annotated[dict[str, str | None] | None, column(JSONB, comment="its owner and their team then")] = None
    qualified_at: datetime | None = None
    qualified_by: Annotated[dict[str, str | None] | None, column(JSONB, comment="its owner and their team then")] = None
    disqualified_at: datetime | None = None
    disqualified_reason: str | None = None
    converted_at: datetime | None = None
    external_ref: Annotated[str | None, column(unique=True, personal=True)] = None
    erased_at: datetime | None = None
    changed_at: Annotated[datetime, column(comment="when the latest change happened in the business")]

    __table_args__: ClassVar = (
        *filtered("lead", ("status", "account_id", "deal_id", "owner_id", "team_id")),
        unassigned("lead", "owner_id", "team_id"),
        *filtered("lead", ("channel", "region", "segment", "product", "upsell_suggestion_id")),
        one_of("status", get_args(LeadStatus)),
        sa.CheckConstraint("(status = 'converted') = (converted_at is not null)", name="converted_at"),
        sa.CheckConstraint("(status = 'disqualified') = (disqualified_at is not null)", name="disqualified_at"),
        *filtered("lead", ("created_at", "contacted_at", "converted_at", "updated_at")),
        *sorted_by_name("lead", "name", "company"),
        searched("lead", "name", "company", "email", "external_ref", phones=("phone",)),
        customized("leads"),
    )

    @classmethod
    def create(
        cls,
        *,
        name: str | None,
        company: str | None,
        email: str | None,
        phone: str | None,
        product: str | None,
        account_id: UUID | None,
        attribution: Attribution,
        external_ref: str | None,
        at: datetime,
        upsell_suggestion_id: UUID | None = None,
        suggestion: dict[str, str | None] | None = None,
        custom: Mapping[str, Any] | None = None,
        lead_id: UUID | None = None,
    ) -> tuple["Lead", LeadCreated]:
        """Return a new lead; with an owner it is assigned at once."""
        lead_id = lead_id or new_id()
        lead = cls(
            id=lead_id,
            version=1,
            partition_key=account_id or lead_id,
            status="new" if attribution.owner_id is None else "assigned",
            name=name,
            company=company,
            email=email,
            phone=phone,
            product=product,
            account_id=account_id,
            upsell_suggestion_id=upsell_suggestion_id,
            suggestion=suggestion,
            created_at=at,
            assigned_at=None if attribution.owner_id is None else at,
            external_ref=external_ref,
            changed_at=at,
            **attribution.columns(),
            **(custom or {}),
        )
        return lead, LeadCreated(**lead.state_fields())

    def assign(self, owner_id: UUID, team_id: UUID | None, *, at: datetime) -> LeadAssigned:
        """Assign it to a salesperson, or reassign it; the status never goes back. Raise `LeadAlreadyAssigned`."""
        self._check_open()
        if owner_id == self.owner_id:
            raise LeadAlreadyAssigned("Assign it to another salesperson.")
        self._step(at)
        previous = self.owner_id
        self.owner_id, self.team_id, self.assigned_at = owner_id, team_id, at
        if self.status == "new":
            self.status = "assigned"
        return LeadAssigned(**self.state_fields(), change=LeadAssignment(previous_owner_id=previous))

    def contact(self, *, at: datetime) -> LeadContacted:
        """Record the owner's first contact. Raise `LeadNotAssigned`, `LeadAlreadyContacted`."""
        self._check_open()
        if self.owner_id is None:
            raise LeadNotAssigned("Assign it first.")
        if self.contacted_at is not None:
            raise LeadAlreadyContacted(f"The first contact was at {self.contacted_at.isoformat()}.")
        self._step(at)
        self.contacted_at, self.contacted_by = at, self._credit()
        if self.status != "qualified":
            self.status = "contacted"
        return LeadContacted(**self.state_fields())

    def qualify(self, *, at: datetime) -> LeadQualified:
        """Qualify it, from any open status. Raise `LeadAlreadyQualified`."""
        self._check_open()
        if self.status == "qualified":
            raise LeadAlreadyQualified("Convert it, or disqualify it.")
        self._step(at)
        self.status, self.qualified_at, self.qualified_by = "qualified", at, self._credit()
        return LeadQualified(**self.state_fields())

    def disqualify(self, reason: str, *, at: datetime) -> LeadDisqualified:
        """Disqualify it, from any open status."""
        self._check_open()
        self._step(at)
        self.status, self.disqualified_at, self.disqualified_reason = "disqualified", at, reason
        return LeadDisqualified(**self.state_fields())

    def check_referable(self) -> None:
        """Raise `LeadAlreadyConverted` for one whose referral has decided who its account was referred by."""
        if self.status == "converted":
            raise LeadAlreadyConverted("Its account keeps whom it was referred by. Leave the lead out.")

    def check_convertible(self, account_id: UUID | None, *, makes_account: bool) -> None:
        """Raise `LeadHasAccount`, or as `_check_open` does, before anything is created for it."""
        self._check_open()
        if self.account_id is not None and (makes_account or account_id not in (None, self.account_id)):
            raise LeadHasAccount(f"It belongs to the account {self.account_id}. Leave account and account_id out.")

    def convert(
        self, *, account_id: UUID, account_registered: bool, deal_id: UUID | None, at: datetime
    ) -> LeadConverted:
        """Convert it to a customer, with the deal if there is one, from any open status."""
        self._check_open()
        self._step(at)
        self.status, self.converted_at = "converted", at
        self.account_id, self.deal_id = account_id, deal_id
        change = LeadConversion(account_registered=account_registered)
        return LeadConverted(**self.state_fields(), change=change)

    def amend(self, changes: Mapping[str, Any], *, at: datetime) -> LeadAmended:
        """Correct columns by name, in any status: it is as if it had come in so.

        Raise `LeadAlreadyErased`, and `LeadNotDisqualified` for the reason of one that is not.
        """
        if self.erased_at is not None:
            raise LeadAlreadyErased("Create a new lead if they come back.")
        if "disqualified_reason" in changes and self.status != "disqualified":
            raise LeadNotDisqualified("Leave the reason out: it is why a lead was given up.")
        check_follows(at, self.changed_at)
        self.changed_at = at
        # Before the event is made, which has it in another form.
        self.suggestion = changes.get("suggestion", self.suggestion)
        return amended(self, changes, LeadAmended, **self._converted())

    def erase(self, *, at: datetime) -> LeadErased:
        """Erase who it is, in any status."""
        self._step(at)
        self.name = self.company = self.email = self.phone = None
        self.custom_personal = {}
        self.external_ref = erased_ref(self.external_ref)
        self.erased_at = at
        return LeadErased(**self.state_fields())

    def state_fields(self) -> dict[str, Any]:
        """Return the state that all of its events carry."""
        return state_of(self, ContractLead, **self._converted())

    def _converted(self) -> dict[str, Any]:
        """Return those who contacted and qualified it, and what it came of, as its events have them."""
        origin = None if self.suggestion is None else msgspec.convert(self.suggestion, SuggestionOrigin)
        return {name: credit_in(getattr(self, name)) for name in ("contacted_by", "qualified_by")} | {
            "suggestion": origin
        }

    def _credit(self) -> dict[str, str | None]:
        """Return its owner and their team, whose work it stays when it is assigned to another person."""
        return credit_row(Credit(person_id=self.owner_id, team_id=self.team_id))

    def _check_open(self) -> None:
        if self.erased_at is not None:
            raise LeadAlreadyErased("Create a new lead if they come back.")
        if self.status == "converted":
            raise LeadAlreadyConverted("Act on its account or its deals instead.")
        if self.status == "disqualified":
            raise LeadAlreadyDisqualified("Create a new lead if they come back.")

    def _step(self, at: datetime) -> None:
        check_follows(at, self.changed_at)
        self.version += 1
        self.changed_at = at
