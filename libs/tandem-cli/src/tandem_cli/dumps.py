"""Dumps a schema of a database to a file and loads it into an empty one, by PostgreSQL's pg_dump and pg_restore."""

import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from tandem_cli.databases import plain
from tandem_cli.postgres import BINARIES
from tandem_cli.problem import StackProblem

AUTHORITATIVE = "authoritative"
"""The schema of the metrics database that cannot be derived from the log."""


def dump(url: str, schema: str, file: Path) -> None:
    """Write a schema to a new file that only its owner can read, as of one moment.

    Raise StackProblem; there is no file then.
    """
    partial = file.with_name(f"{file.name}.part")
    try:
        # Signing keys are in it.
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise StackProblem(f"{partial} cannot be written: {error.strerror}; choose another file.") from None
    try:
        _run(url, "pg_dump", "--format=custom", f"--schema={schema}", "--strict-names", f"--file={partial}")
        try:
            # Not `rename`, which would replace a file.
            os.link(partial, file)
        except OSError as error:
            raise StackProblem(f"{file} cannot be written: {error.strerror}; choose another file.") from None
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


def load(url: str, schema: str, file: Path) -> None:
    """Load a schema from a file into an empty database, wholly or not at all. Raise StackProblem."""
    if not file.is_file():
        raise StackProblem(f"There is no file {file}.")
    options = ("--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error")
    if f" SCHEMA - {schema} " not in _run(None, "pg_restore", "--list", str(file)):
        raise StackProblem(f"{file} is no backup: the schema {schema} is not in it.")
    _run(url, "pg_restore", *options, str(file))


def _run(url: str | None, program: str, *arguments: str) -> str:
    command = [str(BINARIES / program), *arguments]
    environment: Mapping[str, str] = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    if url is not None:
        # Every user of the machine sees a command's arguments.
        address = urlsplit(plain(url))
        user, _, host = address.netloc.rpartition("@")
        name, _, password = user.partition(":")
        command.append(f"--dbname={urlunsplit(address._replace(netloc=f'{name}@{host}' if name else host))}")
        environment = {**environment, "PGPASSWORD": unquote(password)}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise StackProblem(f"{program} failed: {finished.stderr.strip() or 'it printed nothing'}")
    return finished.stdout
