"""Small mappings and files for the tests of the importer."""

from pathlib import Path

import yaml

from tandem_cli.imports.mapping import LeadMapping, TicketMapping, load

LEADS = """
name: small-leads
kind: leads
lead:
  reference: id
  created_at: {column: created, format: "%Y-%m-%d %H:%M", zone: Europe/Vilnius}
  channel: {column: source, slug: true}
  owner: seller
deal:
  reference: lead
  closed_at: {column: closed, format: "%Y-%m-%d %H:%M", zone: Europe/Vilnius}
  outcome: {column: result, values: {W: won, L: lost, O: open}}
  reason: why
  account_name: {column: customer, template: "Customer {}"}
  owner: seller
  currency: {column: currency}
  lines:
    - {product: {column: product, default: unspecified}, quantity: {column: pieces}, unit_price: price}
exchange_rates:
  - {currency: USD, day: 2012-01-01, rate: "0.9"}
"""

TICKETS = """
name: small-tickets
kind: tickets
sources:
  changes: {delimiter: ";", unknown: ["", "?"]}
ticket:
  reference: number
  opened_at: {column: opened, format: "%d.%m.%Y %H:%M"}
  kind: {constant: problem}
  channel: {column: by, values: {Phone: phone, Mail: email}}
  priority: {column: urgency, values: {"1": urgent, "3": normal}}
  customer: caller
  region: {column: place, slug: true}
  product: {column: thing, slug: true}
  team: group
  agent: person
history:
  order: n
  changed_at: {column: changed, format: "%d.%m.%Y %H:%M"}
  state: state
  resolved_states: [Resolved, Closed]
  reopen_count: reopened
  resolved_at: {column: resolved, format: "%d.%m.%Y %H:%M"}
  resolved_by: solver
  closed_at: {column: closed, format: "%d.%m.%Y %H:%M"}
"""

LEADS_WITHOUT_ACCOUNT = LEADS.replace('  account_name: {column: customer, template: "Customer {}"}\n', "")

LEAD_COLUMNS = "id,created,source,seller"
DEAL_COLUMNS = "lead,closed,result,why,customer,seller,currency,product,pieces,price"
TICKET_COLUMNS = (
    "number;n;opened;changed;state;reopened;by;urgency;caller;place;thing;group;person;resolved;solver;closed"
)


def written(path: Path, *lines: str) -> Path:
    """A file of these lines."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def leads_mapping(folder: Path, text: str = LEADS) -> LeadMapping:
    """The mapping of leads, read from a file as a person's is."""
    mapping = load(str(written(folder / "leads.yaml", text)))
    assert isinstance(mapping, LeadMapping)
    return mapping


def tickets_mapping(folder: Path) -> TicketMapping:
    """The mapping of tickets."""
    mapping = load(str(written(folder / "tickets.yaml", TICKETS)))
    assert isinstance(mapping, TicketMapping)
    return mapping


def changed(text: str, *path: str | int, to: object) -> str:
    """A mapping's text with one value replaced, or added."""
    data = yaml.safe_load(text)
    *steps, last = path
    place = data
    for step in steps:
        place = place[step]
    place[last] = to
    return str(yaml.safe_dump(data))
