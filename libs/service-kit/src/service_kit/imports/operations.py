"""The operations of an API that an import may use: the creation of each resource, and the actions on it."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, cast
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, TypeAdapter, ValidationError

from service_kit.dependencies import RequestDependency
from service_kit.problems import invalid
from service_kit.routing import StrictRoute, work_of

_COLLECTION: Final = re.compile(r"/v1/([a-z-]+)")
_ONE: Final = re.compile(r"/v1/([a-z-]+)/\{[a-z_]+\}")
_ACTION: Final = re.compile(r"/v1/([a-z-]+)/\{[a-z_]+\}/([a-z-]+)")


class Caller:
    """The request that runs the operations; each of their dependencies is resolved once."""

    def __init__(self, request: Request, headers: Mapping[str, str] | None = None) -> None:
        # Its own headers are about all of it: an If-Match names no record's version.
        given = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        self.request = Request({**request.scope, "headers": given})
        self._known: dict[RequestDependency, Any] = {}

    @contextmanager
    def doing(self, operation: str) -> Iterator[None]:
        """Let the unit of work do one operation with the caller's access to it. Raise `Forbidden`."""
        work = work_of(self.request)
        before = work.access
        work.access = before and before.of(operation)
        try:
            yield
        finally:
            work.access = before

    async def value_of(self, dependency: RequestDependency) -> Any:
        """Return the value of a dependency. Raise what it raises."""
        if dependency not in self._known:
            self._known[dependency] = await dependency(self.request)
        return self._known[dependency]


class Operation:
    """A route that runs without a request of its own: the same checks, rules and events."""

    def __init__(self, route: StrictRoute) -> None:
        self._name = route.name
        dependant = route.dependant
        if dependant.dependencies or route.checks:
            raise TypeError(f"{route.path}: imports support dependencies of the request only, one a parameter")
        if len(dependant.body_params) > 1 or dependant.query_params:
            raise TypeError(f"{route.path}: imports support operations that take one body and no query")
        self._dependant = dependant
        self._given = route.given
        self._call = route.operation
        self._takes_request = dependant.request_param_name in inspect.signature(route.operation).parameters
        self._body: TypeAdapter[Any] | None = None
        for body in dependant.body_params:
            self._body = TypeAdapter(cast("Any", body.field_info.annotation))

    @cached_property
    def shape(self) -> dict[str, Any]:
        """Return the JSON Schema of its body."""
        return {} if self._body is None else self._body.json_schema()

    async def run(
        self, caller: Caller, *, body: Mapping[str, Any] | None = None, identity: UUID | None = None
    ) -> BaseModel:
        """Run it within the caller's unit of work; return the answer. Raise `Problem`, with pointers into the body."""
        with caller.doing(self._name):
            answer = await self._run(caller, body, identity)
            work = work_of(caller.request)
            if work.access is not None:
                await work.access.check_touched(work)
            return answer

    async def _run(self, caller: Caller, body: Mapping[str, Any] | None, identity: UUID | None) -> BaseModel:
        dependant = self._dependant
        arguments = {name: await caller.value_of(dependency) for name, dependency in self._given.items()}
        if self._takes_request:
            arguments[str(dependant.request_param_name)] = caller.request
        if dependant.response_param_name is not None:
            arguments[dependant.response_param_name] = Response()
        for one in dependant.path_params:
            arguments[one.name] = identity
        if self._body is not None:
            try:
                arguments[dependant.body_params[0].name] = self._body.validate_python(body)
            except ValidationError as error:
                raise invalid(error) from None
        answer: BaseModel = await self._call(**arguments)
        return answer


CREATE: Final = "create"
"""The action of a step that creates another record on the way."""
UPDATE: Final = "update"
"""The action of a step that corrects the record: a PATCH."""


@dataclass(frozen=True, slots=True)
class ImportableResource:
    """What `POST /v1/{name}` creates, as imports use it."""

    name: str
    create: Operation
    read: Operation | None
    actions: Mapping[str, Operation]

    @property
    def member(self) -> str:
        """Return the field in which other records hold its id: `deal_id` for deals."""
        return re.sub("(ie)?s$", lambda end: "y" if end[1] else "", self.name).replace("-", "_") + "_id"


def importable_resources(routers: Iterable[APIRouter]) -> dict[str, ImportableResource]:
    """Return by name everything that a POST creates, with its actions that take a body, and its correction."""
    routes = [route for one in routers for route in one.routes if isinstance(route, StrictRoute)]
    private = [route for route in routes if not route.is_public]
    writes = [route for route in private if route.methods == {"POST"} and route.body_field is not None]
    updates = [route for route in private if route.methods == {"PATCH"}]
    reads = [route for route in private if route.methods == {"GET"}]
    resources = {}
    for creation, route in _matching(_COLLECTION, writes):
        name = creation[1]
        create = Operation(route)
        actions = {found[2]: Operation(one) for found, one in _matching(_ACTION, writes) if found[1] == name}
        update, read = (
            next((Operation(one) for found, one in _matching(_ONE, among) if found[1] == name), None)
            for among in (updates, reads)
        )
        actions |= {CREATE: create} | ({} if update is None else {UPDATE: update})
        resources[name] = ImportableResource(name, create, read, actions)
    return resources


def _matching(pattern: re.Pattern[str], routes: Sequence[StrictRoute]) -> Iterator[tuple[re.Match[str], StrictRoute]]:
    return ((found, route) for route in routes if (found := pattern.fullmatch(route.path)))
