"""Which customer survives of those that are merged."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

Customer = TypeVar("Customer", bound=object)
"""Ids, or ids as text. They must have an order."""


def path_of(customer: Customer, merged_into: Mapping[Customer, Customer]) -> Iterator[Customer]:
    """Yield the customers that a customer was merged through, in order and without the survivor.

    Merges that lead in a circle are a mistake. Its smallest member survives then, whichever merge came last.
    """
    while customer in merged_into and not _is_survivor(customer, merged_into):
        yield customer
        customer = merged_into[customer]


def survivor_of(customer: Customer, merged_into: Mapping[Customer, Customer]) -> Customer:
    """Return the customer that survives of one; itself unless it was merged."""
    for gone in path_of(customer, merged_into):
        customer = merged_into[gone]
    return customer


def _is_survivor(customer: Customer, merged_into: Mapping[Customer, Customer]) -> bool:
    """Return whether it is the smallest member of a circle, which survives although it was merged too."""
    seen = {customer}
    at = merged_into[customer]
    while at in merged_into and at not in seen:
        seen.add(at)
        at = merged_into[at]
    return at == customer and customer == min(seen)  # type: ignore[type-var]
