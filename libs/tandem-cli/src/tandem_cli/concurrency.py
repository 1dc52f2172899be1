"""Parallel coroutines; the first failure ends them all and is raised as itself, not as a group."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")


async def all_of(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all coroutines to their end. Raise the first failure."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except ExceptionGroup as failures:
        raise _first(failures) from None


async def each(items: Iterable[Item], work: Callable[[Item], Awaitable[None]], *, at_once: int) -> None:
    """Work on every item, `at_once` at the same time, begun in their order."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    await all_of(*(worker() for _ in range(at_once)))


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    failure: Exception = failures.exceptions[0]
    while isinstance(failure, ExceptionGroup):
        failure = failure.exceptions[0]
    return failure
