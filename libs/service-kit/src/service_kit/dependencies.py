"""Dependencies of routes that are plain functions or classes, and still cost no thread."""

import inspect
from collections.abc import Callable, Coroutine, Iterator
from itertools import chain
from typing import Annotated, Any, Final, NamedTuple, ParamSpec, TypeVar, get_args, get_origin

from fastapi import Request, params

P = ParamSpec("P")
T = TypeVar("T")

RequestDependency = Callable[[Request], Coroutine[Any, Any, Any]]
"""A dependency that needs the request only."""

_REQUEST: Final = "request"


def async_dependency(make: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return the same function or class for `Depends(...)`, run in the event loop.

    FastAPI runs what is not a coroutine function in a thread, since it might block. Ours only read the request, and
    the two hops between threads would cost more than all the rest of the dependency.
    """

    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return make(*args, **kwargs)

    call.__signature__ = inspect.signature(make)  # type: ignore[attr-defined]
    return call


class Endpoint(NamedTuple):
    """An endpoint without the dependencies that need the request only, which its route calls by itself.

    For each of them FastAPI would go through its whole machinery with each request.
    """

    call: Callable[..., Any]
    """Takes what FastAPI gives, and reads the rest from `request.state.dependencies`."""
    given: dict[str, RequestDependency]
    """The dependencies by the name of their parameter."""


def without_request_dependencies(endpoint: Callable[..., Any]) -> Endpoint:
    """Return the endpoint with these dependencies taken out of its signature.

    One that another dependency of the endpoint needs too stays with FastAPI, which calls it once for both.
    """
    signature = inspect.signature(endpoint)
    depended_on = {name: depends for name, one in signature.parameters.items() if (depends := _depends_of(one))}
    shared = set(chain.from_iterable(map(_calls_below, depended_on.values())))
    given = {
        name: dependency
        for name, depends in depended_on.items()
        if (dependency := request_dependency(depends)) is not None and dependency not in shared
    }
    if not given:
        return Endpoint(endpoint, given)
    takes_request = next((name for name, one in signature.parameters.items() if one.annotation is Request), None)

    async def call(**arguments: Any) -> Any:
        request: Request = arguments[takes_request or _REQUEST]
        if takes_request is None:
            del arguments[_REQUEST]
        return await endpoint(**arguments, **request.state.dependencies)

    kept = [parameter for name, parameter in signature.parameters.items() if name not in given]
    if takes_request is None:
        kept.append(inspect.Parameter(_REQUEST, inspect.Parameter.KEYWORD_ONLY, annotation=Request))
    call.__name__, call.__doc__, call.__module__ = endpoint.__name__, endpoint.__doc__, endpoint.__module__
    by_keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in kept]
    call.__signature__ = signature.replace(parameters=by_keyword)  # type: ignore[attr-defined]
    return Endpoint(call, given)


def request_dependency(depends: params.Depends) -> RequestDependency | None:
    """Return what is called if it is a coroutine function whose only parameter is the request, else None."""
    call = depends.dependency
    if call is None or not (inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__)):
        return None
    takes = [one.annotation for one in inspect.signature(call).parameters.values()]
    return call if takes == [Request] else None


def _depends_of(parameter: inspect.Parameter) -> params.Depends | None:
    if get_origin(parameter.annotation) is not Annotated:
        return None
    return next((one for one in get_args(parameter.annotation) if isinstance(one, params.Depends)), None)


def _calls_below(depends: params.Depends) -> Iterator[Callable[..., Any]]:
    """Yield what the dependencies of a dependency call, at every depth."""
    call = depends.dependency
    for parameter in inspect.signature(call).parameters.values() if call is not None else ():
        if (below := _depends_of(parameter)) is not None:
            if below.dependency is not None:
                yield below.dependency
            yield from _calls_below(below)
