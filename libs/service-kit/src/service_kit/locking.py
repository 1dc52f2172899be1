"""Locks an aggregate's row before it is changed."""

from collections.abc import Sequence
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm.interfaces import ORMOption

Entity = TypeVar("Entity", bound=DeclarativeBase)


async def locked(
    session: AsyncSession, entity: type[Entity], identity: UUID, *, options: Sequence[ORMOption] = ()
) -> Entity | None:
    """The aggregate, its row locked until the transaction ends; None when there is none.

    The key stays shared: what refers to the row does not wait for us. An aggregate of this transaction that is not in
    the database yet is nobody else's, and needs no lock.
    """
    for made in session.new:
        if isinstance(made, entity) and cast("Any", made).id == identity:
            return made
    return await session.get(entity, identity, with_for_update={"key_share": True}, options=options)
