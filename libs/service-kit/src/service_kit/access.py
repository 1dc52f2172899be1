"""Who may do what with whose records: each service declares one table, and the kit enforces it for every operation.

An operation that the table does not name does not start. A record outside a caller's scope is answered as if it were
absent; a list leaves it out.
"""

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeVar
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel

from service_kit.auth import Principal
from service_kit.compiled import CompiledStatement, Through
from service_kit.problems import Forbidden
from service_kit.roles import ROLES, Role

Read = TypeVar("Read", bound=BaseModel)


class Scope(enum.Flag):
    """Whose records: any of these, combined by `|`."""

    OWN = enum.auto()
    """Those that the caller owns."""
    TEAM = enum.auto()
    """Those of the caller's teams."""
    BELOW = enum.auto()
    """Those of the teams below."""
    REGION = enum.auto()
    """Those of the caller's regions."""
    UNASSIGNED = enum.auto()
    """Those without owner and team."""
    SEEN = enum.auto()
    """Those of a record that the caller sees, which the operation names: the contacts about a ticket."""
    ALL = enum.auto()

    @property
    def words(self) -> list[str]:
        """Return the names of its members."""
        return [str(each.name).lower() for each in type(self) if each in self]


OWN, TEAM, BELOW, REGION, UNASSIGNED, SEEN, ALL = Scope
NOTHING: Final = Scope(0)
_LAST: Final = UUID(int=2**128 - 1)
"""After every id that there is."""
Roles = Mapping[Role, Scope]
EVERYBODY: Final[Roles] = dict.fromkeys(ROLES, ALL)
"""All roles, with all records."""


@dataclass(frozen=True)
class Rule:
    """Some operations, and with whose records each role may do them; a role that is not named may not."""

    operations: tuple[str, ...]
    roles: Roles
    hands_over: bool = False
    """Whether the record may be out of the caller's sight afterwards: assigned or escalated to others."""

    def scope_of(self, roles: frozenset[str]) -> Scope:
        """Return whose records a caller with these roles may do them with: those of all roles together."""
        if "admin" in roles:
            return ALL
        scope = NOTHING
        for role, of_role in self.roles.items():
            if role in roles:
                scope |= of_role
        return ALL if scope & (ALL | SEEN) else scope


def rule(operations: str, roles: Roles, *, hands_over: bool = False) -> Rule:
    """Return the rule of these operations, which are given with spaces between."""
    return Rule(tuple(operations.split()), roles, hands_over)


