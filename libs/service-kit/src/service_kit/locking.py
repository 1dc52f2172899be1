"""Locks an aggregate's row before it is changed."""

from collections.abc import Sequence
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy.orm.interfaces import ORMOption

from service_kit.problems import NotFound
from service_kit.references import UnknownReference
from service_kit.tables import noun_of, table_of
from service_kit.unit_of_work import AnyWork, UnitOfWork
from service_kit.versions import ExpectedVersion

Entity = TypeVar("Entity")


async def lock(
    work: AnyWork,
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
    found = await (locked_with_key if with_key else locked)(work, entity, identity, options=options)
    if found is None:
        raise NotFound(f"There is no {noun_of(table_of(entity))} {identity}.")
    expected.check(cast("Any", found).version)
    return found


async def lock_both(
    work: AnyWork,
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
    found = {each: await locked_with_key(work, entity, each) for each in sorted((identity, other_id))}
    one, other = found[identity], found[other_id]
    if one is None:
        raise NotFound(f"There is no {noun_of(table_of(entity))} {identity}.")
    if other is None:
        raise UnknownReference.at(pointer, f"names no {noun_of(table_of(entity))}")
    expected.check(cast("Any", one).version)
    return one, other


async def locked(
    work: AnyWork, entity: type[Entity], identity: Any, *, options: Sequence[ORMOption] = ()
) -> Entity | None:
    """Return the aggregate, its row locked until the transaction ends, or None.

    The key stays shared: what refers to the row does not wait. An aggregate of this transaction that is not in the
    database yet needs no lock.
    """
    if isinstance(work, UnitOfWork):
        return cast("Entity | None", await work.edit(cast("Any", entity), identity))
    for made in work.new:
        if isinstance(made, entity) and cast("Any", made).id == identity:
            return made
    return await work.get(entity, identity, with_for_update={"key_share": True}, options=options)


async def locked_with_key(
    work: AnyWork, entity: type[Entity], identity: Any, *, options: Sequence[ORMOption] = ()
) -> Entity | None:
    """Return the aggregate, its row and its key locked until the transaction ends, or None."""
    if isinstance(work, UnitOfWork):
        return cast("Entity | None", await work.get(cast("Any", entity), identity, lock="update"))
    return await work.get(entity, identity, with_for_update=True, options=options)
