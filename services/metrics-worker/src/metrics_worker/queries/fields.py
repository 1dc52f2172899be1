"""What the members of answers about KPIs mean: each type with its description and an example."""

from datetime import date
from typing import Annotated, Literal

from service_kit.fields import CurrencyRead, Moment, described

Amount = Annotated[
    int | str | None,
    described(
        "A whole number, or money as a decimal string in the reporting currency; null where there is none.", 4238
    ),
]
Numerator = Annotated[
    int | str | None,
    described(
        "What the value counts or sums: a whole number, or money as a decimal string in the reporting currency.", 4238
    ),
]
Denominator = Annotated[
    int | str | None,
    described("What the numerator is divided by, in the same form; null for a plain sum.", 6711),
]
Value = Annotated[
    str, described("A decimal string in the KPI's unit; null where the denominator is empty.", "0.631501")
]
Change = Annotated[
    str, described("A decimal string in the KPI's unit; null where one of the two has no value.", "0.029501")
]
KpiName = Annotated[str, described("Which KPI it is, as GET /v1/kpis names it.", "win_rate")]
VariantName = Annotated[str, described("Which of the KPI's definitions it is, as GET /v1/kpis names it.", "count")]
Unit = Annotated[
    str,
    described("What the value is measured in: count, money, ratio, score, seconds, minutes, hours or days.", "ratio"),
]
MoneyCurrency = Annotated[
    CurrencyRead,
    described("The reporting currency, as ISO 4217 has it, where the unit is money; else null.", "EUR", rarely=True),
]
ReportingCurrencyRead = Annotated[str, described("The currency of all money, as ISO 4217 has it.", "EUR")]
FirstDayRead = Annotated[date, described("The first day, in the reporting time zone.", "2026-01-01")]
LastDayRead = Annotated[date, described("The last day, in the reporting time zone.", "2026-03-31")]
TimeZone = Annotated[
    str,
    described("The reporting time zone, in which days begin and end, as the IANA database has it.", "Europe/Vilnius"),
]
FreshAsOf = Annotated[
    Moment,
    described(
        "The moment up to which everything that the services recorded is in the answer; null before the first event.",
        "2026-03-31T21:00:00.120000Z",
    ),
]
AsOf = Annotated[
    Moment,
    described("The moment whose ledger the value comes from; null for now.", "2026-03-31T21:00:00Z", rarely=True),
]
AppliedFilters = Annotated[
    dict[str, str | None],
    described(
        "What the numbers are of, by dimension: as requested, and as the caller's role forces.", {"segment": "smb"}
    ),
]
SeveralTeams = Annotated[
    list[str],
    described(
        "The teams that the numbers are of, where the caller's role forces several: theirs and all below; else null.",
        ["019ca869-5000-7000-8000-0000000000d1", "019ca869-5000-7000-8000-0000000000d2"],
        rarely=True,
    ),
]
NamesRead = Annotated[
    dict[str, str],
    described(
        "What the ids and codes beside are called, by dimension: owner, team, customer or product. Left out is what is "
        "not named, what was erased, and from roles that serve no customers the names of customers.",
        {"owner": "Ada Lovelace"},
    ),
]
Dimension = Annotated[str, described("A property that measures are broken down by.", "region")]
Explain = Annotated[
    str,
    described(
        "The address of what is behind it, below the API's own.",
        "/v1/kpis/win_rate/explain?variant=count&from=2026-01-01&to=2026-03-31",
    ),
]
BetterDirection = Annotated[
    Literal["up", "down"], described("Whether more is better, or less.", "up", schema="BetterDirection")
]