@dataclass(frozen=True)
class Noun:
    """A noun's rules, and the columns with the owner, team and region of its records."""

    name: str
    read: Rule
    """For lists and single records, and for what else refers to a record."""
    write: tuple[Rule, ...] = ()
    table: sa.FromClause | None = None
    owner: str | None = None
    team: str | None = None
    region: str | None = None
    audit: Rule | None = None
    """For who changed a record; its operation also asks for what `read` allows."""
    personal: tuple[str, ...] = ()
    """Fields with personal data, null to who reads a record without serving its customer."""
    served_by: frozenset[Role] = field(default_factory=frozenset)
    """The roles that serve the customers of these records, and see the personal fields."""
    secret: tuple[str, ...] = ()
    """Fields that let their holder act, null to all but `secret_to`, also in answers to writes."""
    secret_to: frozenset[Role] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        if self.table is not None:
            columns = {name for name in (self.owner, self.team, self.region) if name is not None}
            if unknown := columns - set(self.table.c.keys()):
                raise ValueError(f"{self.name}: {', '.join(sorted(unknown))} is no column")
        for one in self.rules:
            for scope in one.roles.values():
                needed = (
                    (self.owner, OWN | UNASSIGNED),
                    (self.team, TEAM | BELOW | UNASSIGNED),
                    (self.region, REGION),
                )
                if any(column is None and scope & words for column, words in needed):
                    raise ValueError(f"{self.name}: no column has the owners of the records of {one.operations}")
        # Their answers show the record as it is.
        for one in self.write:
            if self.personal and (others := one.roles.keys() - self.served_by):
                raise ValueError(f"{self.name}: {', '.join(others)} may write what they may not see")

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Return all of them."""
        return (self.read, *self.write, *(() if self.audit is None else (self.audit,)))


@dataclass(frozen=True)
class People:
    """Where the callers' own records are.

    A person has `subject`, `active`, `team_id` and `region`, a team has `parent_id`.
    """

    person: sa.Table
    team: sa.Table

    async def reach_of(self, work: Through, principal: Principal) -> "Reach":
        """Return what is a caller's, by their own record and by what their token claims."""
        found = await self._reach.one_or_none(work, subject=principal.subject, teams=list(principal.teams))
        assert found is not None  # noqa: S101 -- a select without FROM has one row
        regions, region = principal.regions, found["region"]
        return Reach(
            person=found["person"],
            teams=frozenset(found["teams"]),
            below=frozenset(found["below"]),
            regions=regions if region is None else regions | {region},
        )

    @cached_property
    def _reach(self) -> CompiledStatement:
        """Return the statement for the person, the teams and the region of a `subject` that claims some `teams`."""
        person, team = self.person.c, self.team.c
        me = (
            sa.select(person.id, person.team_id, person.region)
            .where(person.subject == sa.bindparam("subject", type_=sa.Text), person.active)
            .cte("me")
        )
        claimed = sa.bindparam("teams", type_=sa.ARRAY(sa.Uuid))
        own = sa.select(team.id).where(sa.or_(team.id == sa.any_(claimed), team.id.in_(sa.select(me.c.team_id))))
        below = _with_all_below(own, self.team)
        return CompiledStatement(
            sa.select(
                sa.select(me.c.id).scalar_subquery().label("person"),
                sa.select(me.c.region).scalar_subquery().label("region"),
                sa.func.array(own.scalar_subquery()).label("teams"),
                sa.func.array(sa.select(below.c.id).scalar_subquery()).label("below"),
            )
        )


@dataclass(frozen=True)
class ClaimedPeople:
    """Callers without records of their own: person, teams and regions are what their tokens claim."""

    team: sa.FromClause
    """The teams that are known, each with `id` and `parent_id`."""

    async def reach_of(self, work: Through, principal: Principal) -> "Reach":
        """Return what a caller's token claims, and the teams below."""
        teams = principal.teams
        below = await self._below.all(work, teams=list(teams)) if teams else []
        return Reach(
            person=principal.person,
            teams=teams,
            below=frozenset(row["id"] for row in below),
            regions=principal.regions,
        )

    @cached_property
    def _below(self) -> CompiledStatement:
        claimed = sa.func.unnest(sa.bindparam("teams", type_=sa.ARRAY(sa.Uuid))).column_valued("id")
        return CompiledStatement(sa.select(_with_all_below(sa.select(claimed), self.team).c.id))


def _with_all_below(teams: sa.Select[Any], table: sa.FromClause) -> sa.CTE:
    """Return some teams and all that are below them."""
    below = teams.cte("below", recursive=True)
    # `union` drops what was found before, so that teams in a circle end it too.
    return below.union(sa.select(table.c.id).join(below, table.c.parent_id == below.c.id))


@dataclass(frozen=True)
class Reach:
    """What is the caller's: their person, teams and regions."""

    person: UUID | None = None
    teams: frozenset[UUID] = frozenset()
    below: frozenset[UUID] = frozenset()
    """The teams and all below them."""
    regions: frozenset[str] = frozenset()

    def covers(self, noun: Noun, scope: Scope, record: Any) -> bool:
        """Return whether a row or an aggregate is in the scope."""
        if ALL in scope:
            return True
        owner, team, region = (name and getattr(record, name) for name in (noun.owner, noun.team, noun.region))
        return (
            (OWN in scope and owner is not None and owner == self.person)
            or (TEAM in scope and team in self.teams)
            or (BELOW in scope and team in self.below)
            or (REGION in scope and region in self.regions)
            or (UNASSIGNED in scope and owner is None and team is None)
        )


