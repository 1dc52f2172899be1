"""What the sales processes read from their environment, beside what every process reads."""

from pydantic import Field

from service_kit.fields import Currency
from service_kit.settings import ServiceSettings


class SalesSettings(ServiceSettings):
    """`REPORTING_CURRENCY` beside the kit's variables."""

    http_port: int = Field(default=8001, ge=0, le=65535)
    reporting_currency: Currency = "EUR"
    """The one currency that the company compares its sales in; deals are converted to it when they close."""
