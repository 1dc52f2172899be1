"""Proofs as they are shown."""

from typing import Final

import sqlalchemy as sa

from metrics_worker.ledger.tables import ledger
from metrics_worker.proofs.model import Proof

_columns = Proof.table.c
_opened_at = sa.select(ledger.c.opened_at).scalar_subquery()

PROOF_ROWS: Final = sa.select(
    *(column for column in _columns if column is not _columns.ledger_opened_at),
    sa.case((_columns.differences_found == 0, "exact"), else_="differs").label("result"),
    _columns.ledger_opened_at.is_distinct_from(_opened_at).label("rebuilt_since"),
)
