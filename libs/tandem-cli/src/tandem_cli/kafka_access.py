"""What each process may do at Kafka: one table, the users of its rows, and the access rules (ACLs) that follow from it.

aiokafka has no request for users, and its requests for rules take one at a time; all are written out here, as
https://kafka.apache.org/protocol has them.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import ClusterAuthorizationFailedError, for_code
from aiokafka.protocol.admin import CreateAclsRequest_v1, DeleteAclsRequest_v1, DescribeAclsRequest_v1
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactBytes, CompactString, Int8, Int16, Int32, Schema, TaggedFields

from event_contracts.catalogue import (
    METRICS_TOPIC,
    SALES_DIRECTORY_TOPIC,
    SALES_TOPIC,
    SERVICE_DIRECTORY_TOPIC,
    SERVICE_TOPIC,
)
from event_contracts.watermark import watermarks_topic
from tandem_cli.problem import StackProblem

ITERATIONS: Final = 8192
"""Of a SCRAM password's hash; Kafka takes 4,096 to 16,384."""
SALT_BYTES: Final = 32
_SCRAM_SHA_512: Final = 2
_SECURITY_DISABLED: Final = 54
_ANY: Final = 1
_ALLOW: Final = 3


@dataclass(frozen=True)
class KafkaAccess:
    """What one process does at Kafka. Its user has the process's name."""

    writes: tuple[str, ...] = ()
    """Topics of its own service."""
    returns: tuple[str, ...] = ()
    """Topics of others that it writes dead letters back to, once an operator has decided to send them again."""
    reads: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    transactions: str | None = None
    """The prefix of its transactional ids."""


RELAYS: Final = "tandem-relay-"
PROCESSES: Final[Mapping[str, KafkaAccess]] = {
    "sales-relay": KafkaAccess(
        writes=(SALES_TOPIC, SALES_DIRECTORY_TOPIC, watermarks_topic(SALES_TOPIC)),
        returns=(SERVICE_TOPIC, METRICS_TOPIC),
        reads=(SALES_TOPIC, SALES_DIRECTORY_TOPIC),
        transactions=RELAYS,
    ),
    "service-relay": KafkaAccess(
        writes=(SERVICE_TOPIC, SERVICE_DIRECTORY_TOPIC, watermarks_topic(SERVICE_TOPIC)),
        returns=(SALES_TOPIC, SALES_DIRECTORY_TOPIC),
        reads=(SERVICE_TOPIC, SERVICE_DIRECTORY_TOPIC),
        transactions=RELAYS,
    ),
    "sales-consumer": KafkaAccess(reads=(SERVICE_TOPIC, METRICS_TOPIC), groups=("sales-consumer", "sales-timeline")),
    "service-consumer": KafkaAccess(
        reads=(SALES_TOPIC, SALES_DIRECTORY_TOPIC),
        groups=("service-customers", "service-customer-names", "service-timeline"),
    ),
    "metrics-consumer": KafkaAccess(
        reads=(
            *(SALES_TOPIC, SERVICE_TOPIC, SALES_DIRECTORY_TOPIC, SERVICE_DIRECTORY_TOPIC),
            *(watermarks_topic(SALES_TOPIC), watermarks_topic(SERVICE_TOPIC)),
        ),
        groups=("metrics-worker", "metrics-names"),
    ),
    "metrics-jobs": KafkaAccess(
        writes=(METRICS_TOPIC,),
        returns=(SALES_TOPIC, SERVICE_TOPIC, SALES_DIRECTORY_TOPIC, SERVICE_DIRECTORY_TOPIC),
        reads=(METRICS_TOPIC, SALES_TOPIC, SERVICE_TOPIC),
        groups=("metrics-webhooks",),
        transactions=RELAYS,
    ),
}
"""The processes that use Kafka. `metrics-verify` and `metrics-replay` read as metrics-consumer, and `sales-republish`
and its like read as the relay whose log they correct."""


def password_variable(process: str) -> str:
    """Return the environment variable with the password of a process's user: `SALES_RELAY_KAFKA_PASSWORD`."""
    return f"{process.upper().replace('-', '_')}_KAFKA_PASSWORD"


class Resource(IntEnum):
    """Kafka's numbers of resource types."""

    TOPIC = 2
    GROUP = 3
    TRANSACTIONAL_ID = 5


class Pattern(IntEnum):
    """Kafka's numbers of how a rule names its resource."""

    LITERAL = 3
    PREFIXED = 4


class Operation(IntEnum):
    """Kafka's numbers of operations. Reading and writing include describing."""

    READ = 3
    WRITE = 4


class Rule(NamedTuple):
    """One access rule, in the order of Kafka's requests. It allows, from any host."""

    resource: int
    name: str
    pattern: int
    principal: str
    host: str
    operation: int
    permission: int


