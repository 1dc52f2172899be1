"""The arithmetic of what stands from day to day: whole numbers that change on some days and hold until the next."""

from collections.abc import Iterable, Mapping

Span = tuple[int, int | None]
"""The first day, and the first day after; None while there is no end. Days as `date.toordinal` numbers them."""


class Level:
    """A step function over days: 0 before its first change. Never changed after it was made."""

    __slots__ = ("changes",)

    changes: Mapping[int, int]
    """By how much it changes, by day; no change is 0."""

    def __init__(self, changes: Iterable[tuple[int, int]] = ()) -> None:
        """Changes of one day add up."""
        summed: dict[int, int] = {}
        for day, change in changes:
            summed[day] = summed.get(day, 0) + change
        self.changes = {day: change for day, change in summed.items() if change}

    @classmethod
    def of(cls, spans: Iterable[tuple[Span, int]]) -> "Level":
        """Amounts that stand for a span each; where spans overlap, amounts add up. A span that ends before it begins
        is none."""
        summed: dict[int, int] = {}
        for (first, end), amount in spans:
            if end is None or first < end:
                summed[first] = summed.get(first, 0) + amount
                if end is not None:
                    summed[end] = summed.get(end, 0) - amount
        return cls._changing({day: change for day, change in summed.items() if change})

    @classmethod
    def covering(cls, spans: Iterable[Span]) -> "Level":
        """1 on each day that any of the spans covers."""
        return cls.of((span, 1) for span in spans).positive()

    def __bool__(self) -> bool:
        """False for what never stands."""
        return bool(self.changes)

    @classmethod
    def _changing(cls, changes: dict[int, int]) -> "Level":
        # Each day once and no zeros: nothing to sum. Stories compute dozens of levels for each event.
        level = cls.__new__(cls)
        level.changes = changes
        return level

    def __add__(self, other: "Level") -> "Level":
        summed = dict(self.changes)
        for day, change in other.changes.items():
            if change := summed.pop(day, 0) + change:
                summed[day] = change
        return Level._changing(summed)

    def __sub__(self, other: "Level") -> "Level":
        return self + other.times(-1)

    def __mul__(self, other: "Level") -> "Level":
        """Day by day: with a level of 0 and 1 what stands is kept on the days of 1."""
        if not self.changes or not other.changes:
            return Level()
        changes = {}
        left = right = standing = 0
        for day in sorted({*self.changes, *other.changes}):
            left += self.changes.get(day, 0)
            right += other.changes.get(day, 0)
            if left * right != standing:
                changes[day] = left * right - standing
                standing = left * right
        return Level._changing(changes)

    def times(self, factor: int) -> "Level":
        """The same on every day, multiplied."""
        return Level._changing({day: change * factor for day, change in self.changes.items()} if factor else {})

    def later(self, days: int) -> "Level":
        """The same, so many days later."""
        return Level._changing({day + days: change for day, change in self.changes.items()})

    def positive(self) -> "Level":
        """1 on each day that it is more than 0, and 0 on all others."""
        changes = {}
        standing = 0
        for day, change in sorted(self.changes.items()):
            if (standing > 0) != (standing + change > 0):
                changes[day] = 1 if change > 0 else -1
            standing += change
        return Level._changing(changes)

    def ends(self) -> list[int]:
        """The days on which it falls."""
        return [day for day, change in self.changes.items() if change < 0]

    def on(self, day: int) -> int:
        """What stands at the end of a day."""
        return sum(change for since, change in self.changes.items() if since <= day)
