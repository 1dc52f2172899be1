"""What the sales processes read from their environment, beside what every process reads."""

from pydantic import Field

from service_kit.fields import Currency
from service_kit.settings import ServiceSettings


class SalesSettings(ServiceSettings):
    """`REPORTING_CURRENCY` beside the kit's variables."""

    http_port: int = Field(default=8001, ge=0, le=65535)
    reporting_currency: Currency = "EUR"
    """The one currency that the company compares its sales in; deals are converted to it when they close."""


class ConsumerSettings(ServiceSettings):
    """The consumer serves health and metrics only, on a port of its own."""

    http_port: int = Field(default=8021, ge=0, le=65535)
    suggestion_days: int = Field(default=30, ge=0, le=3_660)
    """A suggestion that was made at most this many days before its event arrives becomes a lead; 0 for none."""
    risk_days: int = Field(default=30, ge=0, le=3_660)
    """A risk that was found at most this many days before its event arrives becomes a task; 0 for none."""
