"""The list of accounts."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from sales_api.accounts.model import Account
from sales_api.accounts.schemas import AccountView
from service_kit.filters import Filter, equal
from service_kit.paging import Page, PageView

_columns = Account.__table__.c


async def list_accounts(session: AsyncSession, page: Page, filters: Filter) -> PageView[AccountView]:
    """Accounts whose columns have the given values, newest first."""
    query = sa.select(*_columns).where(*equal(_columns, filters))
    return await page.of(session, query, _columns.id, AccountView.model_validate)
