"""Money is exact to the smallest unit, or refused; it is never rounded."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_contracts.fields import DECIMAL_PLACES, MAX_MONEY_DIGITS, Money, money_from_minor_units
from tests.event_contracts.strategies import money


@pytest.mark.parametrize(
    ("amount", "currency", "minor_units"),
    [
        ("1299.00", "EUR", 129900),
        ("0.01", "EUR", 1),
        ("-5.5", "EUR", -550),
        ("0", "EUR", 0),
        ("-0.00", "EUR", 0),
        ("1299", "JPY", 1299),
        ("1E+2", "JPY", 100),
        ("1.234", "KWD", 1234),
        ("1.2345", "CLF", 12345),
        ("1.5000", "EUR", 150),
        ("999999999999999.99", "EUR", 99_999_999_999_999_999),
    ],
)
def test_an_amount_is_a_whole_number_of_minor_units(amount: str, currency: str, minor_units: int) -> None:
    assert Money(Decimal(amount), currency).minor_units() == minor_units


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("0.001", "EUR"),
        ("1.5", "JPY"),
        ("1." + "0" * 30 + "1", "EUR"),
        ("1E-2000000", "EUR"),
        ("1E-999999999999999990", "EUR"),
        ("1E+400000000", "EUR"),
        ("1000000000000000", "EUR"),
        ("-1000000000000000", "JPY"),
        ("NaN", "EUR"),
        ("sNaN", "EUR"),
        ("Infinity", "EUR"),
        ("-Infinity", "EUR"),
        ("1.00", "ZZZ"),
        ("1.00", "eur"),
        ("1.00", ""),
    ],
)
def test_an_amount_that_has_no_exact_minor_units_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(ValueError):
        Money(Decimal(amount), currency).minor_units()


@given(amount=money())
def test_minor_units_and_back_is_the_same_amount(amount: Money) -> None:
    assert money_from_minor_units(amount.minor_units(), amount.currency) == amount


@given(
    amount=st.decimals(allow_nan=True, allow_infinity=True),
    currency=st.sampled_from(sorted(DECIMAL_PLACES)),
)
def test_minor_units_are_exact_or_refused(amount: Decimal, currency: str) -> None:
    try:
        minor_units = Money(amount, currency).minor_units()
    except ValueError:
        return
    assert Decimal(minor_units) == amount * 10 ** DECIMAL_PLACES[currency]
    assert abs(minor_units) < 10 ** (MAX_MONEY_DIGITS + DECIMAL_PLACES[currency])
