"""Full-text search of a list: words and the beginning of the last one, the best matches first."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSQUERY

from service_kit.folding import end_of_phone, folded, search_vector, words
from service_kit.lists.sorting import Position
from service_kit.tables import name_key_of, searched_columns_of

CANDIDATES: Final = 200
"""Records of each kind of match that are ranked. A search that matches more needs more letters."""
_LAST: Final = "\U0010ffff"
"""Sorts after every character that continues a name."""


class Search:
    """What `q` looks for in a table."""

    def __init__(self, table: sa.Table, columns: Sequence[str], phones: Sequence[str]) -> None:
        self.columns = (*columns, *phones)
        self._has_phones = bool(phones)
        self._vector = search_vector([table.c[one] for one in columns], [table.c[one] for one in phones])
        # The first column is what people call the record by.
        self._name = name_key_of(table, columns[0])
        self._id: sa.ColumnElement[Any] = table.c.id

    @classmethod
    def of(cls, table: sa.Table) -> "Search | None":
        """Return the search of a table; None where nothing is searched."""
        found = searched_columns_of(table)
        return None if found is None else cls(table, *found)

    def condition(self, text: str) -> sa.ColumnElement[bool]:
        """Return what the found records meet."""
        return self._matches(self._query(text, is_prefix=True))

    def ranked(
        self, text: str, conditions: Sequence[sa.ColumnElement[bool]], after: Position | None, limit: int
    ) -> sa.Select[Any]:
        """Return the query of the ids and the ranks of the best matches from a position on.

        Those whose name is the text come first, then those whose name begins with it, then those with all of its words,
        and the others last; within a rank the newest.
        """
        whole = self._matches(self._query(text, is_prefix=False))
        parts = [whole, self._matches(self._query(text, is_prefix=True))]
        ranks: list[tuple[sa.ColumnElement[bool], int]] = [(whole, 1)]
        if self._name is not None and (name := folded(text.strip())):
            begins = sa.and_(self._name >= name, self._name < name + _LAST)
            parts.append(begins)
            ranks = [(self._name == name, 3), (begins, 2), *ranks]
        rank = sa.case(
            *((condition, sa.literal_column(str(value))) for condition, value in ranks), else_=sa.literal_column("0")
        )
        some = [
            sa.select(self._id.label("id"), rank.label("sort_value"))
            .where(part, *conditions)
            .limit(CANDIDATES)
            .subquery()
            for part in parts
        ]
        found = sa.union(*(sa.select(one.c.id, one.c.sort_value) for one in some)).subquery()
        query = sa.select(found.c.id, found.c.sort_value)
        if after is not None:
            place = sa.tuple_(sa.literal(after.value, sa.BigInteger), sa.literal(after.id, sa.Uuid))
            query = query.where(sa.tuple_(found.c.sort_value, found.c.id) < place)
        return query.order_by(found.c.sort_value.desc(), found.c.id.desc()).limit(limit)

    def _matches(self, query: str) -> sa.ColumnElement[bool]:
        matches: sa.ColumnElement[bool] = self._vector.op("@@")(sa.cast(sa.literal(query, sa.Text), TSQUERY))
        return matches

    def _query(self, text: str, *, is_prefix: bool) -> str:
        found = words(text)
        terms = [f"'{word}'" for word in found]
        if terms and is_prefix:
            terms[-1] += ":*"
        query = " & ".join(terms)
        if self._has_phones and (end := end_of_phone(text)) is not None:
            # A number is found by its end however it is written.
            return f"{query} | '{end}':*"
        return query
