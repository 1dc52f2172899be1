"""No secret has a default that works, and none reaches a log, however a process starts, fails or is set."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic.fields import FieldInfo
from sqlalchemy.engine import make_url

import metrics_worker.settings
import sales_api.settings
import service_api.settings
from service_kit.settings import DatabaseSettings, KafkaSettings, ServiceSettings, Settings
from tandem_cli.ports import free_port
from tests.support import Kafka, Postgres

MARKER = "marker-b7e1f0c2-of-a-secret"
CLASSES: list[type[Settings]] = sorted(
    {
        DatabaseSettings,
        KafkaSettings,
        *(
            each
            for module in (metrics_worker.settings, sales_api.settings, service_api.settings)
            for each in vars(module).values()
            if isinstance(each, type) and issubclass(each, ServiceSettings)
        ),
    },
    key=lambda settings: f"{settings.__module__}.{settings.__name__}",
)
LOOKS_SECRET = re.compile(r"password|secret|token$|credential|_key$|^database_url$")
SCRIPTS = {
    "service-api": "console",
    "sales-relay": "json",
    "metrics-consumer": "console",
    "metrics-jobs": "json",
    "sales-migrate": "console",
}
"""A process of each kind, and its form of logs."""
SECONDS = 240


def is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in str(field.annotation) or not field.repr


def secrets_of(settings: type[Settings]) -> dict[str, FieldInfo]:
    return {name: field for name, field in settings.model_fields.items() if is_secret(field)}


@pytest.mark.parametrize("settings", CLASSES)
def test_what_looks_like_a_secret_is_declared_as_one(settings: type[Settings]) -> None:
    assert {name for name in settings.model_fields if LOOKS_SECRET.search(name)} == set(secrets_of(settings))


def test_the_secrets_are_these() -> None:
    found = {name for settings in CLASSES for name in secrets_of(settings)}
    assert found == {"database_url", "kafka_sasl_password", "survey_link_secret", "survey_link_previous_secret"}


@pytest.mark.parametrize("settings", CLASSES)
def test_no_secret_has_a_default(settings: type[Settings]) -> None:
    for name, field in secrets_of(settings).items():
        assert field.is_required() or field.get_default() is None, name


@pytest.mark.parametrize("settings", CLASSES)
def test_settings_that_are_shown_hide_their_secrets(settings: type[Settings]) -> None:
    given: dict[str, Any] = {
        "database_url": f"postgresql+asyncpg://role:{MARKER}@host/name",
        "kafka_security_protocol": "SASL_SSL",
        "kafka_sasl_username": "role",
        "kafka_sasl_password": MARKER,
        "survey_link_secret": MARKER,
        "survey_link_previous_secret": MARKER,
    }
    shown = settings.model_validate(given)
    assert MARKER not in f"{shown!r} {shown} {[shown]}"


@pytest.mark.integration
async def test_no_process_logs_a_secret_when_it_starts_and_fails(postgres: Postgres, kafka: Kafka) -> None:
    """Both servers refuse the marker: every process starts, fails, tries again, and logs all that it ever does."""
    server = make_url(postgres.url("postgres"))
    environment = {
        **os.environ,
        "DATABASE_URL": server.set(password=MARKER).render_as_string(hide_password=False),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_USERNAME": "role",
        "KAFKA_SASL_PASSWORD": MARKER,
        "SURVEY_LINK_SECRET": MARKER,
        "LOG_LEVEL": "debug",
        "PYTHONUNBUFFERED": "1",
    }
    outputs = await asyncio.gather(
        *(output_of(name, environment | {"LOG_FORMAT": form}) for name, form in SCRIPTS.items())
    )
    for name, output in zip(SCRIPTS, outputs, strict=True):
        # It did fail: a test that logs nothing shows nothing.
        assert re.search("InvalidPassword|password authentication failed", output), f"{name}: {output}"
        assert MARKER not in output, name


@pytest.mark.integration
@pytest.mark.parametrize("wrong", ["DATABASE_URL", "KAFKA_SASL_PASSWORD", "SURVEY_LINK_SECRET"])
async def test_a_setting_that_is_refused_is_not_shown(wrong: str) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": f"postgres://role:{MARKER}@host/name" if wrong == "DATABASE_URL" else "postgresql+asyncpg://h",
        # Without a protocol that would use it; and too short.
        "KAFKA_SASL_PASSWORD": MARKER if wrong == "KAFKA_SASL_PASSWORD" else "",
        "SURVEY_LINK_SECRET": MARKER[:15] if wrong == "SURVEY_LINK_SECRET" else "x" * 16,
    }
    output = await output_of("service-api", environment)
    assert "ValidationError" in output
    assert MARKER[:15] not in output


async def output_of(script: str, environment: dict[str, str]) -> str:
    """Return what a process printed until it ended, or until it had failed to connect and was asked to stop."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name(script)),
        env=environment | {"HTTP_PORT": str(port)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    asking = asyncio.create_task(ask_whether_ready(port))
    lines: list[str] = []
    try:
        async with asyncio.timeout(SECONDS):
            while line := (await process.stdout.readline()).decode():
                lines.append(line)
                if re.search("InvalidPassword|password authentication failed", line) and process.returncode is None:
                    process.send_signal(signal.SIGTERM)
            await process.wait()
    finally:
        asking.cancel()
        if process.returncode is None:
            process.kill()
    return "".join(lines)


async def ask_whether_ready(port: int) -> None:
    """An API uses its database only when it is asked something."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                await http.get("/readyz")
            await asyncio.sleep(0.1)
