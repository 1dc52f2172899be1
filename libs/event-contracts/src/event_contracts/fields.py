"""The field types that events are made of: codes, times, amounts of money. Never a float, never free text."""

from datetime import datetime
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Annotated
from uuid import UUID

import msgspec

CODE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$"
"""What a code may look like wherever one enters the system; kept here because HTTP and events must agree."""

MAX_COUNT = 2_147_483_647
"""Upper bound of every plain integer: PostgreSQL's `integer`."""

MAX_SECONDS = 31_622_400
"""Upper bound of one duration: 366 days, in seconds."""

MAX_MONEY_DIGITS = 15
"""An amount has at most this many digits before the point, so that sums of minor units stay within 64 bits."""

Code = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=64,
        description="A short code of a closed or company-defined list; never free text.",
        # Not msgspec's own `pattern`: producers have checked it, and a regular expression a field would
        # halve the speed at which consumers decode.
        extra_json_schema={"pattern": CODE_PATTERN},
    ),
]
Currency = Annotated[
    str,
    msgspec.Meta(
        min_length=3,
        max_length=3,
        description="The alphabetic code of ISO 4217: EUR.",
        extra_json_schema={"pattern": "^[A-Z]{3}$"},
    ),
]
Moment = Annotated[datetime, msgspec.Meta(tz=True, description="An instant, RFC 3339 with its zone.")]
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=MAX_SECONDS, description="A duration in whole seconds.")]
Score = Annotated[int, msgspec.Meta(ge=1, le=5, description="An answer from 1 (worst) to 5 (best).")]


CustomValue = bool | str | list[str]
"""A text, a decimal or day as text, a boolean, or several texts."""
CustomValues = Annotated[
    dict[str, CustomValue],
    msgspec.Meta(
        description="Values of custom fields by their names: texts, decimals and days in strings, booleans, lists of"
        " options. Personal fields are in no event; which fields there are is in the service's custom-fields."
    ),
]


class Amendment(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded wrongly: the names of the amended fields."""

    fields: list[Code]


_ZERO_DECIMALS = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split())
_THREE_DECIMALS = frozenset("BHD IQD JOD KWD LYD OMR TND".split())
_FOUR_DECIMALS = frozenset("CLF UYW".split())
_TWO_DECIMALS = frozenset(
    """AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC
    CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD
    KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO
    NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL
    THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG""".split()
)

DECIMAL_PLACES: dict[str, int] = (
    dict.fromkeys(_TWO_DECIMALS, 2)
    | dict.fromkeys(_ZERO_DECIMALS, 0)
    | dict.fromkeys(_THREE_DECIMALS, 3)
    | dict.fromkeys(_FOUR_DECIMALS, 4)
)
"""Decimal places of each active currency, by its alphabetic code (ISO 4217, table A.1)."""


# The default context would round an amount of 30 digits, or one of 1E-2000000, to something that looks exact.
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


class Money(msgspec.Struct, frozen=True):
    """An amount in one currency; `amount` is a decimal string on the wire, with the currency's places at most."""

    amount: Decimal
    currency: Currency

    def minor_units(self) -> int:
        """The amount as a whole number of the currency's smallest unit (cents for EUR, yen for JPY).

        Raises ValueError when the amount has more places than the currency, or the currency is unknown.
        """
        places = DECIMAL_PLACES.get(self.currency)
        if places is None:
            raise ValueError(f"unknown currency {self.currency!r}")
        # Before any arithmetic: 1E+400000000 would otherwise be expanded digit by digit.
        if not self.amount.is_finite() or self.amount.adjusted() >= MAX_MONEY_DIGITS:
            raise ValueError(f"{self.amount} is not an amount of money")
        scaled = _EXACT.scaleb(self.amount, places)
        whole = int(scaled)
        if whole != scaled:
            raise ValueError(f"{self.amount} {self.currency} has more than {places} decimal places")
        return whole


def money_from_minor_units(minor_units: int, currency: str) -> Money:
    """The inverse of `Money.minor_units`."""
    return Money(amount=Decimal(minor_units).scaleb(-DECIMAL_PLACES[currency]), currency=currency)


class Credit(msgspec.Struct, frozen=True, kw_only=True):
    """Who did something, and their team then: it stays theirs when the record changes hands."""

    person_id: UUID | None
    """The salesperson or agent; null where none was named."""
    team_id: UUID | None
