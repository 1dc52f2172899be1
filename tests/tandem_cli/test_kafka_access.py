"""A secured Kafka: clients are encrypted and signed in, and each process's user may do what the table says, no more."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from typer.testing import CliRunner

from event_contracts.watermark import watermarks_topic
from metrics_worker.api.dead_letters import CONSUMERS
from metrics_worker.jobs import webhook_feed
from metrics_worker.ledger import consumer as ledger
from metrics_worker.ledger import directory
from metrics_worker.ledger.tables import CONSUMER
from metrics_worker.webhooks.model import FEED
from sales_api import from_service
from sales_api import timeline as sales_timeline
from service_api import timeline as service_timeline
from service_api.customers import from_sales
from service_kit import relay
from service_kit.consumer.log_identity import TopicsMissing
from service_kit.kafka import KafkaServers
from service_kit.settings import KafkaSettings
from tandem_cli.app import app
from tandem_cli.kafka import EmbeddedKafka, set_up_users, standard_topics
from tandem_cli.kafka_access import PROCESSES, KafkaAccess, apply_rules, password_variable
from tandem_cli.problem import StackProblem
from tandem_cli.server_security import ServerSecurity
from tandem_cli.system import TANDEM
from tests.certificates import Authority
from tests.support import Kafka, eventually

pytestmark = pytest.mark.integration

PASSWORDS = {process: f"password of {process}" for process in PROCESSES}
TOPICS = [topic.name for topic in standard_topics()]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[EmbeddedKafka]:
    security = ServerSecurity(authority.issue("127.0.0.1"), authority.ca_pem, "the admin's password")
    broker = EmbeddedKafka(tmp_path_factory.mktemp("kafka"), security=security)
    broker.start()
    broker.create_topics(standard_topics(1))
    set_up_users(broker.clients, PASSWORDS)
    yield broker
    broker.stop()


def as_process(broker: EmbeddedKafka, process: str) -> KafkaServers:
    return broker.clients_as(process, PASSWORDS[process])


async def may_write(kafka: KafkaServers, topic: str) -> bool:
    producer = kafka.fencing_producer(f"{relay.PRODUCER}test", acks="all", enable_idempotence=True)
    try:
        await producer.start()
        with suppress(TopicsMissing):
            # Kafka hides from a user the topics that it may do nothing with.
            producer.send_only_to((await kafka.identify([topic])).topics)
        await producer.send_and_wait(topic, b"", key=b"")
    except (TopicAuthorizationFailedError, TransactionalIdAuthorizationFailed):
        return False
    finally:
        await producer.stop()
    return True


async def may_read(kafka: KafkaServers, topic: str) -> bool:
    try:
        await kafka.identify([topic])
    except Exception as error:
        assert "TopicsMissing" in repr(error) or "Authorization" in repr(error)  # noqa: PT017
        return False
    consumer = kafka.consumer(auto_offset_reset="earliest")
    try:
        await consumer.start()
        consumer.subscribe([topic])
        await consumer.getmany(timeout_ms=500)
    except TopicAuthorizationFailedError:
        return False
    finally:
        await consumer.stop()
    return True


def test_every_process_that_uses_kafka_is_in_the_table() -> None:
    assert set(PROCESSES) == {program.name for program in TANDEM.programs if program.needs_kafka}


def test_the_table_names_what_the_code_uses() -> None:
    assert PROCESSES["sales-consumer"].groups == (from_service.CONSUMER, sales_timeline.CONSUMER)
    assert PROCESSES["sales-consumer"].reads == from_service.TOPICS
    assert PROCESSES["service-consumer"].groups == (from_sales.ACCOUNTS, from_sales.NAMES, service_timeline.CONSUMER)
    assert PROCESSES["metrics-consumer"].groups == (CONSUMER, directory.NAMES)
    watermarks = {watermarks_topic(topic) for topic in ledger.TOPICS}
    assert set(PROCESSES["metrics-consumer"].reads) == {*ledger.TOPICS, *directory.TOPICS, *watermarks}
    written = {topic for process in PROCESSES.values() for topic in process.writes}
    assert written == {topic.name for topic in standard_topics()}
    assert watermarks < written
    assert PROCESSES["metrics-jobs"].groups == (FEED,)
    every_group = {*PROCESSES["metrics-jobs"].groups, *PROCESSES["metrics-consumer"].groups}
    assert every_group == set(CONSUMERS), "dead letters of every group are listed"
    assert set(PROCESSES["metrics-jobs"].reads) >= set(webhook_feed.SOURCES)
    for process in ("sales-relay", "service-relay", "metrics-jobs"):
        assert PROCESSES[process].transactions == relay.PRODUCER


@pytest.mark.parametrize("process", PROCESSES)
async def test_a_process_writes_its_own_topics_only(broker: EmbeddedKafka, process: str) -> None:
    access, kafka = PROCESSES[process], as_process(broker, process)
    written = {topic for topic in TOPICS if await may_write(kafka, topic)}
    assert written == {*access.writes, *access.returns}
    # Only a relay writes at all, and to a topic of another service only what that service's readers could not take.
    assert {topic.partition(".")[0] for topic in access.writes} <= {process.partition("-")[0]}


@pytest.mark.parametrize("process", PROCESSES)
async def test_a_process_reads_what_it_consumes_only(broker: EmbeddedKafka, process: str) -> None:
    kafka = as_process(broker, process)
    assert {topic for topic in TOPICS if await may_read(kafka, topic)} == set(PROCESSES[process].reads)


async def test_a_process_joins_its_own_groups_only(broker: EmbeddedKafka) -> None:
    consumer = as_process(broker, "metrics-consumer").consumer(group_id="service-customers")
    await consumer.start()
    consumer.subscribe(["sales.events"])
    try:
        with pytest.raises(GroupAuthorizationFailedError):
            await eventually(lambda: consumer.getmany(timeout_ms=200), 10)
    finally:
        await consumer.stop()


async def test_a_wrong_password_is_refused(broker: EmbeddedKafka) -> None:
    with pytest.raises(KafkaConnectionError):
        await broker.clients_as("sales-relay", "another").identify(["sales.events"])


async def test_who_does_not_encrypt_or_sign_in_is_refused(broker: EmbeddedKafka) -> None:
    with pytest.raises(KafkaConnectionError):
        await KafkaServers(broker.bootstrap_servers).identify(["sales.events"])


@pytest.mark.parametrize("fault", ["authority", "name"])
async def test_a_broker_that_cannot_be_verified_is_not_spoken_to(
    broker: EmbeddedKafka, authority: Authority, tmp_path: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert broker.security is not None
    named = broker.settings_of("sales-relay", PASSWORDS["sales-relay"])
    if fault == "authority":
        named["kafka_ssl_ca_file"] = str(Authority(tmp_path, "another").ca_pem)
    else:
        named["kafka_bootstrap_servers"] = f"localhost:{broker.port}"
    with pytest.raises(KafkaConnectionError):
        await KafkaServers.of(KafkaSettings(**named)).identify(["sales.events"])
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text


def test_a_file_that_holds_no_certificate_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    settings = KafkaSettings(kafka_security_protocol="SSL", kafka_ssl_ca_file=tmp_path / "ca.pem")
    with pytest.raises(ssl.SSLError):
        KafkaServers.of(settings)


async def test_rules_that_are_not_in_the_table_are_taken_away(broker: EmbeddedKafka) -> None:
    process = "sales-relay"
    other = dict(PROCESSES) | {process: KafkaAccess(writes=("service.directory",))}
    admin = broker.clients.admin()
    await admin.start()
    try:
        added, removed = await apply_rules(admin, other)
        assert (added, removed) == (1, 8)
        assert await apply_rules(admin) == (8, 1)
        assert await apply_rules(admin) == (0, 0)
    finally:
        await admin.close()
    await eventually(lambda: _writes(broker, process, "sales.events"), 10)
    assert not await may_write(as_process(broker, process), "service.directory")


async def _writes(broker: EmbeddedKafka, process: str, topic: str) -> bool:
    return await may_write(as_process(broker, process), topic)


def test_the_job_may_be_run_again_and_changes_passwords(broker: EmbeddedKafka) -> None:
    assert broker.security is not None
    environment = {
        name.upper(): value
        for name, value in broker.settings_of("admin", broker.security.admin_password, mechanism="PLAIN").items()
    }
    changed = {password_variable("metrics-jobs"): "changed"}
    result = CliRunner().invoke(app, ["prepare-kafka"], env=environment | changed)
    assert result.exit_code == 0, result.output
    assert "users: metrics-jobs\naccess rules: 0 added, 0 removed" in result.output
    assert "changed" not in result.output
    with pytest.raises(KafkaConnectionError):
        asyncio.run(as_process(broker, "metrics-jobs").identify(["metrics.events"]))
    asyncio.run(broker.clients_as("metrics-jobs", "changed").identify(["metrics.events"]))
    set_up_users(broker.clients, PASSWORDS)


def test_a_process_cannot_give_itself_rights(broker: EmbeddedKafka) -> None:
    with pytest.raises(StackProblem, match="not allowed"):
        set_up_users(as_process(broker, "sales-relay"), {})


def test_without_sasl_the_job_creates_topics_only(kafka: Kafka) -> None:
    result = CliRunner().invoke(
        app, ["prepare-kafka", "--partitions", "6"], env={"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
    )
    assert result.exit_code == 0, result.output
    assert "users and access rules: none" in result.output


def test_rules_need_an_authorizer(kafka: Kafka) -> None:
    with pytest.raises(StackProblem, match="authorizer"):
        set_up_users(KafkaServers(kafka.bootstrap_servers), {})
