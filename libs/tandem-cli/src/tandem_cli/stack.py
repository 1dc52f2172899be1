"""The local stack: PostgreSQL, Kafka and every process of the system, started together, watched, stopped in order."""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import psutil

from service_kit.settings import DatabaseSettings, KafkaSettings, Settings
from tandem_cli.data_dir import DataDir, Part, Running
from tandem_cli.issuer import AUDIENCE, ISSUER, Issuer
from tandem_cli.kafka import EmbeddedKafka, ExternalKafka, set_up_users, standard_topics
from tandem_cli.kafka_access import PROCESSES
from tandem_cli.ports import LOOPBACK, Ports, RememberedPorts, require_free
from tandem_cli.postgres import EmbeddedPostgres, ExternalPostgres
from tandem_cli.preloader import SUPPORTED, Preloader
from tandem_cli.problem import StackProblem
from tandem_cli.processes import SupervisedProcess, ending
from tandem_cli.server_security import ServerSecurity
from tandem_cli.sign_in import STAFF, Person, people_of, records
from tandem_cli.start_limit import STALL_SECONDS
from tandem_cli.system import DATABASES, TANDEM, Program, System, require_scripts

PARTITIONS = 6
DEVELOPMENT_ORIGINS = tuple(
    # Of create-react-app and Next.js, of Vite's two servers, of Angular's and of most others.
    f"http://{host}:{port}"
    for port in (3000, 4173, 4200, 5173, 8080)
    for host in ("localhost", LOOPBACK)
)
"""Where frontends are served while they are written."""


@dataclass(frozen=True)
class External:
    """Servers that run elsewhere, in place of the embedded ones.

    `databases` maps sales, service and metrics to the URL of a database; `server` is the URL of a server on which
    those that are not named so are made.
    """

    databases: Mapping[str, str] = field(default_factory=dict)
    server: str | None = None
    kafka: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return what SALES_DATABASE_URL, SERVICE_…, METRICS_…, DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS name."""
        named = {name: environment.get(f"{name.upper()}_DATABASE_URL") for name in DATABASES}
        return cls(
            databases={name: url for name, url in named.items() if url},
            server=environment.get("DATABASE_URL") or None,
            kafka=environment.get("KAFKA_BOOTSTRAP_SERVERS") or None,
        )


class Listener:
    """Gets what happens in a stack, from several threads. This one ignores it."""

    def line(self, name: str, text: str) -> None:
        """A process printed a line."""

    def state(self, name: str, state: str) -> None:
        """A part is `starting`, `ready`, `done` (a migration), `stopping` or `stopped`."""

    def jars(self, done: int, total: int) -> None:
        """`done` of `total` of Kafka's jars are there."""


