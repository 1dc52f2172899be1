"""Reads of deals with their lines."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from sales_api.deals.model import Deal, DealLine
from sales_api.deals.schemas import DealRead

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


ROWS = sa.select(*_columns, _lines_of_deal.label("lines"))
"""Deals, each with its lines, in one statement."""


def view(deal: Any) -> DealRead:
    """Return the view of a deal, or of one of the rows."""
    return DealRead.of(deal, deal.lines if isinstance(deal, Deal) else [_line_from(members) for members in deal.lines])


def _line_from(members: dict[str, Any]) -> SimpleNamespace:
    amounts = {name: None if members[name] is None else Decimal(members[name]) for name in _AMOUNTS}
    return SimpleNamespace(**members | amounts)