def rules(process: str, access: KafkaAccess) -> set[Rule]:
    """Return the rules that let a process do what it does, and nothing else."""

    def allow(resource: Resource, name: str, operation: Operation, pattern: Pattern = Pattern.LITERAL) -> Rule:
        return Rule(resource, name, pattern, f"User:{process}", "*", operation, _ALLOW)

    allowed = {allow(Resource.TOPIC, topic, Operation.WRITE) for topic in (*access.writes, *access.returns)}
    allowed |= {allow(Resource.TOPIC, topic, Operation.READ) for topic in access.reads}
    allowed |= {allow(Resource.GROUP, group, Operation.READ) for group in access.groups}
    if access.transactions is not None:
        allowed.add(allow(Resource.TRANSACTIONAL_ID, access.transactions, Operation.WRITE, Pattern.PREFIXED))
    return allowed


async def apply_rules(admin: AIOKafkaAdminClient, processes: Mapping[str, KafkaAccess] = PROCESSES) -> tuple[int, int]:
    """Give each process's user its rules, and take all others from it. Return how many were added and removed.

    Raises StackProblem when Kafka refuses, for example because it has no authorizer.
    """
    added = removed = 0
    for process, access in processes.items():
        wanted, found = rules(process, access), await _rules_of(admin, process)
        # First what is missing: a running process keeps what it needs.
        if missing := sorted(wanted - found):
            created: Any = await admin._send_request(_CreateAcls(missing))
            _require_changed(created.creation_responses)
        if surplus := sorted(found - wanted):
            deleted: Any = await admin._send_request(_DeleteAcls(surplus))
            _require_changed(deleted.filter_responses)
        added, removed = added + len(missing), removed + len(surplus)
    return added, removed


async def _rules_of(admin: AIOKafkaAdminClient, process: str) -> set[Rule]:
    answer: Any = await admin._send_request(_DescribeAcls(f"User:{process}"))
    if answer.error_code == _SECURITY_DISABLED:
        raise StackProblem("Kafka has no access rules: set its authorizer.class.name, or leave users out.")
    if answer.error_code:
        raise StackProblem(f"Kafka did not list its access rules: {_reason(answer.error_code, answer.error_message)}")
    return {
        Rule(resource, name, pattern, *rule) for resource, name, pattern, of_it in answer.resources for rule in of_it
    }


async def set_passwords(admin: AIOKafkaAdminClient, passwords: Mapping[str, str]) -> None:
    """Create these users of SCRAM-SHA-512, or change their passwords. Raises StackProblem when Kafka refuses.

    Kafka gets salted hashes.
    """
    if not passwords:
        return
    answer: Any = await admin._send_to_controller(_AlterUserScramCredentials(passwords))
    for user, code, message, *_ in answer.results:
        if code:
            raise StackProblem(f"Kafka did not create user {user}: {_reason(code, message)}")


def _require_changed(outcomes: Sequence[Sequence[Any]]) -> None:
    for code, message, *_ in outcomes:
        if code:
            raise StackProblem(f"Kafka did not change its access rules: {_reason(code, message)}")


def _reason(code: int, message: str | None) -> str:
    if code == ClusterAuthorizationFailedError.errno:
        return "KAFKA_SASL_USERNAME is not allowed to."
    return message or for_code(code).__name__


class _DescribeAcls(Request[DescribeAclsRequest_v1]):
    API_KEY = 29

    def __init__(self, principal: str) -> None:
        self._principal = principal

    def build(self, request_struct_class: type[DescribeAclsRequest_v1]) -> DescribeAclsRequest_v1:
        return request_struct_class(_ANY, None, _ANY, self._principal, None, _ANY, _ANY)


class _CreateAcls(Request[CreateAclsRequest_v1]):
    API_KEY = 30

    def __init__(self, wanted: Iterable[Rule]) -> None:
        self._wanted = list(wanted)

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        return request_struct_class([tuple(rule) for rule in self._wanted])


class _DeleteAcls(Request[DeleteAclsRequest_v1]):
    API_KEY = 31

    def __init__(self, unwanted: Iterable[Rule]) -> None:
        self._unwanted = list(unwanted)

    def build(self, request_struct_class: type[DeleteAclsRequest_v1]) -> DeleteAclsRequest_v1:
        return request_struct_class([tuple(rule) for rule in self._unwanted])


class _AlterUserScramCredentialsResponse(Response):
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterUserScramCredentialsRequestV0(RequestStruct):
    API_KEY = 51
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _AlterUserScramCredentialsResponse
    SCHEMA = Schema(
        ("deletions", CompactArray(("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields))),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterUserScramCredentials(Request[_AlterUserScramCredentialsRequestV0]):
    API_KEY = 51

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = passwords

    def build(
        self, request_struct_class: type[_AlterUserScramCredentialsRequestV0]
    ) -> _AlterUserScramCredentialsRequestV0:
        upsertions: list[tuple[Any, ...]] = []
        for user, password in self._passwords.items():
            salt = secrets.token_bytes(SALT_BYTES)
            salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
            upsertions.append((user, _SCRAM_SHA_512, ITERATIONS, salt, salted, {}))
        return request_struct_class([], upsertions, {})
