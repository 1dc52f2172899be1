"""The empty tables of the ledger, for a database that holds a restored backup and nothing else."""

from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from metrics_worker.database import AUTHORITATIVE
from service_kit.migrations import Upgrade

ASIDE: Final = f"{AUTHORITATIVE}_restored"
_VERSION: Final = sa.table("alembic_version", schema=AUTHORITATIVE)

log = structlog.get_logger()


def create_missing_ledger(connection: Connection, upgrade: Upgrade) -> None:
    """Create the ledger's tables as they were at the backup's revision, from which migrations then go on.

    A backup may be of any release: the migrations that made its tables make those of the ledger too. What they make
    anew of the backup's own is dropped.
    """
    version, ledger = (
        connection.scalar(sa.text("SELECT to_regclass(:table)"), {"table": name})
        for name in (f"{AUTHORITATIVE}.alembic_version", "public.ledger")
    )
    if version is None or ledger is not None:
        return
    revision: str = connection.scalars(sa.select(sa.column("version_num")).select_from(_VERSION)).one()
    connection.execute(sa.text(f"ALTER SCHEMA {AUTHORITATIVE} RENAME TO {ASIDE}"))
    upgrade(revision)
    connection.execute(sa.text(f"DROP SCHEMA {AUTHORITATIVE} CASCADE"))
    connection.execute(sa.text(f"ALTER SCHEMA {ASIDE} RENAME TO {AUTHORITATIVE}"))
    log.info("ledger_created_beside_backup", revision=revision)
