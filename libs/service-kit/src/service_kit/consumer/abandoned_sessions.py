"""End the sessions of a process that was frozen amid a statement, whose locks would be held as long as it is."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

ABANDONED_SECONDS: Final = 30
"""How long a session may wait for its process; each statement of a living one is sent within a few seconds."""

# `idle_in_transaction_session_timeout` ends a session between two statements. Within one, as when COPY waits for rows,
# PostgreSQL heeds no time-out, and the kernel of a stopped process still acknowledges what it gets.
_END: Final = sa.text(
    "select pg_terminate_backend(pid) from pg_stat_activity"
    " where pid <> pg_backend_pid() and datname = current_database() and usename = current_user"
    " and application_name = current_setting('application_name') and state = 'active'"
    " and wait_event in ('ClientRead', 'ClientWrite') and query_start < now() - make_interval(secs => :seconds)"
)


async def end_abandoned_sessions(connection: AsyncConnection) -> int:
    """End those of the same program and user that wait for their process amid a statement. Return how many."""
    return len((await connection.execute(_END, {"seconds": ABANDONED_SECONDS})).all())
