"""The proof: what `metrics-verify` found, for which ledger, and up to when."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from metrics_worker.database import Base
from service_kit.entities import column

KEPT: Final = 100
"""How many proofs are kept: the newest ones."""
DIFFERENCES_KEPT: Final = 10
"""How many differences are kept of each proof: the first ones; `metrics-verify` prints more."""
LONGEST_SIDE: Final = 500
"""Characters that are kept of what one side of a difference holds."""


class Proof(Base, table="proof", audited=False):
    """A run of `metrics-verify` that came to its end."""

    id: Annotated[UUID, column(primary_key=True)]
    began_at: datetime
    ended_at: datetime
    fresh_as_of: Annotated[
        datetime | None,
        column(comment="the ledger held all that was recorded up to then; null when it was not complete"),
    ]
    ledger_opened_at: Annotated[
        datetime | None, column(comment="which ledger was compared: a rebuilt one differs; null before the first")
    ]
    events: Annotated[int, column(sa.BigInteger(), comment="records of the log that were read")]
    subjects: Annotated[int, column(sa.BigInteger(), comment="whose newest states were compared")]
    blocks: Annotated[int, column(sa.BigInteger(), comment="rows of sums that were compared")]
    differences_found: Annotated[int, column(sa.BigInteger(), comment="0 for an exact ledger")]
    differences: Annotated[list[dict[str, Any]], column(JSONB, comment="the first of them, with what each side holds")]
    release: Annotated[str, column(comment="of metrics-worker, that compared them")]
