"""Which customer remains of those that were found to be the same."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

Customer = TypeVar("Customer", bound=object)
"""However customers are known: ids, or ids as text. They must have an order."""


def path_of(customer: Customer, merged_into: Mapping[Customer, Customer]) -> Iterator[Customer]:
    """The customers that a customer was merged through: all that are gone, in order, without the one that remains.

    Merges that lead in a circle are a mistake. Its smallest member remains then, whichever merge came last.
    """
    while customer in merged_into and not _remains(customer, merged_into):
        yield customer
        customer = merged_into[customer]


def survivor_of(customer: Customer, merged_into: Mapping[Customer, Customer]) -> Customer:
    """The customer that remains of one; itself unless it was merged."""
    for gone in path_of(customer, merged_into):
        customer = merged_into[gone]
    return customer


def _remains(customer: Customer, merged_into: Mapping[Customer, Customer]) -> bool:
    """True for the smallest member of a circle, although it was merged too."""
    seen = {customer}
    at = merged_into[customer]
    while at in merged_into and at not in seen:
        seen.add(at)
        at = merged_into[at]
    return at == customer and customer == min(seen)  # type: ignore[type-var]
