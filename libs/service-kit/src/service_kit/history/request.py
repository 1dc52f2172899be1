"""What a request asks of a record's history, beside the page."""

from typing import Any, Final, Literal

from fastapi import Request

from service_kit.history.own_events import OwnEvents
from service_kit.lists.parameters import Found, Parameter
from service_kit.problems import Unprocessable


class HistoryRequest:
    """The dependency that reads the types that are asked for; `parameters` are those that it takes, by name."""

    def __init__(self, own: OwnEvents) -> None:
        types: Any = Literal[own.types]  # made of the declaration
        text = "Only events of this type; several by several."
        self._type: Final = Parameter("type", types, text, len(own.types))
        self.parameters: dict[str, Parameter] = {self._type.name: self._type}

    async def __call__(self, request: Request) -> list[str] | None:
        """Return the types; None where all are asked for. Raise `Unprocessable` (422) for one that there is not."""
        wrong: Found = []
        given = request.query_params.getlist(self._type.name)
        types: list[str] | None = self._type.read(given, wrong) if given else None
        if wrong:
            raise Unprocessable.several((f"?{name}", said) for name, said in wrong)
        return types

    def document(self) -> dict[str, Any]:
        """Return what a route's `openapi_extra` has to say of the parameters."""
        return {"parameters": [each.document() for each in self.parameters.values()]}
