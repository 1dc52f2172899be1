"""The list of leads."""

import sqlalchemy as sa

from sales_api.leads.model import Lead
from sales_api.leads.schemas import LeadView
from service_kit.filters import Filter, equal
from service_kit.paging import Page, PageView
from service_kit.unit_of_work import UnitOfWork

_columns = Lead.table.c


async def list_leads(work: UnitOfWork, page: Page, filters: Filter) -> PageView[LeadView]:
    """Leads whose columns have the given values, newest first."""
    query = sa.select(*_columns).where(*equal(_columns, filters))
    return await page.of(work, query, _columns.id, LeadView.model_validate)
