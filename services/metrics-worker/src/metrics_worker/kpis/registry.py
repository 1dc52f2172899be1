"""What a KPI is: a declaration over measures, from which the API, its document and the dashboard follow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from metrics_worker.kpis.kinds import KIND_BY_NAME, KINDS, Kind
from metrics_worker.kpis.posting import Measure

Function = Literal["sales", "service", "both"]
Indicator = Literal["leading", "lagging"]
Unit = Literal["count", "money", "ratio", "score", "seconds"]
Direction = Literal["up", "down"]
"""Which way is good."""


@dataclass(frozen=True)
class Formula:
    """A sum of measures, or one sum divided by another. Measures are named `<kind>.<measure>`.

    Raises ValueError when a measure does not exist, or measures of different units are added.
    """

    unit: Unit
    numerator: tuple[str, ...]
    denominator: tuple[str, ...] = ()
    """Empty for a plain sum."""
    says: str = ""
    """The formula in words."""

    def __post_init__(self) -> None:
        for side in (self.numerator, self.denominator):
            if len({measure_of(name)[1].unit for name in side}) > 1:
                raise ValueError(f"{', '.join(side)} are not of one unit")
        if not self.numerator:
            raise ValueError("a formula needs a numerator")

    @property
    def measures(self) -> tuple[str, ...]:
        """Every measure that it reads."""
        return self.numerator + self.denominator

    def unit_of(self, side: tuple[str, ...]) -> str | None:
        """The unit of the numerator or the denominator; None for an absent denominator."""
        return measure_of(side[0])[1].unit if side else None

    @property
    def kinds(self) -> dict[Kind, list[str]]:
        """The measures that it reads, by kind."""
        found: dict[Kind, list[str]] = {}
        for name in dict.fromkeys(self.measures):
            kind, _ = measure_of(name)
            found.setdefault(kind, []).append(name.partition(".")[2])
        return found


@dataclass(frozen=True)
class Kpi:
    """One KPI. The first of its variants is the one that is meant when none is named."""

    name: str
    title: str
    function: Function
    indicator: Indicator
    direction: Direction
    variants: Mapping[str, Formula]
    prose: str
    """What it tells, and how the industry's definitions differ."""
    dimensions: tuple[str, ...] = field(init=False)
    """What it may be grouped and filtered by: what all of its kinds are told apart by."""

    def __post_init__(self) -> None:
        kinds = {kind for formula in self.variants.values() for kind in formula.kinds}
        shared = [name for kind in KINDS if kind in kinds for name in kind.dimensions]
        common = tuple(dict.fromkeys(name for name in shared if all(name in kind.dimensions for kind in kinds)))
        object.__setattr__(self, "dimensions", common)

    @property
    def default_variant(self) -> str:
        """The variant that is meant when none is named."""
        return next(iter(self.variants))


KPIS: dict[str, Kpi] = {}
"""Every KPI by its name, in order of declaration. Filled by importing `sales` and `service` beside this module."""


def declare(kpi: Kpi) -> Kpi:
    """Enters a KPI into the registry. Raises ValueError on a name used twice."""
    if kpi.name in KPIS:
        raise ValueError(f"KPI {kpi.name} is declared twice")
    KPIS[kpi.name] = kpi
    return kpi


def measure_of(name: str) -> tuple[Kind, Measure]:
    """The kind and description of a measure named `<kind>.<measure>`. Raises ValueError when there is none."""
    kind_name, _, measure = name.partition(".")
    kind = KIND_BY_NAME.get(kind_name)
    if kind is None or measure not in kind.measures:
        raise ValueError(f"there is no measure {name}")
    return kind, kind.measure_docs[kind.measures.index(measure)]
