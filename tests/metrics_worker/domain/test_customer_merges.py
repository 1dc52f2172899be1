"""A merged customer counts for the survivor, over any number of merges and despite circles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_worker.domain.customer_merges import path_of, survivor_of


@pytest.mark.parametrize(
    ("merged_into", "survivors"),
    [
        ({}, [1, 2, 3, 4]),
        ({1: 2, 2: 3}, [3, 3, 3, 4]),
        ({1: 1}, [1, 2, 3, 4]),
        ({1: 2, 2: 1}, [1, 1, 3, 4]),
        ({4: 2, 2: 3, 3: 2}, [1, 2, 2, 2]),
    ],
)
def test_the_survivor_is_the_customer_that_remains_at_the_end(
    merged_into: dict[int, int], survivors: list[int]
) -> None:
    assert [survivor_of(customer, merged_into) for customer in (1, 2, 3, 4)] == survivors


@given(st.dictionaries(st.integers(1, 6), st.integers(1, 6)))
def test_every_customer_has_one_survivor_who_survives(merged_into: dict[int, int]) -> None:
    for customer in range(1, 7):
        survivor = survivor_of(customer, merged_into)
        assert survivor_of(survivor, merged_into) == survivor
        assert survivor not in list(path_of(customer, merged_into))
        if customer in merged_into:
            assert survivor_of(merged_into[customer], merged_into) == survivor
