"""The saved view: a list's filters and order under a name, its owner's own or shared with all."""

from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa

from service_kit.auth import Principal
from service_kit.entities import Recorded, column
from service_kit.tables import filtered


class SavedView(Recorded):
    """The base of each service's entity; its table is `saved_view`."""

    id: Annotated[UUID, column(primary_key=True)]
    version: int
    list: Annotated[str, column(comment="the plural noun of the list's address: `deals`, `check-ins`")]
    name: str
    query: Annotated[str, column(comment="as the list's address has it after the question mark")]
    subject: Annotated[str, column(comment="of the tokens of who made it")]
    is_shared: bool = False

    def is_of(self, by: Principal) -> bool:
        """Return whether the caller made it."""
        return self.subject == by.subject


def view_constraints() -> tuple[Any, ...]:
    """Return what a service's table needs besides its columns."""
    return (
        # Which is also the index of one owner's views.
        sa.UniqueConstraint("subject", "list", "name"),
        *filtered("saved_view", ("updated_at",)),
        sa.Index("saved_view_shared_idx", "list", "id", postgresql_where=sa.text("is_shared")),
    )
