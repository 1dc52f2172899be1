"""One import from beginning to end: read, plan, send, report."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from tandem_cli.api import Api, Refused
from tandem_cli.imports import report
from tandem_cli.imports.crm import plan_crm
from tandem_cli.imports.leads import plan_leads
from tandem_cli.imports.listed import with_listed_values
from tandem_cli.imports.mapping import AnyMapping, CrmMapping, LeadMapping
from tandem_cli.imports.plan import Plan
from tandem_cli.imports.sender import Outcome, Sender
from tandem_cli.imports.tables import RowError, Table, assign, check_encoding, read
from tandem_cli.imports.tickets import plan_tickets
from tandem_cli.problem import StackProblem

REACH_SECONDS = 5.0
"""How long an API may take to answer the first request."""


@dataclass(frozen=True)
class Target:
    """Where to send to, and as whom."""

    sales_url: str
    service_url: str
    token: str
    concurrency: int = 4

    @property
    def urls(self) -> dict[str, str]:
        """The addresses by the APIs' names."""
        return {"sales": self.sales_url, "service": self.service_url}


def make_plan(mapping: AnyMapping, files: Sequence[Path]) -> Plan:
    """What importing these files by this mapping will do. Raises StackProblem for files that do not fit it."""
    columns = mapping.columns()
    sources = {name: mapping.source(name) for name in columns}
    # A CRM's rows refer to one another; leads may have no deals.
    needed = columns if isinstance(mapping, CrmMapping) else list(columns)[:1]
    found = assign(files, columns, sources, needed=needed)
    for name, paths in found.items():
        check_encoding(paths, name, sources[name])
    tables = {name: read(paths, sources[name]) for name, paths in found.items()}
    return replace(_planned(mapping, tables), declares=mapping.declare)


def _planned(mapping: AnyMapping, tables: Mapping[str, Table]) -> Plan:
    if isinstance(mapping, LeadMapping):
        return plan_leads(mapping, tables["leads"], tables.get("deals", Table([], [])))
    if isinstance(mapping, CrmMapping):
        return plan_crm(mapping, tables)
    return plan_tickets(mapping, tables["changes"])


async def send(plan: Plan, target: Target, outcome: Outcome, console: Console) -> None:
    """Send a plan, with a progress bar. `outcome` is kept up to date, for whatever breaks it off."""
    used = {str(step.api) for record in plan.records for step in record.steps}
    used |= {ref.noun.partition("/")[0] for ref in plan.needed}
    await _reach({name: url for name, url in target.urls.items() if name in used}, target.token)
    async with Api(target.sales_url, target.token) as sales:
        plan = await with_listed_values(plan, sales)
    if plan.needed:
        console.print(f"creating {len(plan.needed)} products, people and the like that they refer to", highlight=False)
    with report.ProgressBar(console, len(plan.records), plan.noun) as bar:
        async with (
            Api(target.sales_url, target.token, connections=target.concurrency, on_busy=bar.wait) as sales,
            Api(target.service_url, target.token, connections=target.concurrency, on_busy=bar.wait) as service,
        ):
            apis = {"sales": sales, "service": service}
            await Sender(plan, apis, outcome, concurrency=target.concurrency, progress=bar.show).run()


async def _reach(urls: Mapping[str, str], token: str) -> None:
    """Raises StackProblem at once when an address or the token is wrong, instead of after minutes of patience."""
    for name, url in urls.items():
        async with Api(url, token, patience=REACH_SECONDS) as api:
            try:
                await api.get("teams", {"limit": "1"})
            except Refused as refusal:
                raise StackProblem(f"{url} is no {name}-api that takes this token: {refusal}") from None


def import_files(plan: Plan, target: Target, console: Console) -> list[RowError]:
    """Send a plan and report the outcome; every row's error, those of the plan included.

    What was sent stays when it is broken off, by Ctrl-C or by an API that stays away (StackProblem).
    """
    began = time.monotonic()
    outcome = Outcome()
    try:
        asyncio.run(send(plan, target, outcome, console))
    except (KeyboardInterrupt, StackProblem):
        report.summarize(console, plan.noun, outcome, outcome.errors, time.monotonic() - began)
        console.print("Broken off. Run the same command again: it goes on where this one stopped.")
        raise
    errors = sorted([*plan.errors, *outcome.errors], key=lambda error: (error.file, error.line))
    report.summarize(console, plan.noun, outcome, errors, time.monotonic() - began)
    return errors
