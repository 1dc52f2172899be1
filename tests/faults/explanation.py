"""The second half of the oracle: whatever changed in the sources is explained by the recorded requests, and no more.

Source, log and ledger may agree on a ticket that nobody opened. So all records of both services are compared with those
from before the fault: each that is new or different has to come from a request that was answered with 2xx, or from one
that was not answered and may have had its effect; or from an event, by one of the few rules that are repeated here.
"""

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from tandem_cli.stack import LocalStack
from tests.faults.oracle import connect
from tests.faults.recording import Request

Rows = dict[str, dict[str, Any]]
"""Each record by its service, table and id: `sales:deal/<uuid>`."""

SOURCES = ("sales", "service")
PLUMBING = {"outbox", "dead_letter", "imported_record", "idempotency_key", "exchange_rate", "published_event"}
AUDIT = "audit_entry"
"""The table that says who changed which record to which version."""
COPIES = {"customer", "won_deal"}
"""Tables of service that only its consumer writes, from events of sales."""


async def rows_of_sources(stack: LocalStack) -> Rows:
    """Return every record of both services that has an id."""
    rows: Rows = {}
    for service in SOURCES:
        connection = await connect(stack, service)
        try:
            tables = await connection.fetch(
                "select table_name as name from information_schema.columns"
                " where table_schema = 'public' and column_name = 'id' and data_type = 'uuid'"
            )
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                for table in sorted({row["name"] for row in tables} - PLUMBING):
                    for found in await connection.fetch(f'select to_jsonb(each)::text as row from "{table}" as each'):
                        row = _decoded(found["row"])
                        rows[f"{service}:{table}/{row['id']}"] = row
        finally:
            await connection.close()
    return rows


def _decoded(text: str) -> dict[str, Any]:
    return dict(json.loads(text, parse_float=str))


@dataclass
class Expected:
    """What the requests did to one record."""

    created: bool = False
    versions: set[int] = field(default_factory=set)
    """In the answers: each change makes one, unless it changes nothing."""
    first_response: bool = False
    """A ticket's first contact with an agent makes two, the contact and the response."""
    maybe: int = 0
    """Changes without an answer."""
    corrections: int = 0
    """Of a ticket: each may make three versions, by what it changes, and one of the ticket's surveys."""
    newest: dict[str, Any] = field(default_factory=dict)
    """The answer that shows its highest version."""


