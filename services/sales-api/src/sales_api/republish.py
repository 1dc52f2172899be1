"""The console script sales-republish, apart from the processes: it needs no API."""

from service_kit.signals import exit_on_signals

exit_on_signals()  # the imports below take seconds

from event_contracts.catalogue import SALES_DIRECTORY_TOPIC, SALES_TOPIC
from service_kit import republish_command


def republish() -> None:
    """Bring the log of sales back to its database."""
    republish_command.run("sales-republish", [SALES_TOPIC, SALES_DIRECTORY_TOPIC])
