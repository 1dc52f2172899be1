"""Engines and the naming convention of their tables: how every service talks to its own PostgreSQL."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import MetaData, event, func, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from service_kit.settings import DatabaseSettings

if TYPE_CHECKING:
    # It writes to tables of the metadata here.
    from service_kit.unit_of_work import UnitOfWork

CONNECT_SECONDS = 4
STATEMENT_SECONDS = 6
"""Either is under 10 s with the wait for a turn (`TURN_SECONDS`): a frozen database must hold no request for longer."""

NAMING_CONVENTION = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}

metadata = MetaData(naming_convention=NAMING_CONVENTION)


Plans = Literal["auto", "force_custom_plan", "force_generic_plan"]


def encryption(settings: DatabaseSettings) -> dict[str, Any]:
    """Return asyncpg's arguments for TLS as it is set. Raise OSError when a certificate cannot be loaded."""
    mode = settings.database_ssl_mode
    if not mode.startswith("verify-"):
        return {"ssl": mode}
    context = ssl.create_default_context(cafile=settings.database_ssl_ca_file)
    context.check_hostname = mode == "verify-full"
    if settings.database_ssl_cert_file is not None:
        context.load_cert_chain(settings.database_ssl_cert_file, settings.database_ssl_key_file)
    return {"ssl": context}


def unpooled_engine(settings: DatabaseSettings) -> AsyncEngine:
    """Return an engine for commands that take their time: no wait is bounded, and each use has its own connection."""
    return create_async_engine(settings.database_url, poolclass=NullPool, connect_args=encryption(settings))


def create_engine(
    settings: DatabaseSettings,
    *,
    application: str,
    synchronous_commit: bool = True,
    plans: Plans = "auto",
    search_path: str | None = None,
    prepares_once: bool = True,
) -> AsyncEngine:
    """An engine whose every wait is bounded.

    `search_path` are the schemas of the service's tables, separated by commas, where there are several.
    `synchronous_commit=False` is for a consumer only: what a crash loses, it reads from Kafka again.
    `plans` are "force_custom_plan" for reads whose best plan depends on their parameters: a day and a year look alike
    to a plan that is made for all of them, which PostgreSQL would go over to after five times. And "force_generic_plan"
    for writes that have one plan only, which it would make anew each time when it takes arrays for long.
    `prepares_once=False` plans what SQLAlchemy sends anew each time, for one round trip more: the lists of an API whose
    compiled statements go on with plans that are kept.
    """
    engine = create_async_engine(
        settings.database_url,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=CONNECT_SECONDS,
        pool_pre_ping=False,
        pool_recycle=1800,
        connect_args={
            **encryption(settings),
            "timeout": CONNECT_SECONDS,
            "command_timeout": STATEMENT_SECONDS,
            "prepared_statement_cache_size": 100 if prepares_once else 0,
            "server_settings": {
                "application_name": application,
                "timezone": "UTC",
                "lock_timeout": f"{(STATEMENT_SECONDS - 1) * 1000}",
                "idle_in_transaction_session_timeout": "60000",
                "synchronous_commit": "on" if synchronous_commit else "off",
                # Planning with JIT costs more than any of our statements gains by it.
                "jit": "off",
                "plan_cache_mode": plans,
                **({} if search_path is None else {"search_path": search_path}),
            },
        },
    )
    discard_closed_connections(engine)
    return engine


def discard_closed_connections(engine: AsyncEngine) -> None:
    """Let the pool hand out no connection that was cut.

    SQLAlchemy notices a cut in its own statements only. One that a compiled statement met would be handed out again and
    again: a consumer that begins with such a statement would never recover.
    """

    @event.listens_for(engine.sync_engine, "checkout")
    def check(connection: DBAPIConnection, *_: object) -> None:
        if connection.driver_connection.is_closed():
            raise DisconnectionError("the connection was cut")


async def database_now(work: "UnitOfWork") -> datetime:
    """Return when the transaction began, by the clock that due times are compared with; ours may be another."""
    now: datetime = (await work.execute(select(func.now()))).scalar_one()
    return now


@asynccontextmanager
async def own_connection(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Yield a connection for as long as a worker lives, each statement a transaction of its own.

    It does not count among those of the pool, which would have one less for everything else. It is closed at the end,
    not given back: in the pool a session's locks would stay held, and a cut would go unnoticed.
    """
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.run_sync(lambda pooled: pooled.detach())
        yield connection
