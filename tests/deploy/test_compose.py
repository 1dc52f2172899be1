"""docker-compose.yml starts what exists, with settings that the processes know, in an order that can work."""

import importlib
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter
from sqlalchemy.engine import make_url

from service_kit.consumer.log_identity import TopicsMissing
from service_kit.settings import ServiceSettings
from tandem_cli import kafka_access
from tandem_cli.issuer import AUDIENCE, ISSUER
from tandem_cli.kafka import EmbeddedKafka, set_up_users, standard_topics
from tandem_cli.server_security import ServerSecurity
from tandem_cli.system import TANDEM, Program
from tests.certificates import Authority

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
TLS: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "deploy/docker-compose.tls.yml").read_text())["services"]
SERVERS = {"postgres", "kafka"}
JOBS = {"kafka-setup", "issuer", "sales-migrate", "service-migrate", "metrics-migrate"}
PROCESSES = sorted(set(SERVICES) - SERVERS - JOBS)
MIGRATIONS = sorted(job for job in JOBS if job.endswith("-migrate"))
OURS = [*PROCESSES, *MIGRATIONS]
STOP_SECONDS = 20


def variables(path: Path) -> dict[str, str]:
    """The assignments of an env file."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def environment_of(name: str) -> dict[str, str]:
    """The environment of a service as compose would fill it in from an .env with every value given."""
    given = {key: value or "x" * 24 for key, value in variables(ROOT / ".env.example").items()}
    given["CORS_ORIGINS"] = "https://app.example.com"

    def fill(match: re.Match[str]) -> str:
        return given[match["name"]]

    environment = SERVICES[name].get("environment", {})
    return {key: re.sub(r"\$\{(?P<name>\w+)[^}]*\}", fill, value) for key, value in environment.items()}


def scripts() -> dict[str, str]:
    """Every console script of the workspace and the function it calls."""
    found: dict[str, str] = {}
    for pyproject in ROOT.glob("*/*/pyproject.toml"):
        found |= tomllib.loads(pyproject.read_text())["project"].get("scripts", {})
    return found


def settings_classes(name: str) -> list[type[ServiceSettings]]:
    """The settings classes of the package that a service's command belongs to."""
    package = scripts()[SERVICES[name]["command"][0]].partition(".")[0]
    module = importlib.import_module(f"{package}.settings")
    classes = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, ServiceSettings)]
    return [each for each in classes if each.__module__ == module.__name__]


@pytest.mark.parametrize("name", OURS)
def test_the_command_is_a_console_script_of_the_same_name_in_exec_form(name: str) -> None:
    assert SERVICES[name]["command"] == [name]
    assert name in scripts()


def test_the_processes_are_those_of_the_local_stack() -> None:
    local: set[Program] = set(TANDEM.programs)
    assert {program.name for program in local} == set(PROCESSES)
    assert {Path(command[0]).name for command in TANDEM.migrations.values()} == set(MIGRATIONS)
    apis = {program.name for program in local if program.api}
    assert {name for name in PROCESSES if "ports" in SERVICES[name]} == apis


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_of_the_package(name: str) -> None:
    known = {field.upper() for each in settings_classes(name) for field in each.model_fields}
    assert set(environment_of(name)) <= known


@pytest.mark.parametrize("name", PROCESSES)
def test_the_settings_accept_what_compose_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = environment_of(name)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    needed = {
        field.upper()
        for each in settings_classes(name)
        for field, info in each.model_fields.items()
        if info.is_required()
    }
    accepted = [each for each in settings_classes(name) if accepts(each)]
    assert accepted, f"{needed - set(environment)} is missing"
    for each in accepted:
        settings = each()
        assert settings.http_host == "0.0.0.0"  # noqa: S104 - inside a container
        assert str(settings.http_port) == environment["HTTP_PORT"]
        assert settings.auth_issuer == ISSUER
        assert settings.auth_audience == AUDIENCE
        assert settings.log_format == "json"


