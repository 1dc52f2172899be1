"""Arithmetic with money that never rounds unseen: the types of prices and rates, the columns of amounts."""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema
from sqlalchemy import Numeric

from event_contracts.fields import DECIMAL_PLACES, Money
from service_kit.fields import MAX_AMOUNT_DIGITS, UNSIGNED_DECIMAL, DecimalText
from service_kit.problems import Unprocessable

LIMIT: Final = Decimal(10) ** MAX_AMOUNT_DIGITS
"""Every amount is below this; sums of many still fit 64 bits in minor units."""

AMOUNT: Final = Numeric(16, 4)
"""The column of an amount: 12 digits, and the 4 places that the finest currency has."""

RATE: Final = Numeric(22, 10)
"""The column of an exchange rate."""

# The default context has 28 digits, where a product too large for us fails before it can be refused.
_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)


class AmountTooLarge(Unprocessable):
    """More digits than the ledger takes."""

    slug, title = "amount-too-large", "The amount is too large"


def _not_negative(value: Decimal) -> Decimal:
    if value < 0:
        raise ValueError("must not be negative")
    return value


def _positive(value: Decimal) -> Decimal:
    if value <= 0:
        raise ValueError("must be more than 0")
    return value


Price = Annotated[
    DecimalText,
    AfterValidator(_not_negative),
    WithJsonSchema({"type": "string", "pattern": f"^{UNSIGNED_DECIMAL}$", "examples": ["1299.00"]}),
]
"""An amount of 0 or more; its currency is given beside it."""

Rate = Annotated[
    DecimalText,
    AfterValidator(_positive),
    WithJsonSchema({"type": "string", "pattern": f"^(?=.*[1-9]){UNSIGNED_DECIMAL}$", "examples": ["0.9217"]}),
]
"""An exchange rate, above 0."""


def has_places_of(amount: Decimal, currency: str) -> bool:
    """Return whether the amount has no more places than its currency."""
    return at_places(amount, currency) == amount


def money(amount: Decimal, currency: str) -> Money:
    """Return the amount as events carry it, with exactly the currency's places; it must not have more."""
    return Money(amount=at_places(amount, currency), currency=currency)


def times(unit_price: Decimal, quantity: int) -> Decimal:
    """Return exactly quantity times unit price."""
    return _EXACT.multiply(unit_price, Decimal(quantity))


def converted(amount: Decimal, rate: Decimal, currency: str) -> Decimal:
    """Return the amount at the rate, rounded half-even to the places of the target currency."""
    return at_places(_EXACT.multiply(amount, rate), currency)


def check_limit(amount: Decimal, what: str) -> None:
    """Raise `AmountTooLarge` (422) for an amount at or above the limit; `what` names it."""
    if amount >= LIMIT:
        raise AmountTooLarge(f"{what} has more than {MAX_AMOUNT_DIGITS} digits before the point.")


def trimmed(value: Decimal) -> Decimal:
    """Return a rate without the trailing zeros of its column, and without an exponent."""
    return Decimal(format(value.normalize(_EXACT), "f"))


def at_places(amount: Decimal, currency: str) -> Decimal:
    """Return the amount with exactly the currency's places."""
    return amount.quantize(Decimal(1).scaleb(-DECIMAL_PLACES[currency]), context=_EXACT)
