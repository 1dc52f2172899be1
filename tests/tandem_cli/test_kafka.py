"""A broker that answers before its own metadata lists it is waited for."""

from typing import Any, cast

import pytest
from aiokafka.errors import NodeNotReadyError

from service_kit.kafka import KafkaServers
from tandem_cli import kafka
from tandem_cli.problem import StackProblem


class Admin:
    """An admin client of a broker that lists itself from the nth client on."""

    def __init__(self, listed_from: float) -> None:
        self.listed_from = listed_from
        self.started = self.closed = 0

    async def start(self) -> None:
        self.started += 1

    async def find_coordinator(self, group: str) -> int:
        if self.started < self.listed_from:
            raise NodeNotReadyError("Attempt to send a request to node which is not ready (node id None).")
        return 1

    async def close(self) -> None:
        self.closed += 1


class Servers:
    """The address of such a broker."""

    bootstrap_servers = "127.0.0.1:1"

    def __init__(self, listed_from: float) -> None:
        self.asked = Admin(listed_from)

    def admin(self) -> Any:
        return self.asked


def test_a_broker_that_does_not_list_itself_yet_is_asked_again() -> None:
    servers = Servers(listed_from=3)
    kafka._make_offsets_topic(cast("KafkaServers", servers))
    assert (servers.asked.started, servers.asked.closed) == (3, 3)


def test_a_broker_that_never_lists_itself_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "TOPIC_SECONDS", 0.0)
    servers = Servers(listed_from=float("inf"))
    with pytest.raises(StackProblem, match="did not list itself"):
        kafka._make_offsets_topic(cast("KafkaServers", servers))
    assert servers.asked.started == servers.asked.closed
