"""What postings sum, and the sums that formulas make of it: `DealMeasures.won + DealMeasures.lost`."""

from collections import namedtuple
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, dataclass_transform, overload

Unit = Literal["count", "money", "seconds", "score"]
"""Money is in minor units of the reporting currency."""


@dataclass(frozen=True, slots=True)
class Term:
    """One measure of a sum, and how it is read."""

    measure: "Measure"
    sign: int = 1
    at_start: bool = False
    """Of a semi-additive measure: its value on the eve of the period instead of at the period's end."""
    carrying: str | None = None
    """Only of what carries a value of this dimension; None for all of it."""

    @property
    def key(self) -> str:
        """Return the name under which its amount is kept: that of the measure, with the dimension in brackets."""
        return key_of(self.measure.name, self.carrying)

    def __str__(self) -> str:
        return f"{'-' if self.sign < 0 else ''}{self.key}{'@start' if self.at_start else ''}"


def key_of(measure: str, carrying: str | None) -> str:
    """Return the key of a term over the named measure, of all of it or of what carries a value of a dimension."""
    return measure if carrying is None else f"{measure}[{carrying}]"


class Sum:
    """Terms of one unit that are added up."""

    def __init__(self, *terms: Term) -> None:
        """Raise ValueError when the terms are of several units."""
        if len({term.measure.unit for term in terms}) > 1:
            raise ValueError(f"{', '.join(map(str, terms))} are not of one unit")
        self.terms = terms

    @property
    def unit(self) -> Unit:
        """Return the unit that its terms share."""
        return self.terms[0].measure.unit

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(*self.terms, *other.terms)

    def __sub__(self, other: "Sum") -> "Sum":
        return Sum(*self.terms, *(replace(term, sign=-term.sign) for term in other.terms))


class Measure(Sum):
    """One column of the ledger; in a formula, the sum of it alone.

    Declared in a class of `Measures`: there the class has the measure, and an instance the amount.
    """

    kind: str
    column: str
    position: int

    def __init__(
        self,
        description: str,
        unit: Unit = "count",
        *,
        semi_additive: bool = False,
        counted_by: "Measure | None" = None,
        not_by: tuple[str, ...] = (),
        is_shared: bool = False,
        elapsed_only: bool = False,
        credit: str = "",
    ) -> None:
        """
        - `semi_additive`: a balance rather than a flow. It is posted as +x on the day it begins and -x on the day it
          ends, and its value on a day is the running sum up to that day.
        - `counted_by`: makes it a duration: the measure that counts how many were summed. It has a histogram.
        - `not_by`: dimensions of the kind that it cannot be grouped by.
        - `is_shared`: of a kind that is split, whether the shares add up to the whole; others are whole in each share.
        - `elapsed_only`: counts on days that are over only: what is due on a later day, or today, may still be done.
        - `credit`: whose owner and team it counts under, in words; the kind's where left out.
        """
        self.description = description
        self._unit = unit
        self.semi_additive = semi_additive
        self.counted_by = counted_by
        self.not_by = not_by
        self.is_shared = is_shared
        self.elapsed_only = elapsed_only
        self.credit = credit
        super().__init__(Term(self))

    @property
    def unit(self) -> Unit:
        """Return its unit."""
        return self._unit

    @property
    def name(self) -> str:
        """Return `<kind>.<column>`."""
        return f"{self.kind}.{self.column}"

    def at_start(self) -> Sum:
        """Return it as read on the eve of a period. Raise ValueError for a measure that is additive over days."""
        if not self.semi_additive:
            raise ValueError(f"{self.name}: only a semi-additive measure can be read at the start")
        return Sum(Term(self, at_start=True))

    def carrying(self, dimension: str) -> Sum:
        """Return the part of it that carries a value of a dimension."""
        return Sum(Term(self, carrying=dimension))

    @overload
    def __get__(self, instance: None, owner: type) -> "Measure": ...
    @overload
    def __get__(self, instance: "Measures", owner: type) -> int: ...
    def __get__(self, instance: "Measures | None", owner: type) -> "Measure | int":
        return self if instance is None else instance[self.position]

    def __set__(self, instance: "Measures", value: int) -> None:
        # Its value's type is that of the constructor's parameter.
        raise AttributeError(f"{self.name} of a posting cannot be changed")


@dataclass_transform()
class Measures(tuple[int, ...]):
    """The amounts of one posting, by measure; a subclass declares the measures of a kind. What is not given is 0."""

    __slots__ = ()
    columns: ClassVar[tuple[Measure, ...]]

    def __init_subclass__(cls, *, kind: str, credit: str = "") -> None:
        cls.columns = tuple(value for value in vars(cls).values() if isinstance(value, Measure))
        names = [name for name, value in vars(cls).items() if isinstance(value, Measure)]
        for position, (name, measure) in enumerate(zip(names, cls.columns, strict=True)):
            measure.kind, measure.column, measure.position = kind, name, position
            measure.credit = measure.credit or credit
        # A named tuple's constructor is compiled for its names: each event makes several of these.
        cls.__new__ = namedtuple(cls.__name__, names, defaults=[0] * len(names)).__new__  # type: ignore[method-assign]
