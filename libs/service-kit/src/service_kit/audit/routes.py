"""`GET /v1/audit`: who did what to which record, for admins; the same in every API."""

from typing import Annotated, Final

from fastapi import APIRouter, Query

from service_kit.audit.entries import audit_entry
from service_kit.audit.queries import whole_audit
from service_kit.audit.schemas import AuditEntryRead
from service_kit.fields import Code, ExternalReference, Identifier, Moment
from service_kit.identifiers import first_id_at
from service_kit.lists.filters import equal
from service_kit.paging import Paged, PageRead, page_of
from service_kit.routing import Work, router

AUDIT_TAG: Final = {"audit": "Who did what to which record, for admins."}


def audit_routes() -> APIRouter:
    """Return the route of the whole audit."""
    routes = router("/audit", "audit")

    @routes.get("", summary="Read the audit", response_model=page_of(AuditEntryRead))
    async def list_audit(
        work: Work,
        page: Paged,
        noun: Annotated[Code | None, Query(description="Of the record: `deal`, `maintenance-plan`.")] = None,
        record_id: Annotated[Identifier | None, Query(description="Also of a record that was deleted.")] = None,
        actor: Annotated[
            ExternalReference | None, Query(description="A token's subject, or a process: `sla-clock`.")
        ] = None,
        operation: Annotated[Code | None, Query(description="An operation's id: `close_deal`.")] = None,
        since: Annotated[Moment | None, Query(alias="from", description="Not before this time.")] = None,
        until: Annotated[Moment | None, Query(alias="to", description="Before this time.")] = None,
    ) -> PageRead[AuditEntryRead]:
        """Every change of every record, and every export, with who made it; the newest first."""
        given = {"noun": noun, "record_id": record_id, "actor": actor, "operation": operation}
        conditions = list(equal(audit_entry.c, given))
        if since is not None:
            conditions.append(audit_entry.c.id >= first_id_at(since))
        if until is not None:
            conditions.append(audit_entry.c.id < first_id_at(until))
        return await whole_audit(work, page, conditions)

    return routes
