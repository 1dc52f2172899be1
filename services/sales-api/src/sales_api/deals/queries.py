"""The list of deals."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from sales_api.deals.model import Deal, DealLine
from sales_api.deals.schemas import DealView
from service_kit.filters import Filter, equal
from service_kit.paging import Page, PageView
from service_kit.unit_of_work import UnitOfWork

_columns = Deal.table.c
_line = DealLine.table.c
_AMOUNTS = ("unit_price", "amount", "reporting_amount")

_lines_of_deal = (
    sa.select(
        sa.func.json_agg(
            aggregate_order_by(
                sa.func.json_build_object(
                    *("product", _line.product, "quantity", _line.quantity),
                    # As texts: JSON numbers would be read as floats.
                    *(part for name in _AMOUNTS for part in (name, sa.cast(_line[name], sa.Text))),
                ),
                _line.position,
            ),
            type_=sa.JSON,
        )
    )
    .where(_line.deal_id == _columns.id)
    .scalar_subquery()
)


async def list_deals(work: UnitOfWork, page: Page, filters: Filter) -> PageView[DealView]:
    """Deals whose columns have the given values, newest first; each with its lines, in one statement."""
    query = sa.select(*_columns, _lines_of_deal.label("lines")).where(*equal(_columns, filters))
    return await page.of(work, query, _columns.id, _view)


def _view(row: Any) -> DealView:
    return DealView.of(row, [_line_from(members) for members in row.lines])


def _line_from(members: dict[str, Any]) -> SimpleNamespace:
    amounts = {name: None if members[name] is None else Decimal(members[name]) for name in _AMOUNTS}
    return SimpleNamespace(**members | amounts)