def accepts(settings: type[ServiceSettings]) -> bool:
    """Whether every required setting is in the environment; a value that is refused raises."""
    if any(info.is_required() and field.upper() not in os.environ for field, info in settings.model_fields.items()):
        return False
    return isinstance(settings(), settings)


@pytest.mark.parametrize("name", ["sales-api", "service-api", "metrics-api"])
def test_an_api_has_every_setting_that_any_of_its_package_requires(name: str) -> None:
    required = {
        field.upper()
        for each in settings_classes(name)
        for field, info in each.model_fields.items()
        if info.is_required()
    }
    assert required <= set(environment_of(name))


@pytest.mark.parametrize("secret", ["SURVEY_LINK_SECRET", "SURVEY_LINK_PREVIOUS_SECRET"])
def test_the_survey_secret_is_known_to_the_process_that_signs_links_only(secret: str) -> None:
    assert [name for name in SERVICES if secret in SERVICES[name].get("environment", {})] == ["service-api"]


@pytest.mark.parametrize("name", PROCESSES)
def test_every_process_has_a_health_check_and_time_to_stop(name: str) -> None:
    service = SERVICES[name]
    assert "/readyz" in service["healthcheck"]["test"][-1]
    compile(service["healthcheck"]["test"][-1], name, "exec")
    assert seconds(service["stop_grace_period"]) > STOP_SECONDS
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(SERVERS))
def test_the_servers_have_a_health_check_too(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", sorted(JOBS))
def test_a_job_has_none_and_is_not_started_again_once_done(name: str) -> None:
    assert "healthcheck" not in SERVICES[name]
    assert SERVICES[name]["restart"] in ("no", "on-failure:5")


@pytest.mark.parametrize("name", [*OURS, "issuer", "kafka-setup"])
def test_our_containers_can_do_no_more_than_they_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_has_limits(name: str) -> None:
    assert {"cpus", "memory", "pids"} <= set(SERVICES[name]["deploy"]["resources"]["limits"])


def test_what_is_published_is_published_on_the_loopback_address_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == len(set(published)) == 4
    assert all(port.startswith("127.0.0.1:") for port in published)
    for name in ("sales-api", "service-api", "metrics-api"):
        port = environment_of(name)["HTTP_PORT"]
        assert SERVICES[name]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_everything_waits_for_what_it_needs() -> None:
    for name in PROCESSES:
        needs = {other: how["condition"] for other, how in SERVICES[name]["depends_on"].items()}
        function = name.partition("-")[0]
        expected = {f"{function}-migrate": "service_completed_successfully"}
        program = next(program for program in TANDEM.programs if program.name == name)
        expected |= {"kafka-setup": "service_completed_successfully"} if program.needs_kafka else {}
        expected |= {"issuer": "service_completed_successfully"} if program.api else {}
        assert needs == expected, name
    for name in MIGRATIONS:
        assert SERVICES[name]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["kafka-setup"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}


def test_every_process_signs_in_as_itself() -> None:
    for name in OURS:
        url = make_url(environment_of(name)["DATABASE_URL"])
        function, _, process = name.partition("-")
        assert url.username == (function if process == "migrate" else name.replace("-", "_"))
        given = SERVICES[name]["environment"]["DATABASE_URL"]
        assert f"{url.username}:${{{url.username.upper()}_DATABASE_PASSWORD:?" in given
        assert environment_of(name).get("KAFKA_SASL_USERNAME") == (name if name in kafka_access.PROCESSES else None)
        if name in kafka_access.PROCESSES:
            assert kafka_access.password_variable(name) in SERVICES[name]["environment"]["KAFKA_SASL_PASSWORD"]


def test_the_job_sets_the_password_of_every_user() -> None:
    users = {name for name in environment_of("kafka-setup") if name.endswith("_KAFKA_PASSWORD")}
    assert users == {kafka_access.password_variable(process) for process in kafka_access.PROCESSES}
    assert SERVICES["kafka-setup"]["command"] == ["tandem", "prepare-kafka"]


def broker_settings(environment: dict[str, str]) -> dict[str, str]:
    """Return the broker's settings as its image makes them of the environment, but for addresses and folders."""
    names = {name: name.removeprefix("KAFKA_").lower().replace("_", ".") for name in environment}
    settings = {names[name].replace("...", "-").replace("..", "_"): value for name, value in environment.items()}
    of_machine = {"listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs", "heap.opts"}
    return {name: value for name, value in settings.items() if name not in of_machine}


@pytest.mark.integration
async def test_a_broker_with_these_settings_has_users_within_rules(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    secured = ServerSecurity(authority.issue("127.0.0.1"), authority.ca_pem, "x" * 24)
    options = broker_settings(environment_of("kafka")) | broker_settings(TLS["kafka"]["environment"])
    options |= {"ssl.keystore.location": str(secured.server_pem), "ssl.truststore.location": str(secured.ca_pem)}
    broker = EmbeddedKafka(tmp_path / "kafka", security=secured, options=options)
    broker.start()
    try:
        topics = standard_topics(1)
        broker.create_topics(topics)
        set_up_users(broker.clients, {"sales-relay": "secret"})
        relay = broker.clients_as("sales-relay", "secret")
        await relay.identify(["sales.events"])
        with pytest.raises(TopicsMissing):
            # What it may not even know of.
            await relay.identify(["service.directory"])
    finally:
        broker.stop()


def test_tls_is_added_to_the_same_settings() -> None:
    assert set(TLS) == set(SERVICES) - {"issuer"}
    for name in OURS:
        assert TLS[name]["environment"]["DATABASE_SSL_MODE"] == "verify-full"
        protocol = TLS[name]["environment"].get("KAFKA_SECURITY_PROTOCOL")
        assert protocol == ("SASL_SSL" if name in kafka_access.PROCESSES else None)
        known = {field.upper() for each in settings_classes(name) for field in each.model_fields}
        assert set(TLS[name]["environment"]) <= known
    assert TLS["kafka-setup"]["environment"]["KAFKA_SECURITY_PROTOCOL"] == "SASL_SSL"
    plain = environment_of("kafka")["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"]
    encrypted = TLS["kafka"]["environment"]["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"]
    assert encrypted == plain.replace("CLIENTS:SASL_PLAINTEXT,HOST:SASL_PLAINTEXT", "CLIENTS:SASL_SSL,HOST:SASL_SSL")


def test_nothing_secret_is_written_down() -> None:
    example = variables(ROOT / ".env.example")
    assert all(not value for name, value in example.items() if re.search("PASSWORD|SECRET", name))
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET", variable):
                optional = r":-" if "PREVIOUS" in variable else r":\?set it in \.env"
                assert re.fullmatch(rf"\$\{{\w+{optional}\}}", value), name
            # Nor within a URL or a JAAS configuration.
            assert not re.search(r"(password=\"|://\w+:(?=[^,]*@))(?!\$\{\w+:\?set it in \.env\})", value), name
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_every_variable_of_the_compose_file_is_in_the_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert used == set(variables(ROOT / ".env.example"))


def test_the_keys_that_the_apis_read_are_those_that_the_issuer_publishes() -> None:
    assert "keys:/var/lib/tandem/keys" in SERVICES["issuer"]["volumes"]
    for name in ("sales-api", "service-api", "metrics-api"):
        assert SERVICES[name]["volumes"] == ["keys:/var/lib/tandem/keys:ro"]
        assert environment_of(name)["AUTH_JWKS"] == "file:///var/lib/tandem/keys/jwks.json"
    private = [
        name for name, service in SERVICES.items() if any("issuer:" in each for each in service.get("volumes", []))
    ]
    assert private == ["issuer"]


def test_images_are_pinned_by_version() -> None:
    images = {service["image"] for service in SERVICES.values()}
    assert all(re.search(r":[0-9a-z][\w.]*$", image) and not image.endswith(":latest") for image in images)


def seconds(duration: str) -> int:
    """Whole seconds of a duration such as 25s."""
    return TypeAdapter(int).validate_python(duration.removesuffix("s"))
