"""Reads aggregates that are about to be changed, so that no change is lost."""

from typing import Any, TypeVar, cast
from uuid import UUID

from service_kit.entities import Entity
from service_kit.problems import Forbidden, NotFound, Problem
from service_kit.references import is_covered, unknown
from service_kit.tables import noun_of
from service_kit.unit_of_work import UnitOfWork
from service_kit.versions import ExpectedVersion

E = TypeVar("E", bound=Entity)


async def lock(
    work: UnitOfWork, entity: type[E], identity: Any, expected: ExpectedVersion | None, *, with_key: bool = False
) -> E:
    """Return the aggregate to be changed. Changes of other transactions come before or after, see `UnitOfWork.edit`.

    `with_key` locks its row at once, waits for transactions that refer to it, and keeps new ones out. Raise `NotFound`
    (404), `Forbidden` (403) for one that the caller may only read, and `PreconditionFailed` (412) when its version is
    not the expected one, if any is.
    """
    found = await (work.get(entity, identity, lock="update") if with_key else work.edit(entity, identity))
    if found is None or not await is_covered(work, found):
        raise await _refusal(work, entity, identity, found)
    if work.access is not None:
        work.access.touch(found, entity.table, is_new=False)
    if expected is not None:
        expected.check(cast("Any", found).version)
    return found


async def lock_both(
    work: UnitOfWork, entity: type[E], identity: UUID, other_id: UUID, expected: ExpectedVersion, *, pointer: str
) -> tuple[E, E]:
    """Return the aggregate and another one that the body names at `pointer`, both locked with their keys.

    Raise as `lock` does, and `UnknownReference` (422) for the other one.
    """
    # In the order of their ids: two that are merged into each other at the same moment must not deadlock.
    found = {each: await work.get(entity, each, lock="update") for each in sorted((identity, other_id))}
    one, other = found[identity], found[other_id]
    if one is None or not await is_covered(work, one):
        raise await _refusal(work, entity, identity, one)
    if other is None or not await is_covered(work, other):
        raise unknown(entity, pointer, is_hidden=other is not None)
    expected.check(cast("Any", one).version)
    return one, other


async def _refusal(work: UnitOfWork, entity: type[Entity], identity: Any, found: Entity | None) -> Problem:
    if found is not None and work.access is not None and await work.access.sees(work, found, entity.table):
        return Forbidden(f"Your roles may read this {noun_of(entity.table)}, and not do this with it.")
    return absent(entity, identity, is_hidden=found is not None)


def absent(entity: type[Entity], identity: Any, *, is_hidden: bool) -> NotFound:
    """Return the problem of a record that is not there, or `is_hidden` from the caller: the same answer for both."""
    problem = NotFound(f"There is no {noun_of(entity.table)} {identity}.")
    problem.forbids_replay = is_hidden
    return problem