class Within:
    """The records of a list that are in a caller's scope: branches that are each read by their own index."""

    def __init__(self, noun: Noun, scope: Scope, reach: Reach) -> None:
        assert noun.table is not None  # noqa: S101 -- the table of the list
        self._table = noun.table
        self._is_unassigned = UNASSIGNED in scope
        self._branches: list[tuple[sa.ColumnElement[Any], list[Any]]] = []
        teams = reach.below if BELOW in scope else reach.teams if TEAM in scope else frozenset()
        persons = [] if OWN not in scope or reach.person is None else [reach.person]
        regions = reach.regions if REGION in scope else frozenset()
        for name, values in ((noun.owner, persons), (noun.team, teams), (noun.region, regions)):
            if name is not None and values:
                self._branches.append((self._table.c[name], sorted(values)))
        self._columns = [self._table.c[name] for name in (noun.owner, noun.team) if name is not None]

    def condition(self) -> sa.ColumnElement[bool]:
        """Return what the records in the scope meet, for where they are not read the newest first.

        The statement must be planned for its values: how many records a branch has differs from caller to caller.
        """
        parts: list[sa.ColumnElement[bool]] = [column.in_(values) for column, values in self._branches]
        if self._is_unassigned:
            parts.append(sa.and_(*(column.is_(None) for column in self._columns)))
        return sa.or_(sa.false(), *parts)

    def newest(
        self, conditions: Sequence[sa.ColumnElement[bool]], *, after: UUID | None, limit: int
    ) -> sa.Select[tuple[UUID]]:
        """Return the ids of the newest records in the scope that meet the conditions, from after one on.

        Each branch is read up to the limit by its index, which ends in the id: one condition with OR would sort all
        that is in the scope, or walk through all that is not.
        """
        key = self._table.c.id
        parts: list[sa.Select[tuple[UUID]]] = []
        for number, (column, values) in enumerate(self._branches):
            given = sa.func.unnest(sa.literal(values, sa.ARRAY(column.type))).table_valued("value")
            given = given.render_derived(f"v{number}")
            # A range where an equation would do: of that the planner knows that it leaves the order of the ids, and
            # reads the newest of all records until enough are found.
            place = sa.tuple_(given.c.value, sa.literal(after or _LAST, sa.Uuid))
            part = sa.select(key.label("id")).where(
                column >= given.c.value, sa.tuple_(column, key) < place, *conditions
            )
            newest = part.order_by(column.desc(), key.desc()).limit(limit).lateral(f"n{number}")
            parts.append(sa.select(newest.c.id).select_from(given.join(newest, sa.true())))
        if self._is_unassigned:
            none = [column.is_(None) for column in self._columns]
            part = sa.select(key.label("id")).where(*none, *conditions)
            part = part if after is None else part.where(key < after)
            unassigned = part.order_by(key.desc()).limit(limit).subquery()
            parts.append(sa.select(unassigned.c.id))
        if not parts:
            return sa.select(key).where(sa.false())
        found = sa.union(*parts).subquery()
        return sa.select(found.c.id).order_by(found.c.id.desc()).limit(limit)


