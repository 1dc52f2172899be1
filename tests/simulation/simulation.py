"""Runs plans, compares them with their reference, and shrinks those that fail."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from unittest import mock

from tests.simulation.databases import Databases
from tests.simulation.faults import Fault, draw_faults
from tests.simulation.histories import Action, draw_history
from tests.simulation.outcome import Outcome
from tests.simulation.scheduler import next_id
from tests.simulation.world import Plan, Violation, World

SEEDS_A_HISTORY = 16
"""So many seeds share a history, and its reference."""
SHRINKING_RUNS = 150


def plan_of(seed: int) -> Plan:
    """Return the plan of a seed."""
    return Plan(seed, draw_history(seed // SEEDS_A_HISTORY), draw_faults(seed))


@dataclass
class Simulation:
    """Runs plans on some databases."""

    databases: Databases
    _references: dict[tuple[Action, ...], Outcome] = field(default_factory=dict)

    async def failures_of(self, plan: Plan) -> list[str]:
        """Return what is wrong with a run: how it ends differently from one without faults, or what it violates.

        Raise `Violation` when its history cannot be played without faults either.
        """
        reference = await self._reference_of(plan)
        world = World(self.databases, plan)
        try:
            outcome = await self._run(world)
        except Violation as violation:
            return [str(violation)]
        silent = [
            f"{subject}: two events have its newest sequence, and no alarm" for subject in outcome.silent_conflicts
        ]
        if not world.is_restored:
            return [*silent, *outcome.differences(reference)]
        # Clients went on otherwise from a restored database: what follows from events has to be what it would be if
        # that database's history had been the only one.
        try:
            filled = World(
                self.databases,
                Plan(plan.schedule, []),
                is_restored=True,
                fills_new_log=True,
                is_followed=world.is_followed,
            )
            only = await self._run(filled)
        except Violation as violation:
            return [f"on a new log: {violation}"]
        return [*silent, *outcome.followed(only).differences(only.followed(outcome))]

    async def shrink(self, plan: Plan) -> Plan:
        """Return a plan with fewer faults and actions that fails too."""
        runs, has_shrunk = 0, True
        while has_shrunk:
            has_shrunk = False
            for leave_out in _parts_of(plan):
                smaller = leave_out(plan)
                if runs == SHRINKING_RUNS or not smaller.history or smaller == plan:
                    continue
                runs += 1
                # A part of a history may wait for ever for what was left out.
                with contextlib.suppress(Violation):
                    if await self.failures_of(smaller):
                        plan, has_shrunk = smaller, True
        return plan

    async def require_success(self, plan: Plan) -> None:
        """Raise AssertionError with the shrunk plan when it fails."""
        if failures := await self.failures_of(plan):
            shrunk = await self.shrink(plan)
            again = await self.failures_of(shrunk)
            shown = "\n".join((again or failures)[:10])
            raise AssertionError(f"seed {plan.schedule}: {shown}\nKeep this in regressions.py:\n{shrunk}")

    async def _reference_of(self, plan: Plan) -> Outcome:
        key = tuple(plan.history)
        if key not in self._references:
            world = World(self.databases, replace(plan, schedule=0, faults=()), is_reference=True)
            self._references[key] = await self._run(world)
        return self._references[key]

    async def _run(self, world: World) -> Outcome:
        with mock.patch("uuid_utils.compat.uuid7", next_id):
            return await world.run()


def _parts_of(plan: Plan) -> list[Callable[[Plan], Plan]]:
    """Return what leaves out a fault, all that is about one record, or one action, if the plan still has it."""

    def without_fault(fault: Fault, plan: Plan) -> Plan:
        return replace(plan, faults=[each for each in plan.faults if each != fault])

    def without_record(name: str, plan: Plan) -> Plan:
        return replace(plan, history=[each for each in plan.history if name not in (each.name, each.of)])

    def without_action(action: Action, plan: Plan) -> Plan:
        return replace(plan, history=[each for each in plan.history if each != action])

    return [
        *(partial(without_fault, fault) for fault in plan.faults),
        *(partial(without_record, name) for name in sorted({action.name for action in plan.history})),
        *(partial(without_action, action) for action in reversed(plan.history)),
    ]
