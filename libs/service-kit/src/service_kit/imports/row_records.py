"""The records of one row: its own, those that it led to, those that its history created; and their ids in bodies."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel

from service_kit.imports.operations import ImportableResource
from service_kit.problems import Unprocessable

ID_OF: Final = "id_of"


class RowRecords:
    """The ids of a row's records, by resource; of several of one resource, the latest."""

    def __init__(
        self,
        resource: str,
        record_id: UUID | None,
        resources: Mapping[str, ImportableResource],
        read: Callable[[UUID], Awaitable[BaseModel | None]],
    ) -> None:
        """`read` returns the row's own record, for those that it names."""
        self.own_id = record_id
        self.answer: BaseModel | None = None
        """The row's own record as last answered."""
        self._resources = resources
        self._read = read
        self._ids = {} if record_id is None else {resource: record_id}

    def add(self, resource: str, record_id: UUID) -> None:
        """Note a record that the history has created."""
        self._ids[resource] = record_id

    def take(self, answer: BaseModel) -> None:
        """Take in the answer of an operation, which may be the row's own record as it is now."""
        if self.own_id is not None and getattr(answer, "id", None) == self.own_id:
            self.answer = answer

    async def id_of(self, resource: str) -> UUID | None:
        """Return the id of the row's record of that resource; None where it has none."""
        if resource not in self._ids and self.own_id is not None:
            self.answer = self.answer or await self._read(self.own_id)
            return getattr(self.answer, self._resources[resource].member, None)
        return self._ids.get(resource)

    async def filled(self, body: Mapping[str, Any], at: str) -> Mapping[str, Any]:
        """Return a body with the ids in place of every `{"id_of": resource}`. Raise `Unprocessable`."""
        found: dict[str, UUID] = {}
        for pointer, name in _references(body, at):
            if not isinstance(name, str) or name not in self._resources:
                raise Unprocessable.at(f"{pointer}/{ID_OF}", f"is none of: {', '.join(sorted(self._resources))}")
            identity = await self.id_of(name)
            if identity is None:
                raise Unprocessable.at(pointer, f"the record has none of {name} here")
            found[name] = identity
        return {name: _filled(value, found) for name, value in body.items()} if found else body


def _references(value: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    """Yield the place of each reference, and what it names."""
    if isinstance(value, Mapping):
        if value.keys() == {ID_OF}:
            yield pointer, value[ID_OF]
        else:
            for name, member in value.items():
                yield from _references(member, f"{pointer}/{name}")
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from _references(member, f"{pointer}/{number}")


def _filled(value: Any, ids: Mapping[str, UUID]) -> Any:
    if isinstance(value, Mapping):
        if value.keys() == {ID_OF}:
            return str(ids[value[ID_OF]])
        return {name: _filled(member, ids) for name, member in value.items()}
    if isinstance(value, list):
        return [_filled(member, ids) for member in value]
    return value
