"""The list of quotas."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from sales_api.quotas.model import Quota
from sales_api.quotas.schemas import QuotaView
from service_kit.filters import Filter, equal
from service_kit.paging import Page, PageView

_columns = Quota.__table__.c


async def list_quotas(session: AsyncSession, page: Page, filters: Filter) -> PageView[QuotaView]:
    """Quotas whose columns have the given values, newest first."""
    query = sa.select(*_columns).where(*equal(_columns, filters))
    return await page.of(session, query, _columns.id, QuotaView.of)
