"""What the whole system consists of: its databases, its processes, and what each waits for."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tandem_cli.problem import StackProblem

DATABASES = ("sales", "service", "metrics")


@dataclass(frozen=True)
class Program:
    """One process to run: `command` with the settings of `database`'s owner.

    `api` names the public port that it serves (sales, service or metrics); every other process serves health and
    metrics on a free port. `needs_kafka` makes it start only when the topics are there. `another` is the name of the
    program of which it is one more process: to PostgreSQL and Kafka it is the same.
    """

    name: str
    command: tuple[str, ...]
    database: str
    api: str | None = None
    needs_kafka: bool = False
    another: str | None = None

    @property
    def user(self) -> str:
        """Its user of Kafka."""
        return self.another or self.name

    @property
    def role(self) -> str:
        """Its role in the database: `sales_relay` of sales-relay."""
        return self.user.replace("-", "_")


@dataclass(frozen=True)
class System:
    """The processes that run until stopped, and the one-shot migration of each database.

    `preload` are the modules that most of them import, to be imported once for all.
    """

    programs: tuple[Program, ...]
    migrations: Mapping[str, tuple[str, ...]]
    preload: tuple[str, ...] = ()


def script(name: str) -> tuple[str, ...]:
    """The command of a console script that is installed beside the running interpreter."""
    return (str(Path(sys.executable).parent / name),)


def require_scripts(system: System) -> None:
    """Raise StackProblem when a program of the system is not installed."""
    commands = [program.command for program in system.programs] + list(system.migrations.values())
    for command in commands:
        if not Path(command[0]).exists():
            raise StackProblem(f"The program {Path(command[0]).name} is not installed; run `make bootstrap`.")


TANDEM = System(
    programs=(
        Program("sales-api", script("sales-api"), "sales", api="sales"),
        Program("service-api", script("service-api"), "service", api="service"),
        Program("metrics-api", script("metrics-api"), "metrics", api="metrics"),
        Program("sales-relay", script("sales-relay"), "sales", needs_kafka=True),
        Program("service-relay", script("service-relay"), "service", needs_kafka=True),
        Program("metrics-jobs", script("metrics-jobs"), "metrics", needs_kafka=True),
        Program("sales-consumer", script("sales-consumer"), "sales", needs_kafka=True),
        Program("service-consumer", script("service-consumer"), "service", needs_kafka=True),
        Program("metrics-consumer", script("metrics-consumer"), "metrics", needs_kafka=True),
    ),
    migrations={database: script(f"{database}-migrate") for database in DATABASES},
    # The libraries and the kit, never a service: two services' tables may not meet in one process.
    preload=(
        "alembic.command",
        "aiokafka.admin",
        "fastapi",
        "httptools",
        "jwt",
        "sqlalchemy.dialects.postgresql.asyncpg",
        "sqlalchemy.ext.asyncio",
        "uvicorn.protocols.http.httptools_impl",
        "uvicorn.lifespan.on",
        "service_kit.app",
        "service_kit.consumer.consumer",
        "service_kit.migrations",
        "service_kit.relay",
        "service_kit.runner",
    ),
)