class Explanation:
    """What the requests explain. What the `lost` ones did was published, and then lost by the source in a restore."""

    def __init__(self, before: Rows, requests: Iterable[Request], *, lost: Iterable[Request] = ()) -> None:
        self._before = before
        self._expected: defaultdict[str, Expected] = defaultdict(Expected)
        self._unanswered: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        """By service and table, the bodies of creations that may have happened."""
        self._conversions_unanswered = 0
        self._registered: set[str] = set()
        """Accounts that a lead's conversion registered."""
        self.ever_won: set[str] = {
            row["id"] for name, row in before.items() if name.startswith("service:won_deal/")
        } | {row["id"] for name, row in before.items() if name.startswith("sales:deal/") and row["stage"] == "won"}
        for request in requests:
            if request.may_have_happened:
                self._add(request)
        self.lost: set[str] = set()
        """Records that lost requests made."""
        for request in lost:
            if request.answered:
                self.lost |= {str(request.answer[key]) for key in ("id", "account_id") if request.answer.get(key)}
                if request.answer.get("stage") == "won":
                    self.ever_won.add(request.answer["id"])

    def _add(self, request: Request) -> None:
        noun, *rest = request.path.removeprefix("/v1/").split("/")
        if noun == "survey-answers":
            # Its token begins with the survey's id.
            noun, rest = "surveys", [str(UUID(bytes=base64.urlsafe_b64decode(rest[0])[:16])), "answer"]
        table = _table(noun)
        if noun == "bulk":
            self._add_bulk(request)
            return
        if not rest:
            if request.answered:
                if "id" in request.answer:
                    self._note(request.api, table, request.answer, created=True)
            else:
                self._unanswered[f"{request.api}:{table}"].append(request.body or {})
            return
        subject, verb = f"{request.api}:{table}/{rest[0]}", rest[1] if len(rest) > 1 else ""
        if verb == "close" and table == "deal" and (request.body or {}).get("outcome") == "won":
            self.ever_won.add(rest[0])
        if not request.answered:
            self._expected[subject].maybe += 1
            if verb == "interactions":
                self._unanswered["service:interaction"].append(request.body or {})
            self._conversions_unanswered += verb == "convert"
        elif verb == "interactions":
            self._note("service", "interaction", request.answer, created=True)
            self._expected[subject].versions.add(request.answer["ticket_version"])
            self._expected[subject].first_response |= request.answer["agent_id"] is not None
        else:
            self._note(request.api, table, request.answer)
            self._expected[subject].corrections += request.method == "PATCH" and table == "ticket"
            if verb == "convert":
                self._registered.add(request.answer["account_id"])

    def _add_bulk(self, request: Request) -> None:
        body = request.body or {}
        table = body["operation"].partition("_")[2]
        if not request.answered:
            for each in body["records"]:
                self._expected[f"{request.api}:{table}/{each['id']}"].maybe += 1
            return
        for each in request.answer["records"]:
            if each["status"] == "done":
                self._expected[f"{request.api}:{table}/{each['id']}"].versions.add(each["version"])

    def _note(self, api: str, table: str, answer: dict[str, Any], *, created: bool = False) -> None:
        expected = self._expected[f"{api}:{table}/{answer['id']}"]
        expected.versions.add(answer.get("version", 1))
        expected.created |= created
        if answer.get("version", 1) >= expected.newest.get("version", 0):
            expected.newest = answer

    def problems(self, after: Rows) -> list[str]:
        """Return what is in the sources and unexplained, or explained and not there."""
        found = [f"{name} has vanished" for name in self._before if name not in after]
        found += [
            f"{name} was created with 2xx and is not there"
            for name, expected in self._expected.items()
            if expected.created and name not in after
        ]
        for name, row in after.items():
            table = name.partition(":")[2].partition("/")[0]
            if table == AUDIT:
                found += _problems_of_entry(name, row, after)
            elif table not in COPIES:
                found += self._problems_of(name, row)
        return (
            found
            + list(_problems_of_copies(after, self.ever_won, self.lost))
            + list(self._problems_of_onboardings(after))
        )

    def _problems_of(self, name: str, row: dict[str, Any]) -> Iterable[str]:
        before, expected = self._before.get(name), self._expected.get(name, Expected())
        if before is None and not expected.created and not self._is_derived(name, row):
            yield f"{name} was created by no request: {row}"
            return
        if before is not None and not expected.versions and not expected.maybe:
            if before != row:
                yield f"{name} was changed by no request: {different(before, row)}"
            return
        if "version" in row and not row.get("onboarding_deal_id"):  # that changes with its deal
            # A record that came with another one, or by a request without an answer, has its first version by that.
            ticket = self._expected.get(f"service:ticket/{row.get('ticket_id')}", Expected())
            follows = ticket.corrections if name.startswith("service:survey/") else 0
            least = max(expected.versions, default=before["version"] if before else 1)
            most = (before["version"] if before else int(not expected.created)) + len(expected.versions)
            most += expected.first_response + 2 * expected.maybe + 2 * expected.corrections + follows
            if not least <= row["version"] <= least + 2 * expected.maybe + follows or row["version"] > most:
                yield f"{name} has version {row['version']}; by the requests, {least} to {most}"
        if expected.newest and row.get("version", 1) == expected.newest.get("version", 1):
            shared = {key: value for key, value in expected.newest.items() if key in row}
            if changed := different(shared, row):
                yield f"{name} differs from its last answer: {changed}"

    def _is_derived(self, name: str, row: dict[str, Any]) -> bool:
        """Return whether a new record comes from another one, or from a creation without an answer."""
        table, _, record = name.partition("/")
        if table == "sales:account" and record in self._registered:
            return True
        if table == "service:ticket" and row["onboarding_deal_id"] is not None:
            return True  # `_problems_of_onboardings` judges it
        if table == "sales:account" and self._conversions_unanswered:
            self._conversions_unanswered -= 1
            return True
        for number, body in enumerate(self._unanswered[table]):
            if not different({key: value for key, value in body.items() if key in row and value is not None}, row):
                del self._unanswered[table][number]
                return True
        return False

    def _problems_of_onboardings(self, after: Rows) -> Iterable[str]:
        onboardings = Counter(
            row["onboarding_deal_id"]
            for name, row in after.items()
            if name.startswith("service:ticket/") and row["onboarding_deal_id"]
        )
        cancelled = {
            row["onboarding_deal_id"]
            for name, row in after.items()
            if name.startswith("service:ticket/") and row.get("cancelled_at")
        }
        for deal, number in onboardings.items():
            if deal not in self.ever_won:
                yield f"an onboarding names deal {deal}, which no request won"
            if number > 1:
                yield f"deal {deal} has {number} onboardings"
            if f"sales:deal/{deal}" not in after and deal not in cancelled:
                yield f"the onboarding of deal {deal} is not cancelled, and there is no such deal"
        for name, row in after.items():
            if not name.startswith("sales:deal/"):
                continue
            is_open = row["id"] in onboardings and row["id"] not in cancelled
            if is_open != (row["stage"] == "won"):
                has = "an onboarding" if is_open else "no onboarding"
                yield f"{name} is {row['stage']} and has {has}"


