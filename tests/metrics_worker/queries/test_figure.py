"""Values are exact decimals: rounded once, half to even, written without an exponent."""

from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_worker.domain.deal import DealMeasures
from metrics_worker.domain.period import Interval, Period, bucket_of
from metrics_worker.kpis.formula import Formula
from metrics_worker.queries.figure import Figure, decimal_text, difference_text, sum_shown, value_text

RATIO = Formula("ratio", DealMeasures.won, DealMeasures.lost)
MONEY = Formula("money", DealMeasures.revenue)
MEAN_MONEY = Formula("money", DealMeasures.revenue, DealMeasures.won)
COUNT = Formula("count", DealMeasures.won)


@pytest.mark.parametrize(
    ("numerator", "denominator", "text"),
    [
        (1, 2, "0.5"),
        (2, 3, "0.666667"),
        (1, 1, "1"),
        (0, 7, "0"),
        (20, 2, "10"),
        (1, 2_000_000, "0"),  # 0.0000005 rounds to the even 0
        (3, 2_000_000, "0.000002"),  # 0.0000015 rounds to the even 0.000002
        (10**30, 1, "1" + "0" * 30),
        (1, 0, None),
    ],
)
def test_ratios_have_six_places_at_most(numerator: int, denominator: int, text: str | None) -> None:
    assert value_text(Figure(numerator, denominator), RATIO, "EUR") == text


@given(st.integers(0, 10**18), st.integers(1, 10**18))
def test_ratios_are_those_of_decimal_arithmetic(numerator: int, denominator: int) -> None:
    with localcontext(prec=80):
        exact = (Decimal(numerator) / Decimal(denominator)).quantize(Decimal("0.000001"), ROUND_HALF_EVEN)
        assert Decimal(value_text(Figure(numerator, denominator), RATIO, "EUR") or "") == exact


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(129900, "EUR", "1299.00"), (5, "EUR", "0.05"), (-5, "EUR", "-0.05"), (1299, "JPY", "1299"), (1, "BHD", "0.001")],
)
def test_money_has_its_currencys_places(amount: int, currency: str, text: str) -> None:
    assert value_text(Figure(amount, None), MONEY, currency) == text
    assert sum_shown(amount, "money", currency) == text


def test_means_of_money_are_rounded_to_its_places() -> None:
    assert value_text(Figure(1001, 2), MEAN_MONEY, "EUR") == "5.00"
    assert value_text(Figure(1003, 2), MEAN_MONEY, "EUR") == "5.02"


def test_counts_are_whole() -> None:
    assert value_text(Figure(12, None), COUNT, "EUR") == "12"
    assert sum_shown(12, "count", "EUR") == 12


@pytest.mark.parametrize(
    ("value", "before", "formula", "change"),
    [
        ("0.631", "0.602", RATIO, "0.029"),
        ("0.5", "1", RATIO, "-0.5"),
        ("12", "12", COUNT, "0"),
        ("5.00", "4.50", MONEY, "0.50"),
        (None, "1", RATIO, None),
    ],
)
def test_a_change_is_the_difference_of_what_is_shown(
    value: str | None, before: str, formula: Formula, change: str | None
) -> None:
    assert difference_text(value, before, formula) == change


def test_small_and_negative_decimals_keep_their_zeros() -> None:
    assert [decimal_text(units, 2) for units in (0, 7, -7, 123)] == ["0.00", "0.07", "-0.07", "1.23"]


days = st.dates(date(1970, 1, 1), date(2199, 12, 31))
intervals: st.SearchStrategy[Interval] = st.sampled_from(["day", "week", "month", "quarter", "year"])


@given(days, st.integers(0, 1200), intervals)
def test_buckets_cut_a_period_without_gap_or_overlap(start: date, length: int, interval: Interval) -> None:
    period = Period(start, start + timedelta(days=length))
    buckets = period.buckets(interval)
    assert buckets[0] == period.start
    every_day = [start + timedelta(days=number) for number in range(length + 1)]
    firsts = [day for day in every_day if day == start or bucket_of(day, interval) == day]
    assert buckets == firsts


def test_weeks_begin_on_monday() -> None:
    assert bucket_of(date(2026, 3, 8), "week") == date(2026, 3, 2)
    assert bucket_of(date(2026, 3, 9), "week") == date(2026, 3, 9)


def test_the_period_before_is_as_long() -> None:
    assert Period(date(2026, 3, 1), date(2026, 3, 31)).previous() == Period(date(2026, 1, 29), date(2026, 2, 28))
