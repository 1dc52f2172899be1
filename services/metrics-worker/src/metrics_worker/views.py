"""Saved views of the lists of metrics."""

from typing import ClassVar

from metrics_worker.database import Base
from service_kit.views.model import SavedView, view_constraints


class View(SavedView, Base, table="saved_view"):
    """A list's filters and order under a name."""

    __table_args__: ClassVar = view_constraints()
