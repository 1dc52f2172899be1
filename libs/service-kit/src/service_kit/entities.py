"""Entities: plain classes whose fields are the columns of a declared table.

    class Lead(Base, table="lead"):
        id: Annotated[UUID, column(primary_key=True)]
        version: int
        product: Annotated[str | None, column(references="product.code")] = None

They hold rules and do no I/O: `UnitOfWork` reads and writes them, and tests of their rules need no database.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from functools import cached_property
from operator import attrgetter
from types import NoneType
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar, cast, dataclass_transform, get_args, get_origin
from uuid import UUID

import msgspec
import sqlalchemy as sa

from event_contracts.catalogue import State
from event_contracts.fields import Amendment

Amended = TypeVar("Amended", bound=State)

_TYPES: Final[Mapping[Any, sa.types.TypeEngine[Any]]] = {
    bool: sa.Boolean(),
    date: sa.Date(),
    datetime: sa.DateTime(timezone=True),
    int: sa.Integer(),
    str: sa.Text(),
    UUID: sa.Uuid(),
}


SqlType = sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]]


@dataclass(frozen=True)
class Column:
    """What a field's column has besides what its annotation declares: name, type, and whether it may be null."""

    arguments: tuple[Any, ...]
    references: str | None
    options: Mapping[str, Any]


def column(
    *arguments: SqlType | sa.schema.SchemaItem,
    references: str | None = None,
    personal: bool = False,
    secret: bool = False,
    **options: Any,
) -> Column:
    """Return what else `sa.Column` takes for a field: a type that the annotation lacks, constraints, a comment.

    `references` is a foreign key, which fields that several entities take over must not share. The audit loses the
    values of a `personal` column with the erasure of the record, and never has those of a `secret` one.
    """
    info = {"personal": personal, "secret": secret}
    return Column(arguments, references, {**options, "info": info})


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
class Entity:
    """The base of everything that is kept in a table of its own.

    A field annotated `list[X]`, X being an entity whose key begins with this one's, holds its child rows in the order
    of the rest of their key. Values are compared with what was loaded: a list or dictionary is replaced, not changed.
    """

    metadata: ClassVar[sa.MetaData]
    table: ClassVar[sa.Table]
    binding: ClassVar["Binding"]
    __table_args__: ClassVar[tuple[Any, ...]] = ()
    """What else `sa.Table` takes: constraints and indexes, and last its options if there are any."""

    def __init_subclass__(cls, table: str | None = None, *, audited: bool = True) -> None:
        dataclass(kw_only=True, eq=False)(cls)
        if table is None:
            # A base of others, which take over its fields.
            return
        columns: list[sa.Column[Any]] = []
        children: dict[str, type[Entity]] = {}
        for one in fields(cast("Any", cls)):
            if get_origin(one.type) is list and issubclass(get_args(one.type)[0], Entity):
                children[one.name] = get_args(one.type)[0]
            else:
                columns.append(_column(one.name, one.type))
        items = [item for item in cls.__table_args__ if not isinstance(item, dict)]
        options = cls.__table_args__[-1] if len(items) < len(cls.__table_args__) else {}
        cls.table = sa.Table(table, cls.metadata, *columns, *items, **options)
        if audited and "id" not in cls.table.c:
            raise TypeError(f"{table}: the audit knows a record by its id; without one it takes audited=False")
        cls.binding = Binding(cls.table, children, is_audited=audited)


class Recorded(Entity):
    """The base of entities whose changes are timed: a client with a copy of them reads on from a time."""

    updated_at: Annotated[
        datetime,
        column(
            comment="when the latest change was recorded, by the clock of this service",
            server_default=sa.func.now(),
            onupdate=sa.func.now(),
        ),
    ] = field(default_factory=lambda: datetime.now(UTC))

    def touch(self) -> None:
        """Time a change for the answer that shows it; PostgreSQL times those that are never shown."""
        self.updated_at = datetime.now(UTC)


class OfCustomer(Entity):
    """The base of records of a customer that may turn out to be another one's: their events keep their key."""

    keyed_by: Annotated[
        UUID | None,
        column(comment="the key of its events, where it is no longer its customer's id: that was corrected"),
    ] = None

    @property
    def partition_key(self) -> UUID:
        """Return the id that puts its events in order."""
        raise NotImplementedError

    def keep_key(self) -> None:
        """Keep the key of its events, before it is corrected to another customer."""
        self.keyed_by = self.partition_key


