"""Reads of customers that no rule depends on."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from service_api.customers.model import Customer
from service_api.customers.schemas import CustomerFilters, CustomerView
from service_kit.filters import equal
from service_kit.paging import Page, PageView


async def list_customers(session: AsyncSession, page: Page, filters: CustomerFilters) -> PageView[CustomerView]:
    """One page of the customers that match every filter given, newest first."""
    customer: Any = Customer.__table__
    return await page.of(
        session,
        sa.select(customer).where(*equal(customer.c, vars(filters))),
        customer.c.id,
        CustomerView.model_validate,
    )
