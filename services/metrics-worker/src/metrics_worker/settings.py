"""What the metrics processes read from their environment."""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from event_contracts.fields import DECIMAL_PLACES
from metrics_worker.domain.posting import Reporting
from service_kit.settings import ServiceSettings


def known_zone(name: str) -> str:
    """The same name. Raises ValueError when it is not a time zone of the IANA database."""
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"{name!r} is not a time zone of the IANA database, such as Europe/Vilnius") from error
    return name


def _known_currency(code: str) -> str:
    if code not in DECIMAL_PLACES:
        raise ValueError(f"{code!r} is not an ISO 4217 currency code, such as EUR")
    return code


def _base_address(address: str) -> str:
    if not address.startswith(("http://", "https://")):
        raise ValueError(f"{address!r} is not an address such as https://sales.example.com")
    return address.rstrip("/")


class MetricsSettings(ServiceSettings):
    """Adds `REPORTING_TIMEZONE`, in which days are taken, and `REPORTING_CURRENCY`, in which money is summed."""

    http_port: int = 8003
    reporting_timezone: Annotated[str, AfterValidator(known_zone)] = "UTC"
    reporting_currency: Annotated[str, AfterValidator(_known_currency)] = "EUR"

    sales_api_url: Annotated[str, AfterValidator(_base_address)] = "http://127.0.0.1:8001"
    service_api_url: Annotated[str, AfterValidator(_base_address)] = "http://127.0.0.1:8002"
    """Where clients reach the two APIs, for the links of `explain`."""

    dashboard_issuer: str = ""
    """The OpenID provider at which people sign in to the dashboard; by default `AUTH_ISSUER`."""
    dashboard_client_id: str = "tandem-dashboard"
    """The dashboard's id there: a public client with PKCE, whose redirect is `/signed-in` of this API."""
    dashboard_scopes: str = "openid offline_access"
    """What it asks for; offline access is a refresh token, which it keeps in memory."""

    stream_readers: int = Field(default=200, ge=0, le=10_000)
    """Streams of KPI values that one process keeps open at most."""

    webhooks_allow_loopback: bool = False
    """Lets webhooks go to this machine, and over plain HTTP: for tests only."""

    @property
    def reporting(self) -> Reporting:
        """Return both, as the ledger uses them."""
        return Reporting(zone=ZoneInfo(self.reporting_timezone), currency=self.reporting_currency)


class JobsSettings(MetricsSettings):
    """metrics-jobs serves health and metrics only, on a port of its own."""

    http_port: int = 8023
    webhook_delivered_days: int = Field(default=30, ge=1, le=36_500)
    """How long after its last try a delivery that succeeded is kept, to answer a receiver who misses it."""
    webhook_dead_days: int = Field(default=90, ge=1, le=36_500)
    """How long after its last try a dead delivery is kept, to be sent again when the receiver works."""


class ConsumerSettings(MetricsSettings):
    """The consumer serves health and metrics only, on a port of its own."""

    http_port: int = 8013
    completeness: Literal["watermarks", "log"] = "watermarks"
    """What tells up to when the ledger is complete: the watermarks of the relays, or, where another program publishes
    the outboxes, the end of the log. By the latter an outbox without a publisher goes unnoticed."""