def _problems_of_entry(name: str, entry: dict[str, Any], after: Rows) -> Iterable[str]:
    """An entry of the audit trail names a record that is there, and no version that it has not had."""
    table = entry["noun"].replace("-", "_")
    record = after.get(f"{name.partition(':')[0]}:{table}/{entry['record_id']}")
    if table not in PLUMBING and (record is None or record.get("version", 1) < (entry["version"] or 1)):
        yield f"{name} is about a change that is not there: {entry}"


def _problems_of_copies(after: Rows, ever_won: set[str], lost: set[str]) -> Iterable[str]:
    """Compare the copies in service with the originals in sales; of what sales lost, nothing is to count."""
    for name, row in after.items():
        if name.startswith("service:customer/") and row["origin"] == "sales":
            account = after.get(f"sales:account/{row['id']}")
            if account is None and row["id"] in lost:
                if row["registered_at"] is not None or row["name"] is not None:
                    yield f"{name} is of an account that was lost: {row}"
            elif account is None:
                yield f"{name} is no account"
            elif changed := different({key: account[key] for key in ("region", "segment", "merged_into")}, row):
                yield f"{name} differs from its account: {changed}"
        elif name.startswith("service:won_deal/"):
            deal = after.get(f"sales:deal/{row['id']}")
            if deal is None and row["id"] in lost:
                if row["won_at"] is not None:
                    yield f"{name} is of a deal that was lost: {row}"
            elif deal is None or row["id"] not in ever_won:
                yield f"{name} is a deal that no request won"
            elif not _same(row["won_at"], deal["closed_at"] if deal["stage"] == "won" else None):
                yield f"{name} was won at {row['won_at']}; its deal is {deal['stage']} since {deal['closed_at']}"
        elif name.startswith("sales:account/") and f"service:customer/{row['id']}" not in after:
            yield f"{name} is no customer of service"
        elif name.startswith("sales:deal/") and row["stage"] == "won" and f"service:won_deal/{row['id']}" not in after:
            yield f"{name} is won, and service does not know"


def different(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the fields of `one` that have another value in `other`, with both values."""
    return {key: (value, other.get(key)) for key, value in one.items() if not _same(value, other.get(key))}


def _same(one: Any, other: Any) -> bool:
    if one == other:
        return True
    if not isinstance(one, str | int | float) or not isinstance(other, str | int | float):
        # Lists and objects are in tables of their own, or in another form.
        return isinstance(one, list | dict) or isinstance(other, list | dict)
    try:
        return Decimal(str(one)) == Decimal(str(other))
    except InvalidOperation:
        pass
    try:
        return datetime.fromisoformat(str(one)) == datetime.fromisoformat(str(other))
    except (ValueError, TypeError):
        return False


def _table(noun: str) -> str:
    """Return the table of a noun in an address: `sla-policies`, `deals`."""
    singular = noun.removesuffix("ies") + "y" if noun.endswith("ies") else noun.removesuffix("s")
    return singular.replace("-", "_")
