"""Locks an aggregate's row before it is changed."""

from collections.abc import Sequence
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm.interfaces import ORMOption

from service_kit.problems import NotFound
from service_kit.references import UnknownReference
from service_kit.tables import noun_of
from service_kit.versions import ExpectedVersion

Entity = TypeVar("Entity", bound=DeclarativeBase)


async def lock(
    session: AsyncSession,
    entity: type[Entity],
    identity: Any,
    expected: ExpectedVersion,
    *,
    options: Sequence[ORMOption] = (),
    with_key: bool = False,
) -> Entity:
    """Return the aggregate, its row locked until the transaction ends.

    `with_key` also waits for transactions that refer to the row, and keeps new ones out. Raise `NotFound` (404), and
    `PreconditionFailed` (412) when its version is not the expected one.
    """
    if with_key:
        found = await session.get(entity, identity, with_for_update=True, options=options)
    else:
        found = await locked(session, entity, identity, options=options)
    if found is None:
        raise NotFound(f"There is no {noun_of(entity.__table__)} {identity}.")
    expected.check(cast("Any", found).version)
    return found


async def lock_both(
    session: AsyncSession,
    entity: type[Entity],
    identity: UUID,
    other_id: UUID,
    expected: ExpectedVersion,
    *,
    pointer: str,
) -> tuple[Entity, Entity]:
    """Return the aggregate and another one that the body names at `pointer`, both locked with their keys.

    Raise as `lock` does, and `UnknownReference` (422) for the other one.
    """
    # In the order of their ids: two that are merged into each other at the same moment must not deadlock.
    found = {each: await session.get(entity, each, with_for_update=True) for each in sorted((identity, other_id))}
    one, other = found[identity], found[other_id]
    if one is None:
        raise NotFound(f"There is no {noun_of(entity.__table__)} {identity}.")
    if other is None:
        raise UnknownReference.at(pointer, f"names no {noun_of(entity.__table__)}")
    expected.check(cast("Any", one).version)
    return one, other


async def locked(
    session: AsyncSession, entity: type[Entity], identity: Any, *, options: Sequence[ORMOption] = ()
) -> Entity | None:
    """Return the aggregate, its row locked until the transaction ends, or None.

    The key stays shared: what refers to the row does not wait. An aggregate of this transaction that is not in the
    database yet needs no lock.
    """
    for made in session.new:
        if isinstance(made, entity) and cast("Any", made).id == identity:
            return made
    return await session.get(entity, identity, with_for_update={"key_share": True}, options=options)