class LocalStack:
    """The whole system on one machine, with its data in `data_dir`.

    `env_overrides` are environment variables for every process, over those that the stack sets; `postgres_options`
    are server settings. `security` secures the embedded servers. `system` is what to run; another one takes its place
    in tests. `stall_seconds` is how long a start may make no progress: a server's that logs nothing, a process' that is
    not ready. Raises StackProblem, in plain words, for what a person can mend.
    """

    def __init__(
        self,
        data_dir: Path,
        ports: Ports | None = None,
        *,
        env_overrides: Mapping[str, str] | None = None,
        external: External | None = None,
        listener: Listener | None = None,
        system: System = TANDEM,
        postgres_options: Mapping[str, str] | None = None,
        heap_mb: int = 256,
        security: ServerSecurity | None = None,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self.data = DataDir(data_dir)
        self.ports = ports or Ports()
        self._remembered = remembered = RememberedPorts(self.data.path / "ports.json")
        self.system = system
        self.env_overrides = dict(env_overrides or {})
        self.listener = listener or Listener()
        self.processes: dict[str, SupervisedProcess] = {}
        self.urls: dict[str, str] = {}
        external = external or External()
        self._external_databases = external.databases
        self.postgres: EmbeddedPostgres | ExternalPostgres | None = None
        if external.server:
            self.postgres = ExternalPostgres(external.server)
        elif set(DATABASES) - set(external.databases):
            self.postgres = EmbeddedPostgres(
                self.data.path / "postgres",
                self.ports.postgres,
                choose_port=lambda: remembered.choose("postgres"),
                options=postgres_options,
                stall_seconds=stall_seconds,
                security=security,
            )
        self.kafka: EmbeddedKafka | ExternalKafka = (
            ExternalKafka(external.kafka)
            if external.kafka
            else EmbeddedKafka(
                self.data.path / "kafka",
                self.ports.kafka,
                choose_port=lambda: remembered.choose("kafka"),
                heap_mb=heap_mb,
                partitions=PARTITIONS,
                progress=self._jars,
                security=security,
                stall_seconds=stall_seconds,
            )
        )
        self._stall_seconds = stall_seconds
        self._preloader: Preloader | None = None
        self._migrations: list[SupervisedProcess] = []
        self._stopping = Event()
        self._issuer: Issuer | None = None
        self._issuer_server: ThreadingHTTPServer | None = None
        self.issuer_url = ""

    @property
    def bootstrap_servers(self) -> str:
        return self.kafka.bootstrap_servers

    def database_url(self, database: str) -> str:
        """The `postgresql+asyncpg://` URL of sales, service or metrics."""
        if database in self._external_databases:
            return ExternalPostgres(self._external_databases[database]).server_url
        assert self.postgres is not None  # noqa: S101 - there is one unless every database is given
        return self.postgres.url(database)

    def token(self, *roles: str, subject: str = "local-user", lifetime: timedelta = timedelta(hours=12)) -> str:
        """A bearer token of the local issuer in these roles."""
        return self._local_issuer().token(roles, subject=subject, lifetime=lifetime)

    def start(self) -> None:
        """Start everything, each part as soon as what it needs is there; return when all are ready."""
        require_scripts(self.system)
        self._stopping.clear()
        self.data.claim()
        try:
            self._require_ports()
            self._write_state()
            self.issuer_url = f"http://{LOOPBACK}:{self.ports.issuer or self._remembered.choose('issuer')}"
            self._start_preloader()
            self.processes = {program.name: self._process(program) for program in self.system.programs}
            self._start_issuer()
            self._remembered.keep()
            self._start_parts()
            self._write_state()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the processes, then Kafka, then PostgreSQL, and give the data directory back. May be called again."""
        self._stopping.set()
        with ThreadPoolExecutor(max_workers=max(1, len(self.processes) + len(self._migrations))) as pool:
            list(pool.map(self._stop_process, [*self.processes.values(), *self._migrations]))
        if self._issuer_server is not None:
            self._issuer_server.shutdown()
            self._issuer_server.server_close()
            self._issuer_server = None
        if self._preloader is not None:
            self._preloader.stop()
        for name, server in self._embedded().items():
            if server.running:
                self.listener.state(name, "stopping")
                server.stop()
                self.listener.state(name, "stopped")
        self.data.release()

    def kill_all(self) -> None:
        """End every process at once; a `stop` that waits for them goes on."""
        for part in self._parts():
            with suppress(ProcessLookupError):
                os.kill(part.pid, signal.SIGKILL)

    def check(self) -> None:
        """Raise StackProblem when a part has ended unexpectedly."""
        for process in self.processes.values():
            if process.died() and not self._stopping.is_set():
                raise self._death(process.name, process.wait(), list(process.last_lines))
        for name, server in self._embedded().items():
            if (code := server.unexpected_end()) is not None:
                raise self._death(name, code, server.last_words())

    def wait(self, until: Callable[[], bool] = lambda: False) -> None:
        """Watch until `until` returns True. Raise StackProblem as soon as a part ends unexpectedly."""
        while not until():
            self.check()
            time.sleep(0.2)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a process a signal: SIGKILL (then it is gone when this returns), SIGTERM, SIGSTOP, SIGCONT."""
        self.processes[name].send(number)

    def restart(self, name: str, *, env_overrides: Mapping[str, str] | None = None, wait: bool = True) -> None:
        """Stop a process if it runs, and start it again on the same port.

        `env_overrides` replace variables of its environment from now on; `wait` False returns before it is ready.
        """
        process = self.processes[name]
        process.stop()
        process.env.update(env_overrides or {})
        process.start()
        self._write_state()
        if wait:
            self._await_ready(process)

    def add(self, program: Program, *, env_overrides: Mapping[str, str] | None = None) -> None:
        """Start one more process, such as a second consumer (`Program.another`), and wait until it is ready."""
        process = self.processes[program.name] = self._process(program)
        process.env.update(env_overrides or {})
        process.start()
        self._write_state()
        self._await_ready(process)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_parts(self) -> None:
        migrations = self.system.migrations
        pool = ThreadPoolExecutor(max_workers=2 + len(migrations) + len(self.processes))
        try:
            postgres = pool.submit(self._start_postgres)
            kafka = pool.submit(self._start_kafka)
            migrated = {name: pool.submit(self._migrate, name, postgres) for name in migrations}
            started: list[Future[None]] = []
            for process in self.processes.values():
                needs = [migrated.get(process.program.database, postgres)]
                if process.program.needs_kafka:
                    needs.append(kafka)
                started.append(pool.submit(self._start_process, process, needs))
            for finished in as_completed([postgres, kafka, *migrated.values(), *started]):
                finished.result()
        except BaseException:
            self.stop()  # ends what the other threads wait for
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _start_preloader(self) -> None:
        if not (SUPPORTED and self.system.preload):
            return
        self._preloader = Preloader(self.system.preload, self.data.path / "logs" / "preloader.log")
        # What an interpreter reads only once, when it starts, must be there already.
        self._preloader.start({**os.environ, **self._interpreter_environment()})

    def _start_issuer(self) -> None:
        """Serve the issuer in this process, where people sign in to the dashboard."""
        port = urlsplit(self.issuer_url).port or 0
        dashboard = self.urls.get("metrics", "")
        issuer = self._local_issuer()
        # The services know its keys as a file, and tokens by a name that no port changes.
        self._issuer_server = issuer.server(port, dashboard=dashboard, people=self._people, names_itself=False)
        Thread(target=self._issuer_server.serve_forever, name="issuer", daemon=True).start()

    def _people(self) -> list[Person]:
        """Return who may sign in: the staff, and the salespeople and agents that the services have."""
        reps, agents = (
            records(self.urls[api], path, self.token("admin"))
            for api, path in (("sales", "/v1/reps"), ("service", "/v1/agents"))
        )
        return [*STAFF, *people_of(reps, agents)]

    def _start_postgres(self) -> None:
        if self.postgres is None:
            return
        if isinstance(self.postgres, EmbeddedPostgres):
            self.listener.state("postgresql", "starting")
            self.postgres.start()
            self.postgres.create_roles({program.role for program in self.system.programs})
            self.listener.state("postgresql", "ready")
        for name in DATABASES:
            if name not in self._external_databases:
                self.postgres.create_database(name)

    def _start_kafka(self) -> None:
        if isinstance(self.kafka, EmbeddedKafka):
            self.listener.state("kafka", "starting")
            self.kafka.start()
        self.kafka.create_topics(standard_topics(PARTITIONS))
        if isinstance(self.kafka, EmbeddedKafka) and self.kafka.security is not None:
            set_up_users(self.kafka.clients, {process: self.kafka.password_of(process) for process in PROCESSES})
        self.listener.state("kafka", "ready")

    def _migrate(self, database: str, postgres: Future[None]) -> None:
        postgres.result()
        if self._stopping.is_set():
            return
        name = f"{database}-migrate"
        program = Program(name, tuple(self.system.migrations[database]), database)
        process = self._process(program)
        self._migrations.append(process)
        self.listener.state(name, "starting")
        process.start()
        code = process.wait()
        process.expected_to_run = False
        if code == 0:
            self.listener.state(name, "done")
        elif not self._stopping.is_set():
            raise self._death(name, code, list(process.last_lines))

    def _start_process(self, process: SupervisedProcess, needs: Sequence[Future[None]]) -> None:
        for need in needs:
            need.result()
        if self._stopping.is_set():
            return
        self.listener.state(process.name, "starting")
        process.start()
        self._await_ready(process)
        self.listener.state(process.name, "ready")

    def _await_ready(self, process: SupervisedProcess) -> None:
        deadline = time.monotonic() + self._stall_seconds
        while not process.ready():
            if self._stopping.is_set():
                return
            if process.died():
                raise self._death(process.name, process.wait(), list(process.last_lines))
            if time.monotonic() > deadline:
                raise StackProblem(
                    f"{process.name} was not ready within {self._stall_seconds:.0f} s; its last lines: "
                    + _quote(list(process.last_lines))
                )
            time.sleep(0.05)

    def _stop_process(self, process: SupervisedProcess) -> None:
        if process.running:
            self.listener.state(process.name, "stopping")
            in_time = process.stop()
            self.listener.state(process.name, "stopped" if in_time else "killed, for it did not stop in time")

    def _process(self, program: Program) -> SupervisedProcess:
        given: int | None = getattr(self.ports, program.api) if program.api else None
        port = given or self._remembered.choose(program.name)
        private: dict[str, str] = {}
        if program.api:
            self.urls[program.api] = f"http://{LOOPBACK}:{port}"
            # Not at the public port, here as in production.
            private["PROMETHEUS_PORT"] = str(self._remembered.choose(f"{program.name} metrics"))
        return SupervisedProcess(
            program,
            {**self._environment(program, port), **private, **self.env_overrides},
            port,
            self.data.path / "logs" / f"{program.name}.log",
            self.listener.line,
            self._preloader,
        )

    def _environment(self, program: Program, port: int) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            # PostgreSQL's own variables would change how the processes connect to the embedded server.
            if not (name.startswith("PG") and isinstance(self.postgres, EmbeddedPostgres))
        }
        return {
            "LOG_LEVEL": "info",
            "CORS_ORIGINS": ",".join((*DEVELOPMENT_ORIGINS, *self._dashboard_origins())),
            # The two APIs come first: the links of metrics-api lead to them.
            **{f"{api.upper()}_API_URL": url for api, url in self.urls.items()},
            **inherited,
            **self._database_environment(program),
            **self._kafka_environment(program),
            "HTTP_HOST": LOOPBACK,
            "HTTP_PORT": str(port),
            "API_DOCS": "true",
            "AUTH_ISSUER": ISSUER,
            "AUTH_AUDIENCE": AUDIENCE,
            "AUTH_JWKS": self._local_issuer().jwks_url,
            "DASHBOARD_ISSUER": self.issuer_url,
            "LOG_FORMAT": "console",
            "SURVEY_LINK_SECRET": self.data.secret("survey-link-secret"),
            "REPORTING_CURRENCY": os.environ.get("REPORTING_CURRENCY", "EUR"),
            "REPORTING_TIMEZONE": os.environ.get("REPORTING_TIMEZONE", "UTC"),
            **self._interpreter_environment(),
        }

    def _database_environment(self, program: Program) -> dict[str, str]:
        if program.database in self._external_databases or not isinstance(self.postgres, EmbeddedPostgres):
            return {"DATABASE_URL": self.database_url(program.database)}
        # Migrations are the owner's; every other process has a role of its own.
        role = None if program.command in self.system.migrations.values() else program.role
        settings = {"DATABASE_URL": self.postgres.url(program.database, role)}
        if (security := self.postgres.security) is not None:
            settings |= {"DATABASE_SSL_MODE": "verify-full", "DATABASE_SSL_CA_FILE": str(security.ca_pem)}
        return _unset(DatabaseSettings) | settings

    def _kafka_environment(self, program: Program) -> dict[str, str]:
        settings = {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers}
        if isinstance(self.kafka, ExternalKafka):
            return settings
        if self.kafka.security is not None and program.user in PROCESSES:
            given = self.kafka.settings_of(program.user, self.kafka.password_of(program.user))
            settings |= {name.upper(): value for name, value in given.items()}
        return _unset(KafkaSettings) | settings

    def _interpreter_environment(self) -> dict[str, str]:
        return {
            "PYTHONUNBUFFERED": "1",
            "MALLOC_ARENA_MAX": "2",  # glibc keeps an arena of its own for each thread otherwise
            **{name: value for name, value in self.env_overrides.items() if name.startswith(("PYTHON", "MALLOC_"))},
        }

    def _dashboard_origins(self) -> tuple[str, ...]:
        """Return where the dashboard is: it reads events of sales and service."""
        port = self.ports.metrics or self._remembered.choose("metrics-api")
        return tuple(f"http://{host}:{port}" for host in (LOOPBACK, "localhost"))

    def _local_issuer(self) -> Issuer:
        if self._issuer is None:
            self._issuer = Issuer(self.data.path / "auth")
        return self._issuer

    def _require_ports(self) -> None:
        for name in (*DATABASES, "postgres", "kafka", "issuer"):
            port: int | None = getattr(self.ports, name)
            if port is not None:
                require_free(port, name, f"--{name}-port")

    def _write_state(self) -> None:
        me = psutil.Process()
        self.data.write(Running(me.pid, me.create_time(), self.urls, self._parts(), self.bootstrap_servers))

    def _embedded(self) -> dict[str, EmbeddedKafka | EmbeddedPostgres]:
        """The servers that are ours, in the order in which they stop."""
        servers = {"kafka": self.kafka, "postgresql": self.postgres}
        return {
            name: server for name, server in servers.items() if isinstance(server, EmbeddedKafka | EmbeddedPostgres)
        }

    def _parts(self) -> list[Part]:
        servers = [Part(name, server.pid, server.port) for name, server in self._embedded().items() if server.running]
        if self._preloader is not None and self._preloader.process is not None:
            servers.append(Part("preloader", self._preloader.process.pid, 0))
        return servers + [
            Part(name, process.pid, process.port, serves_health=True, metrics_port=_metrics_port(process))
            for name, process in self.processes.items()
            if process.running
        ]

    def _jars(self, done: int, total: int) -> None:
        if self._stopping.is_set():
            raise StackProblem("Fetching Kafka's jars was broken off.")
        self.listener.jars(done, total)

    def _death(self, name: str, code: int, last_lines: list[str]) -> StackProblem:
        full = f" The disk of {self.data.path} is full." if self.data.nearly_full() else ""
        return StackProblem(
            f"{name} ended unexpectedly with {ending(code)}.{full} Its last lines: {_quote(last_lines)}"
        )


def _metrics_port(process: SupervisedProcess) -> int:
    """Return where a process shows `/metrics`: workers at their only port, which is not public."""
    return int(process.env["PROMETHEUS_PORT"]) if process.program.api else process.port


def _unset(settings: type[Settings]) -> dict[str, str]:
    """Return these settings, unset: what a person has set for a server elsewhere does not concern the embedded one."""
    return {name.upper(): "" for name in settings.model_fields}


def _quote(lines: list[str]) -> str:
    return "".join(f"\n    {line}" for line in lines[-10:]) or "nothing."
