"""The roles that tokens carry."""

from typing import Final, Literal, get_args

Role = Literal[
    "sales-rep",
    "sales-manager",
    "service-agent",
    "service-manager",
    "analyst",
    "importer",
    "admin",
]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
