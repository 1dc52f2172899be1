"""Reads of the audit: all of it, and that of one record."""

from typing import Any, Final

import sqlalchemy as sa

from service_kit.access import Access
from service_kit.audit.entries import audit_entry, noun_code
from service_kit.audit.schemas import AuditEntryRead, view_of
from service_kit.paging import Page, PageRead
from service_kit.unit_of_work import UnitOfWork

OF_ONE_RECORD: Final = (
    "Each change with who made it, by which request, and the values before and after; the newest first."
    " Personal fields are hidden as they are in the record."
)


async def audit_of(
    work: UnitOfWork, page: Page, access: Access, table: sa.Table, record: Any
) -> PageRead[AuditEntryRead]:
    """Return one page of the audit of a record that the caller may read."""
    hidden = await access.hidden_fields(work, record, table)
    of_record = [audit_entry.c.record_id == record.id, audit_entry.c.noun == noun_code(table)]
    return await _page(work, page, of_record, hidden)


async def whole_audit(
    work: UnitOfWork, page: Page, conditions: list[sa.ColumnElement[bool]]
) -> PageRead[AuditEntryRead]:
    """Return one page of the entries that meet the conditions, with all values."""
    return await _page(work, page, conditions, frozenset())


async def _page(
    work: UnitOfWork, page: Page, conditions: list[sa.ColumnElement[bool]], hidden: frozenset[str]
) -> PageRead[AuditEntryRead]:
    return await page.of(
        work,
        sa.select(audit_entry),
        audit_entry.c.id,
        lambda row: view_of(row, hidden),
        conditions=conditions,
    )
