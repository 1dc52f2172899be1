"""The statement that carries a unit of work's writes: one CTE a table, compiled once for each combination of them.

All of them depend on the update of the aggregate, and on the rows that it refers to: when the version of one is not the
one that was read, nothing is written. So the aggregate's row is locked before its event gets a position in the outbox,
which puts the positions of one aggregate in order. A claim comes before all of this: it is an advisory lock, and while
another transaction has it nothing is written either, and nothing waited for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service_kit.compiled import CompiledStatement
from service_kit.entities import Binding, Entity

Columns = tuple[str, ...]
Rows = Mapping[tuple[sa.Table, Columns], Sequence[tuple[Any, ...]]]
"""Rows by table and by the columns that they give."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An entity as the database has it."""

    entity: Entity
    values: tuple[Any, ...]
    children: tuple[tuple[Any, ...], ...]

    @classmethod
    def of(cls, entity: Entity) -> "Loaded":
        """Return the entity as it is now, which is as it has just been read or written."""
        binding = entity.binding
        return cls(entity, binding.values_of(entity), tuple(map(_values_of, binding.children_of(entity))))

    @property
    def identity(self) -> dict[str, Any]:
        """The key and the version."""
        binding = self.entity.binding
        columns = dict(zip(binding.names, self.values, strict=True))
        return {name: columns[name] for name in binding.identity}

    def change(self) -> "Change | None":
        """Return what is other now, or None."""
        binding = self.entity.binding
        values = binding.values_of(self.entity)
        children = tuple(map(_values_of, binding.children_of(self.entity)))
        if values == self.values and children == self.children:
            return None
        return Change(self, values, children)


@dataclass(frozen=True, slots=True)
class Change:
    """What an entity has become since it was loaded."""

    loaded: Loaded
    values: tuple[Any, ...]
    children: tuple[tuple[Any, ...], ...]

    @property
    def columns(self) -> Columns:
        """The columns whose values are other than the loaded ones."""
        compared = zip(self.loaded.entity.binding.names, self.values, self.loaded.values, strict=True)
        return tuple(name for name, now, then in compared if now != then)

    @property
    def new_children(self) -> list[tuple[Any, ...]]:
        """The child rows that are new, or other than they were."""
        return [row for row in self.children if row not in self.loaded.children]

    @property
    def lost_children(self) -> list[tuple[Any, ...]]:
        """The keys of the child rows that are gone."""
        child = self.loaded.entity.binding.child_type
        kept = {child.binding.key_in(row) for row in self.children} if child else set()
        return [key for row in self.loaded.children if child and (key := child.binding.key_in(row)) not in kept]


class Insert(NamedTuple):
    """Rows of one table, one or many; `replaces` the rows that have their keys."""

    table: sa.Table
    columns: Columns
    is_many: bool
    replaces: bool = False


class Shape(NamedTuple):
    """What a statement is compiled for."""

    claims: bool
    protected: tuple[sa.Table, ...]
    updated: tuple[sa.Table, Columns] | None
    deleted: sa.Table | None
    inserts: tuple[Insert, ...]


class Write(NamedTuple):
    """A statement's shape and its values by name."""

    shape: Shape
    values: dict[str, Any]


def write_of(
    change: Change | None,
    new: Iterable[Entity],
    rows: Rows,
    protected: Sequence[Loaded] = (),
    *,
    claim: int | None = None,
) -> Write:
    """Return the write of one change at most, of new entities, and of rows that are no entities'.

    Nothing is written unless the rows of the `protected` entities are as they were loaded, and the advisory lock
    `claim` is free.
    """
    values: dict[str, Any] = {} if claim is None else {"claim": claim}
    for place, loaded in enumerate(protected):
        values |= {f"protected_{place}_{name}": value for name, value in loaded.identity.items()}
    updated, deleted = None, None
    inserts: list[Insert] = []
    if change is not None:
        binding = change.loaded.entity.binding
        if columns := change.columns:
            updated = (binding.table, columns)
            values |= {f"new_{name}": value for name, value in binding.stored(change.values, columns)}
            values |= {f"old_{name}": value for name, value in change.loaded.identity.items()}
        if binding.child_type is not None:
            child = binding.child_type.binding
            if lost := change.lost_children:
                deleted = child.table
                keys = zip(child.keys, zip(*lost, strict=True), strict=True)
                values |= {f"lost_{name}": list(one) for name, one in keys}
            if change.new_children:
                stored = [_stored(child, row) for row in change.new_children]
                _add(inserts, values, child.table, child.names, stored, replaces=True)
    by_table: dict[type[Entity], list[Entity]] = {}
    for entity in new:
        by_table.setdefault(type(entity), []).append(entity)
        for one in entity.binding.children_of(entity):
            by_table.setdefault(type(one), []).append(one)
    for kind, entities in by_table.items():
        stored = [_stored(kind.binding, _values_of(one)) for one in entities]
        _add(inserts, values, kind.table, kind.binding.names, stored)
    for (table, columns), added in rows.items():
        _add(inserts, values, table, columns, added)
    tables = tuple(loaded.entity.table for loaded in protected)
    return Write(Shape(claim is not None, tables, updated, deleted, tuple(inserts)), values)


