"""What a salesperson or an agent sees of the numbers: their own, or those of their teams and of all below."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from metrics_worker.kpis.formula import Kpi
from metrics_worker.queries.query import TEAM, FilterValue
from service_kit.access import Access, Reach
from service_kit.problems import Forbidden, NotFound
from service_kit.unit_of_work import UnitOfWork

_LIMITING: Final = frozenset({"owner", TEAM})

QueryFilters = Mapping[str, FilterValue]
"""Values by dimension, as a query has them."""


@dataclass(frozen=True)
class Limits:
    """The person and the teams whose numbers a caller sees; None of both for all numbers."""

    reach: Reach | None

    @property
    def are_set(self) -> bool:
        """Return whether the caller does not see all numbers."""
        return self.reach is not None

    @property
    def person(self) -> str | None:
        """Return the caller's own id as a filter has it."""
        return None if self.reach is None or self.reach.person is None else str(self.reach.person)

    @property
    def teams(self) -> list[str]:
        """Return the ids of the caller's teams and of all below them."""
        return [] if self.reach is None else sorted(map(str, self.reach.below))

    def filters(self, kpi: Kpi, given: QueryFilters) -> QueryFilters:
        """Return the filters of a query with those that the caller's scope forces.

        Raise `Forbidden` for a KPI that is not kept by owner and team, and `NotFound` for others' teams and numbers.
        """
        if self.reach is None:
            return given
        if not self.covers_dimensions(kpi):
            raise Forbidden(f"{kpi.name} is not kept by owner and team: it needs a role that sees all numbers.")
        if self.person is not None and given.get("owner") == self.person:
            # What is one's own stays so in another team.
            return given
        teams = self.teams
        if TEAM in given:
            if given[TEAM] in teams:
                return given
            raise _out_of_scope("There is no such team among yours, nor below them.")
        if teams:
            # Of another owner, what they did in these teams.
            return {**given, TEAM: teams[0] if len(teams) == 1 else tuple(teams)}
        if "owner" in given:
            raise _out_of_scope("There are no such numbers among yours.")
        if self.person is None:
            raise Forbidden("The token claims neither a person nor teams, whose numbers you could see.")
        return {**given, "owner": self.person}

    def covers_dimensions(self, kpi: Kpi) -> bool:
        """Return whether the caller can see a KPI at all."""
        return self.reach is None or set(kpi.dimensions) >= _LIMITING

    def cover(self, owner: UUID | str | None, team: UUID | str | None) -> bool:
        """Return whether the caller sees what belongs to an owner and a team."""
        if self.reach is None:
            return True
        return (owner is not None and str(owner) == self.person) or (team is not None and str(team) in self.teams)


NO_LIMITS: Final = Limits(None)


def _out_of_scope(detail: str) -> NotFound:
    problem = NotFound(detail)
    problem.forbids_replay = True
    return problem


async def limits_of(access: Access, work: UnitOfWork) -> Limits:
    """Return the limits of the caller of an operation."""
    return Limits(await access.reach(work)) if access.is_limited else NO_LIMITS
