"""Writes docs/kpis.md from the catalogue: `python -m metrics_worker.kpis.document > docs/kpis.md`."""

import sys
from collections import Counter
from collections.abc import Mapping

from metrics_worker.domain.kinds import KINDS
from metrics_worker.domain.measure import Measure, Sum
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.kpis.formula import Direction, Formula, Kpi

_INTRODUCTION = """\
# KPIs

<!-- Written by `python -m metrics_worker.kpis.document > docs/kpis.md`; a test compares. Change the declarations. -->

`GET /v1/kpis/{name}?from=&to=&interval=&group_by=&top=&<dimension>=&variant=&compare=previous` returns each KPI.
`<dimension>=` without a value selects subjects that have none. `group_by` takes one dimension, or two with a comma.

- **Value.** A KPI is a sum of [measures](#measures), or one sum divided by another, over the days of a period in the
  reporting time zone. Values are computed on read from exact whole sums and rounded once: six decimal places, half to
  even; money to its currency's places. A ratio with an empty denominator is null, not 0.
- **Days.** "By closing day" and the like name the day that a subject counts on. "By cohort" counts a later result on
  the day the subject began; "by period" counts it on the day it happened.
- **Planned work.** Work with a due time counts on the day it is due: as on time, or as not on time once it is done
  late, missed, or still open when that day is over in the reporting time zone. Open work of today and later is in no
  number (*elapsed days*); as of a past moment, the days that were over then count. A due time that had passed when the
  work was moved, or for which it was missed, stays not kept. What was cancelled counts nowhere.
- **Semi-additive measures** are read at the end of the period's last day; with `@start`, at the end of the day before
  the period.
- **Dimension in brackets.** `ticket.opened[region]` counts only subjects with a value of that dimension.
- **Percentiles** are read from histograms, within 2 %: the shortest duration that half (median) or nine tenths (p90) of
  the durations do not exceed. The numerator is the percentile in seconds, the denominator the number of durations.
  Durations are whole seconds, rounded down.
- **Missing values**, such as a lead without a channel, are a group of their own (`null`), distinct from every code.
- **Attribution.** A subject counts under the region, segment and other values of its newest state, and under the owner
  and team [listed below](#whom-a-number-is-credited-to). Semi-additive measures of customers, and lapses
  (`relationship.buyers` and all after it), count under the account's current values; without an account under service's
  values for the customer, else under those of the newest deal. Closed deals count under their own. Merged customers
  count as the surviving one, in the past too.
- **Corrections.** What is amended counts as if it had been recorded so, in the days of its own moments: a ticket of
  another kind or product with its contacts and surveys, and by the SLA policy for what it is; a deal of another channel
  on the day it was closed. What a closed deal is worth stays at the rate of its closing.
"""

_CREDITS = """\
## Whom a number is credited to

By `owner` and `team`, and within what a salesperson or agent sees, a number belongs to who did the work, also when
the record changes hands later. What is still to be done belongs to who has it now. Where an event does not say who
did it, since it is older than that record, the number belongs to who has the record.

| KPI | counts under | divided by what counts under |
| --- | --- | --- |"""

_FUNCTIONS = {"sales": "Sales", "service": "Service", "both": "Sales and service together"}
_BETTER: Mapping[Direction, str] = {"up": "higher", "down": "lower"}


def document() -> str:
    """Return the whole document, in Markdown."""
    parts = [_INTRODUCTION, _overview()]
    for function, title in _FUNCTIONS.items():
        of_function = [kpi for kpi in KPIS.values() if kpi.function == function]
        if of_function:
            parts.append(f"## {title}\n\n" + "\n".join(_section(kpi) for kpi in of_function))
    parts.append(_credits())
    parts.append(_measures())
    return "\n".join(parts)


def _overview() -> str:
    rows = [
        f"| [`{kpi.name}`](#{kpi.name}) | {kpi.title} | {kpi.function} | {kpi.indicator} | {_BETTER[kpi.direction]} |"
        for kpi in KPIS.values()
    ]
    return "\n".join(["| KPI | title | function | indicator | better |", "| --- | --- | --- | --- | --- |", *rows, ""])


def _section(kpi: Kpi) -> str:
    lines = [f"### {kpi.name}", "", kpi.description, ""]
    lines += ["| variant | definition | formula | unit |", "| --- | --- | --- | --- |"]
    for name, formula in kpi.variants.items():
        default = " (default)" if name == kpi.default_variant and len(kpi.variants) > 1 else ""
        lines.append(f"| `{name}`{default} | {formula.definition} | {_formula(formula)} | {formula.unit} |")
    if kpi.leaves_out:
        left = [f"{words} ({_side(total)})" for words, total in kpi.leaves_out.items()]
        lines += ["", f"Not counted, but listed by `explain`: {'; '.join(left)}."]
    lines += [
        "",
        f"Dimensions: {', '.join(f'`{name}`' for name in kpi.dimensions)}. Chart: {kpi.chart}.",
        "",
    ]
    return "\n".join(lines)


def _formula(formula: Formula) -> str:
    if formula.percentile is not None:
        return f"{formula.percentile}th percentile of {_side(formula.numerator)}"

    def side(total: Sum, factors: tuple[Measure, ...]) -> str:
        text = _side(total)
        text = f"({text})" if len(total.terms) > 1 and formula.denominator else text
        return " × ".join([text, *map(_side, factors)])

    text = side(formula.numerator, formula.times)
    if formula.denominator is not None:
        under = side(formula.denominator, formula.over)
        text += f" ÷ ({under})" if formula.over else f" ÷ {under}"
    return f"{text} × {formula.scale}" if formula.scale != 1 else text


def _side(total: Sum) -> str:
    times = Counter(map(str, total.terms))
    parts = (f"`{term}`" if count == 1 else f"{count} × `{term}`" for term, count in times.items())
    return " + ".join(parts).replace("+ `-", "− `")


def _credits() -> str:
    rows = [_CREDITS]
    for kpi in KPIS.values():
        if "owner" in kpi.dimensions:
            for whom, variants in credits_of(kpi).items():
                named = (
                    "" if len(variants) == len(kpi.variants) else f" by {', '.join(f'`{each}`' for each in variants)}"
                )
                rows.append(f"| `{kpi.name}`{named} | {whom[0]} | {whom[1] if whom[1] != whom[0] else ''} |")
    return "\n".join([*rows, ""])


def credits_of(kpi: Kpi) -> dict[tuple[str, str], list[str]]:
    """Return whom a KPI's numerator and denominator count under by owner and team, with the variants that do so."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, formula in kpi.variants.items():
        above, below = (
            " and ".join(dict.fromkeys(term.measure.credit for term in terms))
            for terms in (formula.numerator_terms, formula.denominator_terms)
        )
        found.setdefault((above, below or above), []).append(name)
    return found


def _measures() -> str:
    lines = ["## Measures", "", "| measure | sums | unit |", "| --- | --- | --- |"]
    for kind in KINDS:
        for measure in kind.columns:
            read_as = " (semi-additive)" if measure.semi_additive else " (elapsed days)" if measure.elapsed_only else ""
            lines.append(f"| `{measure.name}` | {measure.description}{read_as} | {measure.unit} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.stdout.write(document())
