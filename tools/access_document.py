"""Writes docs/access.md from the tables of access: `.venv/bin/python tools/access_document.py > docs/access.md`."""

import sys
from collections.abc import Collection, Iterable, Iterator

from metrics_worker.api.access import ACCESS as METRICS
from sales_api.access import ACCESS as SALES
from service_api.access import ACCESS as SERVICE
from service_kit.access import AccessTable, Noun
from service_kit.roles import ROLES, Role

_INTRODUCTION = """\
# Who may do what with whose records

<!-- Written by `.venv/bin/python tools/access_document.py > docs/access.md`; a test compares. Change the tables. -->

Each service declares one table: [sales](../services/sales-api/src/sales_api/access.py),
[service](../services/service-api/src/service_api/access.py) and
[metrics](../services/metrics-worker/src/metrics_worker/api/access.py).
[The kit](../libs/service-kit/src/service_kit/access.py) enforces it for every operation: a route that is not in it does
not start. A cell says with whose records a role may do an operation:

| word | records |
| --- | --- |
| own | whose owner is the caller |
| team | of the caller's teams |
| below | of these and of all teams below them |
| region | of the caller's regions |
| unassigned | without owner and team |
| seen | of a record that the caller sees, which the address names |
| all | all |

- **Who the caller is.** The salesperson or agent whose `subject` is that of the token, while they are `active`; their
  team and region are the caller's. The claims `teams` and `regions` add to that. A team's `parent_id` is the team
  above.
- **A record that the caller may not read** is answered 404, the same as one that does not exist; a list leaves it out,
  and a body that names it is refused as if it named nothing. A record that they may read but not change is answered
  403, and so is a role without a cell. Roles add up. An admin may do everything.
- **A change leaves the record in its author's sight**, and so does a creation: 403 otherwise. Operations marked with →
  hand a record over to any colleague.
- **Personal fields** are null to a role that does not serve the customers of the records. **Secret fields** let their
  holder act, and are null to all other roles, whichever owner the record has: the link by which a customer answers.
- **The audit of a record**, `get_…_audit`, is for managers, of records that they may read; `list_audit`, the whole of
  it, is for admins. Personal fields are hidden in it as in the record.
- **Numbers.** A salesperson or agent is answered for the filter `owner`, themselves, or `team`, one of theirs or below
  them; without either, for their teams and all below together when they have any, else for themselves. Other filters
  and groups apply within that, so of another owner they see what was done in these teams. Another team is answered 404,
  a KPI that is not kept by owner and team 403. `filters` in the answer says what it is of, and `teams` where that is
  several teams; a target is compared with a single team's numbers only. The ledger has no records of people: the token
  claims `person` and `teams`. Which teams are below is what the directories of sales and service say.
- **Names.** metrics says names of owners, teams and products to all, and of customers to the roles that see them in
  sales or service: sales-rep, sales-manager, service-agent, service-manager, importer and admin.
- **Timelines** are for all who may read the customer. Of a service's own records they show those that the caller may
  read. Events mirrored from the other service have neither names nor texts: they are shown by kind of record, as the
  last table of each service says, of every customer whose timeline the caller may read.
- **Lists** read each part of a scope by its own index, so that a page costs the same however many records others have.
"""


def document() -> str:
    """Return the whole document."""
    tables = {"Sales": SALES, "Service": SERVICE, "Metrics": METRICS}
    parts = [_INTRODUCTION]
    for title, table in tables.items():
        parts.append(f"## {title}\n\n" + "\n".join(_rows(table)) + "\n")
        personal = _hidden("personal", [(noun, noun.personal, noun.served_by) for noun in table.nouns])
        secret = _hidden("secret", [(noun, noun.secret, noun.secret_to) for noun in table.nouns])
        mirrored = list(_mirrored(table))
        parts += ["\n".join(rows) + "\n" for rows in (personal, secret, mirrored) if rows]
    return "\n".join(parts)


def _rows(table: AccessTable) -> Iterator[str]:
    roles = [role for role in ROLES if role != "admin"]
    yield f"| records | operations | {' | '.join(roles)} |"
    yield f"| --- | --- |{' --- |' * len(roles)}"
    for noun, rule in table.rows():
        mark = " →" if rule.hands_over else ""
        operations = ", ".join(f"`{each}`{mark}" for each in rule.operations)
        cells = table.described(rule.operations[0])
        yield f"| {noun.name} | {operations} | {' | '.join(_cell(cells.get(role, [])) for role in roles)} |"


def _mirrored(table: AccessTable) -> Iterator[str]:
    """Yield the table of what timelines mirror from another service; nothing where there is nothing."""
    if table.mirrored:
        yield "| on timelines, mirrored from the other service | shown to |"
        yield "| --- | --- |"
    for kind, shown_to in table.mirrored.items():
        yield f"| {kind} | {', '.join(role for role in ROLES if role in shown_to)} |"


def _cell(words: list[str]) -> str:
    return ", ".join(words) or "–"


def _hidden(sort: str, nouns: Iterable[tuple[Noun, Collection[str], Collection[Role]]]) -> list[str]:
    """Return the table of the fields that are hidden from all roles but some; nothing where there are none."""
    rows = [
        f"| {noun.name} | {', '.join(f'`{name}`' for name in names)} | "
        f"{', '.join(role for role in ROLES if role in shown_to)} |"
        for noun, names, shown_to in nouns
        if names
    ]
    return [f"| records | {sort} fields | shown to |", "| --- | --- | --- |", *rows] if rows else []


if __name__ == "__main__":
    sys.stdout.write(document())