def _add(
    inserts: list[Insert],
    values: dict[str, Any],
    table: sa.Table,
    columns: Columns,
    rows: Sequence[tuple[Any, ...]],
    *,
    replaces: bool = False,
) -> None:
    place = len(inserts)
    is_many = len(rows) > 1
    given: Iterable[Any] = rows[0]
    if is_many:
        by_column = zip(columns, zip(*rows, strict=True), strict=True)
        given = [list(map(_array_text, each)) if _is_array(table.c[name]) else list(each) for name, each in by_column]
    values |= {f"r{place}_{name}": value for name, value in zip(columns, given, strict=True)}
    inserts.append(Insert(table, columns, is_many, replaces))


@lru_cache(maxsize=1000)
def statement_of(shape: Shape) -> CompiledStatement:
    """Return the statement of a shape. Its row has `is_claimed`, and `is_written`: whether all was, or nothing."""
    one = sa.literal_column("1", sa.Integer).label("one")
    is_claimed: sa.ColumnElement[bool] = sa.true()
    conditions: list[sa.ColumnElement[bool]] = []
    if shape.claims:
        claim = sa.select(sa.func.pg_try_advisory_xact_lock(_parameter("claim", sa.BigInteger())).label("is_claimed"))
        is_claimed = sa.select(claim.cte("claim").c.is_claimed).scalar_subquery()
        conditions.append(is_claimed)
    for place, table in enumerate(shape.protected):
        is_as_loaded = _is_as_loaded(table, f"protected_{place}")
        locking = sa.select(one).where(*conditions, *is_as_loaded).with_for_update(read=True, key_share=True)
        conditions.append(_exists(locking.cte(f"protected_{place}")))
    if shape.updated is not None:
        table, columns = shape.updated
        update = (
            sa.update(table)
            .where(*_is_as_loaded(table, "old"), *conditions)
            .values({table.c[name]: _parameter(f"new_{name}", table.c[name].type) for name in columns})
            .returning(one)
        )
        conditions.append(_exists(update.cte("updated")))
    parts: list[sa.CTE] = []
    if shape.deleted is not None:
        keys = list(shape.deleted.primary_key.columns)
        lost = _unnested(keys, "lost")
        same = (key == lost.c[key.name] for key in keys)
        parts.append(sa.delete(shape.deleted).where(*same, *conditions).cte("deleted"))
    for place, rows in enumerate(shape.inserts):
        parts.append(_insert(place, rows, conditions).cte(f"inserted_{place}"))
    is_written = sa.and_(sa.true(), *conditions)
    return CompiledStatement(sa.select(is_claimed.label("is_claimed"), is_written.label("is_written")).add_cte(*parts))


def _is_as_loaded(table: sa.Table, prefix: str) -> list[sa.ColumnElement[bool]]:
    identity = [*table.primary_key.columns, *(table.c[name] for name in ("version",) if name in table.c)]
    return [one == _parameter(f"{prefix}_{one.name}", one.type) for one in identity]


def _exists(part: sa.CTE) -> sa.ColumnElement[bool]:
    # Of a row that waits for a lock, PostgreSQL checks the conditions again as it is then.
    return sa.select(sa.func.count()).select_from(part).scalar_subquery() == sa.literal_column("1")


def _insert(place: int, one: Insert, conditions: Sequence[sa.ColumnElement[bool]]) -> Any:
    columns = [one.table.c[name] for name in one.columns]
    if one.is_many:
        source = _unnested(columns, f"r{place}")
        values = (
            sa.cast(source.c[each.name], each.type) if _is_array(each) else source.c[each.name] for each in columns
        )
        rows = sa.select(*values).order_by(source.c.ordinality)
    else:
        rows = sa.select(*(_parameter(f"r{place}_{each.name}", each.type).label(each.name) for each in columns))
    statement = insert(one.table).from_select(columns, rows.where(*conditions))
    if not one.replaces:
        return statement
    keys = one.table.primary_key.columns.keys()
    rest = {name: statement.excluded[name] for name in one.columns if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=rest)


def _unnested(columns: Sequence[sa.Column[Any]], prefix: str) -> sa.TableValuedAlias:
    types = [sa.Text() if _is_array(one) else one.type for one in columns]
    arrays = [_parameter(f"{prefix}_{one.name}", sa.ARRAY(type_)) for one, type_ in zip(columns, types, strict=True)]
    names = [one.name for one in columns]
    return sa.func.unnest(*arrays).table_valued(*names, with_ordinality="ordinality", name=prefix).render_derived()


def _is_array(column: sa.Column[Any]) -> bool:
    # An array of arrays would be unnested to their elements: of many rows they are sent as text.
    return isinstance(column.type, sa.ARRAY)


def _array_text(values: Iterable[Any] | None) -> str | None:
    """Return an array as PostgreSQL writes it."""
    return None if values is None else "{" + ",".join(map(_element_text, values)) + "}"


def _element_text(value: Any) -> str:
    # Quoted, since NULL without quotes is no text.
    return "NULL" if value is None else '"{}"'.format(str(value).replace("\\", "\\\\").replace('"', '\\"'))


def _parameter(name: str, kind: sa.types.TypeEngine[Any]) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=kind)


def _stored(binding: Binding, values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value for _, value in binding.stored(values))


def _values_of(entity: Entity) -> tuple[Any, ...]:
    return entity.binding.values_of(entity)