class Binding:
    """How an entity's fields and a table's columns correspond."""

    def __init__(self, table: sa.Table, children: Mapping[str, type[Entity]], *, is_audited: bool) -> None:
        if len(children) > 1:
            raise TypeError(f"{table.name}: an entity has one kind of child rows at most")
        self.table: Final = table
        self.names: Final = tuple(one.name for one in table.c)
        self.keys: Final = tuple(one.name for one in table.primary_key.columns)
        self.identity: Final = (*self.keys, "version") if "version" in self.names else self.keys
        self.values_of: Final[Callable[[object], tuple[Any, ...]]] = attrgetter(*self.names)
        self.child_field: Final = next(iter(children), None)
        self.child_type: Final = None if self.child_field is None else children[self.child_field]
        self._key_places: Final = [self.names.index(name) for name in self.keys]
        self.is_audited: Final = is_audited
        self.personal: Final = frozenset(one.name for one in table.c if one.info.get("personal"))
        self.secret: Final = frozenset(one.name for one in table.c if one.info.get("secret"))
        self._json: Final = frozenset(one.name for one in table.c if isinstance(one.type, sa.JSON))

    def children_of(self, entity: Entity) -> Sequence[Entity]:
        """Return an entity's child rows, none where it has no such field."""
        return () if self.child_field is None else getattr(entity, self.child_field)

    def key_in(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """Return the key in a row of all columns."""
        return tuple(row[place] for place in self._key_places)

    def stored(self, values: tuple[Any, ...], columns: Container[str] | None = None) -> Iterator[tuple[str, Any]]:
        """Yield the values of some columns, or of all, as the driver takes them: JSON is text there."""
        for name, value in zip(self.names, values, strict=True):
            if columns is None or name in columns:
                is_json = name in self._json and value is not None
                yield name, msgspec.json.encode(value).decode() if is_json else value

    def fields(self, row: Sequence[Any]) -> dict[str, Any]:
        """Return the fields in a row of all columns that the driver gave: JSON is decoded there."""
        return dict(zip(self.names, row, strict=True))

    @cached_property
    def child_order(self) -> list[sa.Column[Any]]:
        """The columns of the child rows' key that follow their parent's."""
        return [] if self.child_type is None else list(self.child_type.table.primary_key.columns)[len(self.keys) :]

    @cached_property
    def select(self) -> sa.Select[Any]:
        """Every entity, beside each of its child rows where it has a kind of them."""
        if self.child_type is None:
            return sa.select(self.table)
        child = self.child_type.table
        own = zip(child.primary_key.columns, self.table.primary_key.columns, strict=False)
        return sa.select(self.table, child).outerjoin_from(self.table, child, sa.and_(*(a == b for a, b in own)))


def _column(name: str, annotation: Any) -> sa.Column[Any]:
    declared = Column((), None, {})
    if get_origin(annotation) is Annotated:
        annotation, *extras = get_args(annotation)
        declared = next(extra for extra in extras if isinstance(extra, Column))
    nullable = NoneType in get_args(annotation)
    if nullable:
        (annotation,) = (one for one in get_args(annotation) if one is not NoneType)
    arguments = declared.arguments
    if not arguments or isinstance(arguments[0], sa.schema.SchemaItem):
        arguments = (_TYPES[str if get_origin(annotation) is Literal else annotation], *arguments)
    if declared.references is not None:
        arguments = (*arguments, sa.ForeignKey(declared.references))
    return sa.Column(name, *arguments, nullable=nullable, **declared.options)


def state_of(entity: object, contract: type[State], **converted: Any) -> dict[str, Any]:
    """Return the fields of a contract: those `converted`, and the others as the entity has them.

    Raise AttributeError for one that it has not.
    """
    names = (name for name in contract.__struct_fields__ if name not in converted)
    return {name: getattr(entity, name) for name in names} | converted


def names_of(changes: Iterable[str]) -> list[str]:
    """Return the names of changed columns as events have them: what is personal of custom fields is no field there."""
    return sorted({name.removesuffix("_personal") for name in changes})


def amended(aggregate: Any, changes: Mapping[str, Any], event: type[Amended], **converted: Any) -> Amended:
    """Set columns by name that were recorded wrongly; return the event, which names them and is the next version.

    `converted` are fields of the event that the aggregate has in another form.
    """
    for name, value in changes.items():
        setattr(aggregate, name, value)
    aggregate.version += 1
    return event(**state_of(aggregate, event, change=Amendment(fields=names_of(changes)), **converted))
