"""The list of quotas."""

import sqlalchemy as sa

from sales_api.quotas.model import Quota
from sales_api.quotas.schemas import QuotaView
from service_kit.filters import Filter, equal
from service_kit.paging import Page, PageView
from service_kit.unit_of_work import UnitOfWork

_columns = Quota.table.c


async def list_quotas(work: UnitOfWork, page: Page, filters: Filter) -> PageView[QuotaView]:
    """Quotas whose columns have the given values, newest first."""
    query = sa.select(*_columns).where(*equal(_columns, filters))
    return await page.of(work, query, _columns.id, QuotaView.of)
