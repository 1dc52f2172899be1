"""What the service processes read from their environment."""

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr

from service_kit.settings import ServiceSettings

Secret = Annotated[SecretStr, Field(min_length=16)]


class ServiceApiSettings(ServiceSettings):
    """Adds `SURVEY_LINK_SECRET`, which signs the links that customers answer surveys by.

    Its holder can answer any survey. Links by `SURVEY_LINK_PREVIOUS_SECRET` stay valid: set it while they are out after
    a change.
    """

    http_port: int = 8002
    survey_link_secret: Secret
    survey_link_previous_secret: Annotated[Secret | None, BeforeValidator(lambda value: value or None)] = None
    """Empty is none, as a compose file passes on what is not set."""
    survey_link_days: int = Field(default=90, ge=1, le=3_660)
    """How long after a survey was sent its link is valid."""
    survey_revision_days: int = Field(default=14, ge=0, le=3_660)
    """How long after their first answer customers may revise it by the link."""
    reopen_days: int = Field(default=14, ge=0, le=3_660)
    """How long after its resolution a customer's message reopens a ticket, where its SLA policy does not say."""


class RelaySettings(ServiceSettings):
    """The relay serves health and metrics only, on a port of its own."""

    http_port: int = 8012


class ConsumerSettings(ServiceSettings):
    """The consumer serves health and metrics only, on a port of its own."""

    http_port: int = 8022
    onboarding_days: int = Field(default=30, ge=0, le=3_660)
    """A deal that was won at most this many days before its event arrives gets an onboarding ticket; 0 for none."""
