"""The list of leads."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from sales_api.leads.model import Lead
from sales_api.leads.schemas import LeadView
from service_kit.filters import Filter, equal
from service_kit.paging import Page, PageView

_columns = Lead.__table__.c


async def list_leads(session: AsyncSession, page: Page, filters: Filter) -> PageView[LeadView]:
    """Leads whose columns have the given values, newest first."""
    query = sa.select(*_columns).where(*equal(_columns, filters))
    return await page.of(session, query, _columns.id, LeadView.model_validate)
