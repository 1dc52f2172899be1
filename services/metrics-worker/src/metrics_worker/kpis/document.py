"""Writes docs/kpis.md from the catalogue: `python -m metrics_worker.kpis.document > docs/kpis.md`."""

import sys

from metrics_worker.domain.kinds import KINDS
from metrics_worker.domain.measure import Measure, Sum
from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.kpis.formula import Formula, Kpi

_INTRODUCTION = """\
# KPIs

<!-- Written by `python -m metrics_worker.kpis.document > docs/kpis.md`; a test compares. Change the declarations. -->

Every KPI is a sum of measures, or one sum of measures divided by another, over the days of a period in the reporting
time zone. A measure marked as a level is what stands at the end of a day, or with `@start` at the end of the day before
the period; one followed by a dimension in brackets is only of what carries a value of it. Medians and p90s are read
from histograms, within 2 %: the shortest duration that half, or nine tenths, of them do not exceed. Their numerator is
the percentile itself in seconds, their denominator how many there are. Durations are in whole seconds, rounded down.
Ratios are computed when they are read, from exact whole sums, and rounded once: six decimal places, half to even;
money to its currency's places. A ratio with nothing to divide by is null, not 0. A value that is missing, such as a
lead without a channel, is a group of its own (`null`), distinct from every code.

Each subject stands under the region, owner and so on of its newest state. What stands of customers, and who lapsed
(`relationship.buyers` and all after it), stands under the account as it is now; without one under what service knows of
the customer, else under the newest deal. Closed deals stand under their own. Customers who were merged count as the one
who remains, also in their past.

`GET /v1/kpis/{name}?from=&to=&interval=&group_by=&<dimension>=&variant=&compare=previous` answers each of them.
`<dimension>=` with nothing after it asks for what has no value.
"""

_FUNCTIONS = {"sales": "Sales", "service": "Service", "both": "Sales and service together"}


def document() -> str:
    """The whole document, in Markdown."""
    parts = [_INTRODUCTION, _overview()]
    for function, title in _FUNCTIONS.items():
        of_function = [kpi for kpi in KPIS.values() if kpi.function == function]
        if of_function:
            parts.append(f"## {title}\n\n" + "\n".join(_section(kpi) for kpi in of_function))
    parts.append(_measures())
    return "\n".join(parts)


def _overview() -> str:
    rows = [
        f"| [`{kpi.name}`](#{kpi.name}) | {kpi.title} | {kpi.function} | {kpi.indicator} | {kpi.direction} |"
        for kpi in KPIS.values()
    ]
    return "\n".join(["| name | | function | indicator | good is |", "| --- | --- | --- | --- | --- |", *rows, ""])


def _section(kpi: Kpi) -> str:
    lines = [f"### {kpi.name}", "", kpi.description, ""]
    lines += ["| variant | meaning | formula | unit |", "| --- | --- | --- | --- |"]
    for name, formula in kpi.variants.items():
        default = " (default)" if name == kpi.default_variant and len(kpi.variants) > 1 else ""
        lines.append(f"| `{name}`{default} | {formula.definition} | {_formula(formula)} | {formula.unit} |")
    if kpi.leaves_out:
        left = [f"{words} ({_side(total)})" for words, total in kpi.leaves_out.items()]
        lines += ["", f"Leaves out, and `explain` counts: {'; '.join(left)}."]
    lines += [
        "",
        f"Drawn as a {kpi.chart} chart. Group and filter by: {', '.join(f'`{name}`' for name in kpi.dimensions)}.",
        "",
    ]
    return "\n".join(lines)


def _formula(formula: Formula) -> str:
    if formula.percentile is not None:
        return f"{formula.percentile} % of {_side(formula.numerator)}"

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
    return " + ".join(f"`{term}`" for term in total.terms).replace("+ `-", "− `")


def _measures() -> str:
    lines = ["## Measures", "", "| measure | sums | unit |", "| --- | --- | --- |"]
    for kind in KINDS:
        for measure in kind.columns:
            level = " (level)" if measure.semi_additive else ""
            lines.append(f"| `{measure.name}` | {measure.description}{level} | {measure.unit} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.stdout.write(document())
