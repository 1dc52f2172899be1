"""The list of accounts."""

import sqlalchemy as sa

from sales_api.accounts.model import Account
from sales_api.accounts.schemas import AccountView
from service_kit.filters import Filter, equal
from service_kit.paging import Page, PageView
from service_kit.unit_of_work import UnitOfWork

_columns = Account.table.c


async def list_accounts(work: UnitOfWork, page: Page, filters: Filter) -> PageView[AccountView]:
    """Accounts whose columns have the given values, newest first."""
    query = sa.select(*_columns).where(*equal(_columns, filters))
    return await page.of(work, query, _columns.id, AccountView.model_validate)
