"""Dependencies of routes that are plain functions or classes, and still cost no thread."""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def async_dependency(make: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The same function or class for `Depends(...)`, run in the event loop.

    FastAPI runs what is not a coroutine function in a thread, since it might block. Ours only look at the request,
    and the two hops between threads would cost more than all the rest of the dependency.
    """

    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return make(*args, **kwargs)

    call.__signature__ = inspect.signature(make)  # type: ignore[attr-defined]
    return call
