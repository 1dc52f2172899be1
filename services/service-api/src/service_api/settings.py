"""What the service processes read from their environment."""

from pydantic import Field, SecretStr

from service_kit.settings import ServiceSettings


class ServiceApiSettings(ServiceSettings):
    """Adds `SURVEY_LINK_SECRET`, which signs the links that customers answer surveys by.

    Its holder can answer any survey; changing it invalidates every link that was sent.
    """

    http_port: int = 8002
    survey_link_secret: SecretStr = Field(min_length=16)


class RelaySettings(ServiceSettings):
    """The relay serves health and metrics only, on a port of its own."""

    http_port: int = 8012


class ConsumerSettings(ServiceSettings):
    """The consumer serves health and metrics only, on a port of its own."""

    http_port: int = 8022
    onboarding_days: int = Field(default=30, ge=0, le=3_660)
    """A deal that was won at most this many days before its event arrives gets an onboarding ticket; 0 for none."""
