"""What every process reads from its environment; a service adds its own by subclassing."""

import re
from ipaddress import ip_network
from typing import Annotated, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, FilePath, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service_kit.roles import Role


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _postgres_url(value: str) -> str:
    if not value.startswith("postgresql+asyncpg://"):
        raise ValueError("must begin with postgresql+asyncpg://")
    if {"ssl", "sslmode"} & parse_qs(urlsplit(value).query).keys():
        raise ValueError("must not name ssl or sslmode: set DATABASE_SSL_MODE and DATABASE_SSL_CA_FILE")
    return value


def _networks(value: list[str]) -> list[str]:
    for one in value:
        ip_network(one)
    return value


_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")


def _origins(value: list[str]) -> list[str]:
    for one in value:
        # What a browser sends as `Origin`: any other value would silently match none.
        if one != "*" and not _ORIGIN.fullmatch(one):
            raise ValueError("must be scheme and host in lower case, without a path: https://app.example.com")
    return value


CommaSeparated = Annotated[list[str], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Environment variables are the upper-case field names: `DATABASE_URL`, `HTTP_PORT`, …; an empty one is unset.

    An error names the setting, not its value, which may be a secret.
    """

    model_config = SettingsConfigDict(
        env_prefix="", extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )


class KafkaSettings(Settings):
    """How Kafka is reached, and as whom."""

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_ca_file: FilePath | None = None
    """PEM certificates of the authorities that the brokers' are verified by; the system's when left out."""
    kafka_ssl_cert_file: FilePath | None = None
    kafka_ssl_key_file: FilePath | None = None
    """PEM files of the client's own certificate, where the brokers ask for one."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Refuse what would silently go unused: a password that is set is meant to be asked for."""
        protocol = self.kafka_security_protocol
        signs_in = self.kafka_sasl_username is not None or self.kafka_sasl_password is not None
        if protocol.startswith("SASL_"):
            if self.kafka_sasl_username is None or self.kafka_sasl_password is None:
                raise ValueError(
                    f"KAFKA_SECURITY_PROTOCOL={protocol} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
                )
        elif signs_in:
            raise ValueError(f"KAFKA_SASL_USERNAME is set; KAFKA_SECURITY_PROTOCOL={protocol} would not send it")
        files = (self.kafka_ssl_ca_file, self.kafka_ssl_cert_file, self.kafka_ssl_key_file)
        if any(files) and not protocol.endswith("SSL"):
            raise ValueError(f"KAFKA_SSL_… is set; KAFKA_SECURITY_PROTOCOL={protocol} would not encrypt")
        if (self.kafka_ssl_cert_file is None) != (self.kafka_ssl_key_file is None):
            raise ValueError("KAFKA_SSL_CERT_FILE and KAFKA_SSL_KEY_FILE belong together")
        return self


class DatabaseSettings(Settings):
    """How the database of a service is reached, and as whom."""

    database_url: Annotated[str, AfterValidator(_postgres_url), Field(repr=False)]
    """With the role's password: not shown."""
    database_pool_size: int = Field(default=10, ge=1, le=200)
    """Connections one process keeps at most."""
    database_ssl_mode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    """As PostgreSQL's `sslmode`; only `verify-full` also makes sure that it is the server of that name."""
    database_ssl_ca_file: FilePath | None = None
    """PEM certificates of the authorities that the server's is verified by; the system's when left out."""
    database_ssl_cert_file: FilePath | None = None
    database_ssl_key_file: FilePath | None = None
    """PEM files of the client's own certificate, where the server asks for one."""

    @model_validator(mode="after")
    def _verify(self) -> Self:
        """Refuse files that the mode would not use."""
        files = (self.database_ssl_ca_file, self.database_ssl_cert_file, self.database_ssl_key_file)
        if any(files) and not self.database_ssl_mode.startswith("verify-"):
            raise ValueError(f"DATABASE_SSL_…_FILE is set; DATABASE_SSL_MODE={self.database_ssl_mode} verifies nothing")
        if (self.database_ssl_cert_file is None) != (self.database_ssl_key_file is None):
            raise ValueError("DATABASE_SSL_CERT_FILE and DATABASE_SSL_KEY_FILE belong together")
        return self


class ServiceSettings(DatabaseSettings, KafkaSettings):
    """What every process of a service has in common."""

    @model_validator(mode="after")
    def _encrypt(self) -> Self:
        if (self.http_tls_cert_file is None) != (self.http_tls_key_file is None):
            raise ValueError("HTTP_TLS_CERT_FILE and HTTP_TLS_KEY_FILE belong together")
        if self.https_required and self.http_tls_cert_file is None and not self.trusted_proxies:
            raise ValueError("HTTPS_REQUIRED would refuse everything: set TRUSTED_PROXIES, or HTTP_TLS_CERT_FILE")
        return self

    consumer_offset_reset: Literal["stop", "reset"] = "stop"
    """What a consumer does when the log lacks the next record: a recreated topic, an empty cluster, a cut log."""

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8000, ge=0, le=65535)
    prometheus_port: int | None = Field(default=None, ge=0, le=65535)
    """Where an API shows `/metrics`: not on its public port. Workers, which have none, show it at `http_port`."""
    api_docs: bool = False
    """Whether an API serves `/docs` and `/openapi.json`."""
    api_url: str = ""
    """Where clients reach an API, for `servers` in its document; its own port on this machine when left out."""
    allowed_hosts: CommaSeparated = ["localhost", "127.0.0.1", "[::1]"]
    """Host names that requests may be addressed to; `*` allows all (behind a proxy that checks)."""
    cors_origins: Annotated[CommaSeparated, AfterValidator(_origins)] = []
    """Origins of frontends that may read an API's answers in a browser; `*` allows all."""
    trusted_proxies: Annotated[CommaSeparated, AfterValidator(_networks)] = []
    """Addresses or networks of proxies, whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    http_tls_cert_file: FilePath | None = None
    http_tls_key_file: FilePath | None = None
    """PEM files with the certificate chain and its private key, where the process itself ends TLS."""
    https_required: bool = False
    """Whether an API refuses what did not come by HTTPS, to the process or to a trusted proxy."""
    hsts_seconds: int = Field(default=31_536_000, ge=0)
    """For how long a browser that came by HTTPS uses nothing else; 0 for no such header."""

    max_body_bytes: int = Field(default=1024 * 1024, ge=1024)
    max_url_bytes: int = Field(default=8 * 1024, ge=1024)
    max_header_bytes: int = Field(default=32 * 1024, ge=4096)
    """Of a request's address and headers together."""
    max_headers: int = Field(default=100, ge=20)
    head_seconds: float = Field(default=10, gt=0)
    """How long a request's head may take to arrive, and a new connection may be silent."""
    body_seconds: float = Field(default=60, gt=0)
    """How long a body may take to arrive."""
    min_body_bytes_per_second: int = Field(default=500, ge=1)
    keep_alive_seconds: int = Field(default=30, ge=1)
    """How long a connection is kept between requests."""
    max_connections: int = Field(default=1000, ge=1)
    max_connections_per_address: int = Field(default=250, ge=1)
    """Of one client; those of `trusted_proxies` do not count."""
    concurrent_reads: int = Field(default=64, ge=1)
    concurrent_writes: int = Field(default=64, ge=1)
    concurrent_bulk: int = Field(default=4, ge=1)
    """Requests of a class that are under way at once; `bulk` are imports and exports."""
    queue_seconds: float = Field(default=0.02, gt=0)
    """How long a request waits for its turn when so many are under way, before it is refused."""
    bulk_queue_seconds: float = Field(default=5, gt=0, le=20)
    """The same of imports and exports: two imports at once take turns."""
    subject_requests_per_second: float = Field(default=500, gt=0)
    subject_burst: int = Field(default=5000, ge=1)
    address_requests_per_second: float = Field(default=1000, gt=0)
    address_burst: int = Field(default=10_000, ge=1)
    shutdown_seconds: int = Field(default=10, ge=1, le=15)
    """How long a stop waits for requests in flight; the orchestrator's limit is 20 s."""

    imported_record_days: int = Field(default=400, ge=1, le=36_500)
    """How long after the latest import of a record a longer history of it is continued: a year's file and the next."""
    audit_days: int = Field(default=730, ge=30, le=36_500)
    """How long audit entries are kept."""
    dead_letter_days: int = Field(default=90, ge=1, le=36_500)
    """How long the content of a settled dead letter is kept, to review how it was settled; open ones have no limit."""

    auth_issuer: str = ""
    """The `iss` of the tokens. An API does not start without one, and takes no token."""
    auth_audience: str = "tandem"
    auth_jwks: str = ""
    """Where the issuer's keys are: `https://…` or `file:///…`; by discovery from the issuer when left out."""
    auth_keys_seconds: int = Field(default=300, ge=1, le=86_400)
    """How long the issuer's keys are trusted before they are read again: a withdrawn one verifies no longer than that.
    """
    auth_token_type: Literal["", "at+jwt", "bearer", "access"] = ""
    """What marks an access token of this issuer: `at+jwt` is the header `typ` (RFC 9068), `bearer` the claim `typ`
    (Keycloak), `access` the claim `token_use` (Cognito). When left out, tokens that are marked as others are refused.
    """
    auth_roles_claim: str = "roles"
    """The claim with the list of roles, or its path: `realm_access.roles`, `groups`."""
    auth_role_mapping: dict[str, list[Role]] = {}
    """As JSON, Tandem's roles for each value of that claim; when left out, the values are Tandem's roles."""
    auth_subject_claim: str = "sub"
    """The claim that a salesperson's or an agent's `subject` names."""
    auth_person_claim: str = "person"
    """The claim with the id of the holder's salesperson or agent, for services that have no records of people."""
    auth_teams_claim: str = "teams"
    """The claim with ids of teams that the holder belongs to beside their record's; or its path."""
    auth_regions_claim: str = "regions"
    """The claim with codes of regions, likewise."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
