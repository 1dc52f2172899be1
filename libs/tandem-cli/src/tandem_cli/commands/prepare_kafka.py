"""`tandem prepare-kafka`: the topics, users and access rules of an installation, as a one-shot job."""

import os
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(prepare_kafka)


def prepare_kafka(
    partitions: Annotated[int, typer.Option(envvar="PARTITIONS", min=1, help="Of each topic that is created.")] = 12,
    replication_factor: Annotated[
        int | None, typer.Option(envvar="REPLICATION_FACTOR", min=1, help="By default 3, or the number of brokers.")
    ] = None,
) -> None:
    """Create the topics that are missing at KAFKA_BOOTSTRAP_SERVERS; with SASL, the processes' users and rules too.

    It signs in as KAFKA_SASL_USERNAME, who may create topics, alter users and alter access rules. A process's user gets
    the password in SALES_RELAY_KAFKA_PASSWORD, SERVICE_RELAY_KAFKA_PASSWORD and so on; where there is none, the user is
    yours to create. May be run again at any time.
    """
    # Here, so that the other commands need not wait for the imports of this one.
    from service_kit.kafka import KafkaServers
    from service_kit.settings import KafkaSettings
    from tandem_cli.kafka import create_topics, set_up_users, standard_topics
    from tandem_cli.kafka_access import PROCESSES, password_variable
    from tandem_cli.problem import StackProblem

    try:
        settings = KafkaSettings()
        kafka = KafkaServers.of(settings)
    except (ValueError, OSError) as error:
        raise StackProblem(f"The settings of Kafka are not usable: {error}") from None
    topics = standard_topics(partitions)
    create_topics(kafka, topics, replicas=replication_factor)
    typer.echo(f"topics: {', '.join(topic.name for topic in topics)}")
    if not settings.kafka_security_protocol.startswith("SASL_"):
        typer.echo("users and access rules: none, for KAFKA_SECURITY_PROTOCOL names no SASL")
        return
    named = {process: os.environ.get(password_variable(process)) for process in PROCESSES}
    passwords = {process: password for process, password in named.items() if password}
    added, removed = set_up_users(kafka, passwords)
    typer.echo(f"users: {', '.join(passwords) or 'none'}")
    typer.echo(f"access rules: {added} added, {removed} removed")
