"""The second half of the oracle: whatever changed in the sources is explained by the recorded requests, and no more.

Source, log and ledger may agree on a ticket never opened. So all records of both services are compared with those
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
COPIES = {"customer", "won_deal", "risk_task", "taken_suggestion", "suggested_sale"}
"""Tables that only a consumer writes, from events."""
SUGGESTIONS = "service:upsell_suggestion"
"""Their versions count what became of them in sales too."""
AT_RISK = "customer-at-risk"
"""The purpose of activities that the consumer of sales plans."""
OF_CONTACTS = ("kind", "priority", "region", "segment", "product")
"""What contacts have from their ticket: one that is corrected in these publishes an event more for each contact."""
OF_SURVEYS = {
    "ticket_kind": "kind",
    "channel": "channel",
    "priority": "priority",
    "region": "region",
    "segment": "segment",
    "product": "product",
}
"""What surveys have from their ticket, by their own names: each follows a correction by an event of its own."""
OF_POLICY = ("kind", "priority")
"""What decides which SLA policy a ticket is under: whatever was late under another one is found anew."""
BREACHES = ("first_response_breached_at", "resolution_breached_at")
LIVE_CHANNELS = ("phone", "chat", "in_person")
"""On these a person answers as soon as they take a contact."""


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
    more: int = 0
    """Versions that the answers do not show, since a request made several: a first response, corrected contacts."""
    maybe: int = 0
    """Versions that requests without an answer may have made."""
    newest: dict[str, Any] = field(default_factory=dict)
    """The answer that shows its highest version."""
    contacts: int = 0
    maybe_contacts: int = 0
    """Of a ticket: its contacts, and those that requests without an answer may have logged."""
    replied: bool = False
    """Of a ticket: whether a person answered its customer in one of them."""
    follows: dict[str, Any] = field(default_factory=dict)
    """Of a survey: what it has from its ticket."""


class Explanation:
    """What the requests explain. What the `lost` ones did was published, and then lost by the source in a restore."""

    def __init__(self, before: Rows, requests: Iterable[Request], *, lost: Iterable[Request] = ()) -> None:
        self._before = before
        self._expected: defaultdict[str, Expected] = defaultdict(Expected)
        self._unanswered: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        """By service and table, the bodies of creations that may have happened."""
        self._conversions_unanswered = 0
        self._suggestions_lost = 0
        """Suggestions that requests without an answer may have made, which service lost then."""
        self._contacts_before = Counter(
            row["ticket_id"] for name, row in before.items() if name.startswith("service:interaction/")
        )
        self._surveys: defaultdict[str, dict[str, None]] = defaultdict(dict)
        """The names of the surveys of each ticket, by its id."""
        for name, row in before.items():
            if name.startswith("service:survey/"):
                self._add_survey(name, row)
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
            elif request.path == "/v1/upsell-suggestions" and request.may_have_happened:
                self._suggestions_lost += 1

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
                    if table == "survey":
                        self._add_survey(f"{request.api}:{table}/{request.answer['id']}", request.answer)
            else:
                self._unanswered[f"{request.api}:{table}"].append(request.body or {})
            return
        subject, verb = f"{request.api}:{table}/{rest[0]}", rest[1] if len(rest) > 1 else ""
        if verb == "close" and table == "deal" and (request.body or {}).get("outcome") == "won":
            self.ever_won.add(rest[0])
        is_correction = request.method == "PATCH" and table == "ticket"
        if not request.answered:
            self._add_unanswered(request, subject, verb, is_correction=is_correction)
        elif verb == "interactions":
            self._note("service", "interaction", request.answer, created=True)
            self._add_contact(subject, request.answer)
        else:
            if is_correction:
                self._add_correction(subject, request.body or {}, request.answer)
            self._note(request.api, table, request.answer)
            if verb == "convert":
                self._registered.add(request.answer["account_id"])

    def _add_unanswered(self, request: Request, subject: str, verb: str, *, is_correction: bool) -> None:
        expected = self._expected[subject]
        if verb == "interactions":
            self._unanswered["service:interaction"].append(request.body or {})
            # The contact, and the response.
            expected.maybe += 2
            expected.maybe_contacts += 1
        elif is_correction:
            expected.maybe += 1 + self._contacts_before[_id_in(subject)] + expected.contacts + expected.maybe_contacts
            for survey in self._surveys[_id_in(subject)]:
                self._expected[survey].maybe += 1
        else:
            expected.maybe += 1
        self._conversions_unanswered += verb == "convert"

    def _add_survey(self, name: str, survey: dict[str, Any]) -> None:
        self._surveys[survey["ticket_id"]][name] = None
        self._expected[name].follows = {key: survey[key] for key in OF_SURVEYS}

    def _add_contact(self, ticket: str, contact: dict[str, Any]) -> None:
        """A contact makes a version of its ticket, and the first reply to the customer another one."""
        expected = self._expected[ticket]
        expected.versions.add(contact["ticket_version"])
        expected.contacts += 1
        answers = contact["direction"] == "outbound" or contact["channel"] in LIVE_CHANNELS
        if contact["agent_id"] is not None and contact["visibility"] == "public" and answers:
            had_response = self._before.get(ticket, {}).get("first_responded_at") is not None
            expected.more += not expected.replied and not had_response
            expected.replied = True

    def _add_correction(self, ticket: str, body: dict[str, Any], corrected: dict[str, Any]) -> None:
        """A correction makes a version of the ticket, and more where it changes what others follow from.

        These are one for each target that was missed, one for each contact, and one of each survey. The requests for a
        ticket are sent one after another.
        """
        expected = self._expected[ticket]
        previous = expected.newest or self._before[ticket]
        if corrected["version"] not in expected.versions and not different(body, previous):
            # The same again makes none, whatever its answer says.
            expected.more -= 1
        if any(corrected[name] != previous[name] for name in OF_POLICY):
            expected.more += sum(corrected[name] is not None for name in BREACHES)
        if any(corrected[name] != previous[name] for name in OF_CONTACTS):
            expected.more += self._contacts_before[corrected["id"]] + expected.contacts
            expected.maybe += expected.maybe_contacts
        for name in self._surveys[corrected["id"]]:
            survey, follows = self._expected[name], {key: corrected[of] for key, of in OF_SURVEYS.items()}
            survey.more += survey.follows != follows
            survey.follows = follows

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
            elif table not in COPIES and row.get("purpose") != AT_RISK:
                found += self._problems_of(name, row)
        return (
            found
            + list(_problems_of_copies(after, self.ever_won, self.lost))
            + list(self._problems_of_onboardings(after))
            + list(_problems_of_tasks(after))
            + list(self._problems_of_suggestions(after))
        )

    def _problems_of(self, name: str, row: dict[str, Any]) -> Iterable[str]:
        before, expected = self._before.get(name), self._expected.get(name, Expected())
        if before is None and not expected.created and not self._is_derived(name, row):
            yield f"{name} was created by no request: {row}"
            return
        if before is not None and not expected.versions and not expected.more and not expected.maybe:
            if before != row:
                yield f"{name} was changed by no request: {different(before, row)}"
            return
        # These change with what they follow from in sales.
        is_followed = name.startswith(SUGGESTIONS) or row.get("onboarding_deal_id")
        if "version" in row and not is_followed:
            # A record that came with another one, or by a request without an answer, has its first version by that.
            made = len(expected.versions) + expected.more
            least = (before["version"] if before else int(not expected.created)) + made
            most = least + expected.maybe
            # What came of requests without an answer may be in later answers.
            least = max(least, *expected.versions, 0)
            if not least <= row["version"] <= most:
                yield f"{name} has version {row['version']}; by the requests, {least} to {most}"
        if not expected.maybe and (changed := different(expected.follows, row)):
            yield f"{name} differs from its ticket: {changed}"
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
        if table == "sales:lead" and row["upsell_suggestion_id"] is not None:
            return True  # `_problems_of_suggestions` judges it
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

    def _problems_of_suggestions(self, after: Rows) -> Iterable[str]:
        """Each suggestion has one lead, of its customer and as old as it is; and each such lead has a suggestion."""
        leads = defaultdict(list)
        for name, row in after.items():
            if name.startswith("sales:lead/") and row["upsell_suggestion_id"] is not None:
                leads[row["upsell_suggestion_id"]].append(row)
        lost_unanswered = self._suggestions_lost
        for suggestion in leads.keys() - {_id_in(name) for name in after if name.startswith(SUGGESTIONS)}:
            if suggestion not in self.lost:
                if not lost_unanswered:
                    yield f"leads name the suggestion {suggestion}, which is not there: {leads[suggestion]}"
                lost_unanswered -= 1
        for name, row in after.items():
            if not name.startswith(SUGGESTIONS):
                continue
            of_it = leads[row["id"]]
            if len(of_it) != 1:
                yield f"{name} has {len(of_it)} leads"
                continue
            [lead] = of_it
            wanted = {"account_id": row["customer_id"], "product": row["product"], "created_at": row["suggested_at"]}
            if changed := different(wanted, lead):
                yield f"the lead of {name} differs from it: {changed}"
            taken = after.get(f"sales:taken_suggestion/{row['id']}", {})
            if taken.get("lead_id") != lead["id"]:
                yield f"{name} was taken up by {taken}, and its lead is {lead['id']}"
            if (row["outcome"], row["lead_id"]) != (lead["status"], lead["id"]):
                yield f"{name} shows {row['outcome']} of {row['lead_id']}; its lead is {lead}"
            if (sale := after.get(f"service:suggested_sale/{lead['id']}", {})).get("suggestion_id") != row["id"]:
                yield f"{name} has no copy of its lead, but {sale}"


def _problems_of_tasks(after: Rows) -> Iterable[str]:
    """A customer at risk has one task that is to be done, and every risk comes of a ticket."""
    newest = {row["activity_id"]: row["id"] for name, row in after.items() if name.startswith("sales:risk_task/")}
    tasks = {row["id"]: row for name, row in after.items() if row.get("purpose") == AT_RISK}
    served = {row.get("customer_id") for name, row in after.items() if name.startswith("service:ticket/")}
    for task, customer in newest.items():
        if task not in tasks:
            yield f"the task {task} of customer {customer} is not there"
        if customer not in served:
            yield f"customer {customer} has a task and had no ticket"
    for task, row in tasks.items():
        if row["status"] == "planned" and task not in newest:
            yield f"the task {task} is to be done, and its customer has another one: {row}"


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


def _id_in(name: str) -> str:
    return name.partition("/")[2]


def _table(noun: str) -> str:
    """Return the table of a noun in an address: `sla-policies`, `deals`."""
    singular = noun.removesuffix("ies") + "y" if noun.endswith("ies") else noun.removesuffix("s")
    return singular.replace("-", "_")
