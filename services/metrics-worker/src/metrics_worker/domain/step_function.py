"""The arithmetic of balances: whole numbers that change on some days and hold in between."""

from collections.abc import Iterable, Mapping

Span = tuple[int, int | None]
"""The first day, and the first day after; None while there is no end. Days as `date.toordinal` numbers them."""


class StepFunction:
    """A step function over days, immutable; 0 before its first change."""

    __slots__ = ("changes",)

    changes: Mapping[int, int]
    """The change of each day on which it changes."""

    def __init__(self, changes: Iterable[tuple[int, int]] = ()) -> None:
        """Changes of one day add up."""
        summed: dict[int, int] = {}
        for day, change in changes:
            summed[day] = summed.get(day, 0) + change
        self.changes = {day: change for day, change in summed.items() if change}

    @classmethod
    def of(cls, spans: Iterable[tuple[Span, int]]) -> "StepFunction":
        """Return the sum of amounts that hold for a span each. A span that ends before it begins counts for nothing."""
        summed: dict[int, int] = {}
        for (first, end), amount in spans:
            if end is None or first < end:
                summed[first] = summed.get(first, 0) + amount
                if end is not None:
                    summed[end] = summed.get(end, 0) - amount
        return cls._changing({day: change for day, change in summed.items() if change})

    @classmethod
    def covering(cls, spans: Iterable[Span]) -> "StepFunction":
        """Return 1 on each day that any of the spans covers."""
        return cls.of((span, 1) for span in spans).positive()

    def __bool__(self) -> bool:
        """Return False for 0 on every day."""
        return bool(self.changes)

    @classmethod
    def _changing(cls, changes: dict[int, int]) -> "StepFunction":
        # Each day once and no zeros: nothing to sum. Timelines compute dozens of these for each event.
        level = cls.__new__(cls)
        level.changes = changes
        return level

    def __add__(self, other: "StepFunction") -> "StepFunction":
        summed = dict(self.changes)
        for day, change in other.changes.items():
            if change := summed.pop(day, 0) + change:
                summed[day] = change
        return StepFunction._changing(summed)

    def __sub__(self, other: "StepFunction") -> "StepFunction":
        return self + other.times(-1)

    def __mul__(self, other: "StepFunction") -> "StepFunction":
        """Return the product of each day: a factor of 0 and 1 selects days."""
        if not self.changes or not other.changes:
            return StepFunction()
        changes = {}
        left = right = value = 0
        for day in sorted({*self.changes, *other.changes}):
            left += self.changes.get(day, 0)
            right += other.changes.get(day, 0)
            if left * right != value:
                changes[day] = left * right - value
                value = left * right
        return StepFunction._changing(changes)

    def times(self, factor: int) -> "StepFunction":
        """Return it multiplied by a factor."""
        return StepFunction._changing({day: change * factor for day, change in self.changes.items()} if factor else {})

    def later(self, days: int) -> "StepFunction":
        """Return the same, so many days later."""
        return StepFunction._changing({day + days: change for day, change in self.changes.items()})

    def positive(self) -> "StepFunction":
        """Return 1 on each day that it is more than 0, and 0 on all others."""
        changes = {}
        value = 0
        for day, change in sorted(self.changes.items()):
            if (value > 0) != (value + change > 0):
                changes[day] = 1 if change > 0 else -1
            value += change
        return StepFunction._changing(changes)

    def at_least_zero(self) -> "StepFunction":
        """Return the same, with 0 on each day on which it is less."""
        changes = {}
        value = 0
        for day, change in sorted(self.changes.items()):
            shown = max(value + change, 0) - max(value, 0)
            if shown:
                changes[day] = shown
            value += change
        return StepFunction._changing(changes)

    def ends(self) -> list[int]:
        """Return the days on which it falls."""
        return [day for day, change in self.changes.items() if change < 0]

    def on(self, day: int) -> int:
        """Return its value at the end of a day."""
        return sum(change for since, change in self.changes.items() if since <= day)
