"""The console script service-republish, apart from the processes: it needs no API."""

from service_kit.signals import exit_on_signals

exit_on_signals()  # the imports below take seconds

from event_contracts.catalogue import SERVICE_DIRECTORY_TOPIC, SERVICE_TOPIC
from service_kit import republish_command


def republish() -> None:
    """Bring the log of service back to its database."""
    republish_command.run("service-republish", [SERVICE_TOPIC, SERVICE_DIRECTORY_TOPIC])