class Access:
    """What the caller of one operation may do, as the table says."""

    def __init__(self, table: "AccessTable", principal: Principal, noun: Noun, rule: Rule) -> None:
        self._table = table
        self._principal = principal
        self._noun = noun
        self._scope = rule.scope_of(principal.roles)
        self._hands_over = rule.hands_over
        self._reach: Reach | None = None
        self._touched: list[tuple[Noun, Scope, Any]] = []

    def of(self, operation: str) -> "Access":
        """Return the access of the same caller to another operation. Raise `Forbidden`."""
        return self._table.access(operation, self._principal)

    def shows_secrets(self, table: sa.FromClause) -> bool:
        """Return whether the caller sees the secret fields of a table's records, of all owners."""
        noun = self._table.noun_of(table)
        return noun is None or not self._principal.roles.isdisjoint(noun.secret_to | {"admin"})

    @property
    def is_limited(self) -> bool:
        """Return whether the operation is not for all records."""
        return ALL not in self._scope

    async def covers(self, work: Through, record: Any, table: sa.FromClause) -> bool:
        """Return whether a row or an aggregate of a table is in the operation's scope, or in what may be read.

        The latter for a record of another noun, which is only named.
        """
        noun = self._table.noun_of(table)
        return noun is None or await self._is_in(work, noun, self._scope_for(noun), record)

    async def sees(self, work: Through, record: Any, table: sa.FromClause) -> bool:
        """Return whether the caller may read a row or an aggregate of a table."""
        noun = self._table.noun_of(table)
        return noun is None or await self._is_in(work, noun, noun.read.scope_of(self._principal.roles), record)

    async def includes(self, work: Through, record: Any) -> bool:
        """Return whether what the operation is about is in its scope; its noun names the attributes that decide."""
        return await self._is_in(work, self._noun, self._scope, record)

    async def within(self, work: Through, table: sa.FromClause) -> Within | None:
        """Return what a list of the table's records is limited to; None for all of them."""
        noun = self._table.noun_of(table)
        if noun is None or ALL in (scope := self._scope_for(noun)):
            return None
        return Within(noun, scope, await self.reach(work))

    async def hides(
        self, work: Through, table: sa.FromClause, columns: Iterable[str], *, order: str | None = None
    ) -> Within | None:
        """Return what a list that is filtered by these columns is limited to by their being personal; None for nothing.

        Records could be told apart by what they hide otherwise. Raise `Forbidden` (403) where the caller sees these
        fields of no record; in an `order` by a personal column also where they do not see it of every record.
        """
        noun = self._table.noun_of(table)
        hidden = set() if noun is None else {*noun.personal} & {*columns, order}
        if noun is None or not hidden:
            return None
        scope = self._showing(noun)
        if ALL in scope or scope == self._scope_for(noun):
            return None
        if not scope or order in hidden:
            shown = ", ".join(role for role in ROLES if role in noun.served_by)
            raise Forbidden(f"{', '.join(sorted(hidden))} of {noun.name} is shown only to: {shown}. Leave it out.")
        return Within(noun, scope, await self.reach(work))

    def _showing(self, noun: Noun) -> Scope:
        """Return whose records show the caller their personal fields."""
        return noun.read.scope_of(self._principal.roles & (noun.served_by | {"admin"}))

    async def without_personal(
        self, work: Through, table: sa.FromClause, view: Callable[[Any], Read]
    ) -> Callable[[Any], Read]:
        """Return the view with personal fields as null, for records whose customers the caller does not serve."""
        noun = self._table.noun_of(table)
        if noun is None or not noun.personal:
            return view
        scope = self._showing(noun)
        if ALL in scope:
            return view
        reach = await self.reach(work) if scope else Reach()
        nothing: dict[str, Any] = dict.fromkeys(set(noun.personal) - {"custom_personal"})
        has_custom = "custom_personal" in noun.personal

        def shown(record: Any) -> Read:
            found = view(record)
            if reach.covers(noun, scope, record):
                return found
            # What is not personal of custom fields is shown.
            return found.model_copy(update=nothing | ({"custom": record.custom} if has_custom else {}))

        return shown

    async def shows_personal(self, work: Through, table: sa.FromClause) -> sa.ColumnElement[bool]:
        """Return what the records of a table meet whose personal fields the caller sees."""
        noun = self._table.noun_of(table)
        if noun is None or not noun.personal or ALL in (scope := self._showing(noun)):
            return sa.true()
        return Within(noun, scope, await self.reach(work)).condition()

    @property
    def mirrored(self) -> frozenset[str]:
        """Return the kinds of another service's records that the caller sees of a customer whom they see."""
        return self._table.mirrored_to(self._principal.roles)

    async def hidden_fields(self, work: Through, record: Any, table: sa.FromClause) -> frozenset[str]:
        """Return the personal fields of a record that the caller does not see."""
        noun = self._table.noun_of(table)
        if noun is None or not noun.personal:
            return frozenset()
        scope = noun.read.scope_of(self._principal.roles & (noun.served_by | {"admin"}))
        return frozenset() if await self._is_in(work, noun, scope, record) else frozenset(noun.personal)

    async def reach(self, work: Through) -> Reach:
        """Return what is the caller's."""
        if self._reach is None:
            self._reach = await self._table.reach_of(work, self._principal)
        return self._reach

    def touch(self, record: Any, table: sa.FromClause, *, is_new: bool) -> None:
        """Note a record that is changed or added, which the caller must still see in the end."""
        noun = self._table.noun_of(table)
        if noun is not None and not (self._hands_over and noun is self._noun):
            scope = self._scope if is_new and noun is self._noun else noun.read.scope_of(self._principal.roles)
            if ALL not in scope:
                self._touched.append((noun, scope, record))

    async def check_touched(self, work: Through) -> None:
        """Raise `Forbidden` (403) for a record that was moved out of the caller's sight, or added there."""
        for noun, scope, record in self._touched:
            if not await self._is_in(work, noun, scope, record):
                raise Forbidden(f"Your roles may leave {noun.name} only to: {', '.join(scope.words)}.")

    def forget_touched(self) -> None:
        """Forget what was noted, before another try."""
        self._touched.clear()

    def _scope_for(self, noun: Noun) -> Scope:
        return self._scope if noun is self._noun else noun.read.scope_of(self._principal.roles)

    async def _is_in(self, work: Through, noun: Noun, scope: Scope, record: Any) -> bool:
        if ALL in scope:
            return True
        # Without any scope there is nothing to find out.
        return bool(scope) and (await self.reach(work)).covers(noun, scope, record)


