"""The exact arithmetic of answers: whole sums in, decimal strings out; rounded once, half to even, never a float."""

from dataclasses import dataclass
from fractions import Fraction

from event_contracts.fields import DECIMAL_PLACES
from metrics_worker.kpis.formula import SECONDS_IN, Formula

RATIO_PLACES = 6
"""Decimal places of ratios and means, trailing zeros left out."""


@dataclass(frozen=True)
class Figure:
    """The sums that a KPI's value for one period and group is made of."""

    numerator: int
    denominator: int | None
    """None for a plain sum."""


def divided(numerator: int, denominator: int) -> int:
    """Return the quotient as a whole number, rounded half to even. The denominator is positive."""
    quotient, rest = divmod(numerator, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and quotient % 2):
        quotient += 1
    return quotient


def decimal_text(units: int, places: int) -> str:
    """Return `units` of 10^-places as a plain decimal: no exponent, exactly `places` digits after the point."""
    digits = str(abs(units)).rjust(places + 1, "0")
    text = digits if places == 0 else f"{digits[:-places]}.{digits[-places:]}"
    return f"-{text}" if units < 0 else text


def trimmed(text: str) -> str:
    """Return the text without zeros at the end of the fraction."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def value_text(figure: Figure, formula: Formula, currency: str) -> str | None:
    """Return the value in the formula's unit; None when there is nothing to divide by."""
    money = DECIMAL_PLACES[currency] if formula.unit == "money" else 0
    numerator, denominator = figure.numerator * formula.scale, figure.denominator
    if denominator is None:
        return decimal_text(numerator, money)
    if denominator <= 0:
        return None
    if formula.percentile is not None:
        # The numerator is the percentile itself, and not a sum over the denominator.
        denominator = 1
    denominator *= SECONDS_IN.get(formula.unit, 1)
    if formula.unit == "money":
        return decimal_text(divided(numerator, denominator), money)
    return trimmed(decimal_text(divided(numerator * 10**RATIO_PLACES, denominator), RATIO_PLACES))


def sum_shown(amount: int | None, unit: str | None, currency: str) -> int | str | None:
    """Return a numerator or denominator: money as a decimal string, everything else as a whole number."""
    if amount is None or unit != "money":
        return amount
    return decimal_text(amount, DECIMAL_PLACES[currency])


def difference_text(value: str | None, before: str | None, formula: Formula) -> str | None:
    """Return `value` minus `before`, both as shown; None unless both exist."""
    if value is None or before is None:
        return None
    places = max(len(text.partition(".")[2]) for text in (value, before))
    change = decimal_text(_units(value, places) - _units(before, places), places)
    return change if formula.unit == "money" else trimmed(change)


def _units(text: str, places: int) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(places, "0"))


def share_text(share: Fraction) -> str:
    """Return a share from 0 to 1 as ratios are shown."""
    return trimmed(decimal_text(divided(share.numerator * 10**RATIO_PLACES, share.denominator), RATIO_PLACES))