class AccessTable:
    """Every operation of a service, with who may do it with whose records."""

    def __init__(
        self,
        *nouns: Noun,
        people: People | ClaimedPeople | None = None,
        mirrored: Mapping[str, frozenset[Role]] | None = None,
    ) -> None:
        """`mirrored` are the kinds of records that another service publishes events of, and who sees those."""
        self.nouns = nouns
        self.mirrored: Mapping[str, frozenset[Role]] = mirrored or {}
        self._people = people
        self._rules: dict[str, tuple[Noun, Rule]] = {}
        self._nouns = {noun.table: noun for noun in nouns if noun.table is not None}
        for noun in nouns:
            for one in noun.rules:
                for operation in one.operations:
                    if operation in self._rules:
                        raise ValueError(f"{operation} has two rules")
                    self._rules[operation] = (noun, one)

    @property
    def operations(self) -> frozenset[str]:
        """Return the names of all operations."""
        return frozenset(self._rules)

    def check(self, operations: Iterable[str]) -> None:
        """Raise ValueError unless these are the operations of the table."""
        if differing := self.operations ^ set(operations):
            raise ValueError(f"not both operations and in the table of access: {', '.join(sorted(differing))}")

    def rule_of(self, operation: str) -> Rule:
        """Return the rule of an operation."""
        return self._rules[operation][1]

    def noun_of(self, table: sa.FromClause) -> Noun | None:
        """Return the noun whose records are in a table; None where they have no owners."""
        return self._nouns.get(table)

    def mirrored_to(self, roles: frozenset[str]) -> frozenset[str]:
        """Return the kinds of another service's records that a caller with these roles sees."""
        return frozenset(kind for kind, to in self.mirrored.items() if not roles.isdisjoint(to | {"admin"}))

    def access(self, operation: str, principal: Principal) -> Access:
        """Return a caller's access to an operation. Raise `Forbidden` (403) when none of their roles may do it."""
        noun, rule = self._rules[operation]
        if not rule.scope_of(principal.roles):
            needed = ", ".join((*(role for role in ROLES if role in rule.roles), "admin"))
            raise Forbidden(f"This needs one of the roles: {needed}.")
        return Access(self, principal, noun, rule)

    async def reach_of(self, work: Through, principal: Principal) -> Reach:
        """Return what is a caller's."""
        if self._people is not None:
            return await self._people.reach_of(work, principal)
        teams = principal.teams
        return Reach(person=principal.person, teams=teams, below=teams, regions=principal.regions)

    def allowed(self, roles: frozenset[str]) -> dict[str, list[str]]:
        """Return the operations that a caller with these roles may do, and with whose records."""
        scopes = {name: one.scope_of(roles) for name, (_, one) in sorted(self._rules.items())}
        return {name: scope.words for name, scope in scopes.items() if scope}

    def described(self, operation: str) -> dict[str, list[str]]:
        """Return an operation's cells of the table, as documents show them: whose records, by role."""
        roles: Roles = {**self.rule_of(operation).roles, "admin": ALL}
        return {role: roles[role].words for role in ROLES if role in roles}

    def rows(self) -> Iterator[tuple[Noun, Rule]]:
        """Yield every rule with its noun."""
        for noun in self.nouns:
            for one in noun.rules:
                yield noun, one
