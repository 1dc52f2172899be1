"""The targets of the demo: metrics-api takes them, and what people changed stays."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from metrics_worker.kpis.catalogue import KPIS
from metrics_worker.targets.schemas import TargetSetRequest, places_of
from tandem_cli.api import Answer
from tandem_cli.demo.company import Company
from tandem_cli.demo.targets import set_targets, targets_of

pytestmark = pytest.mark.unit


class Metrics:
    """Has targets, and records what is set."""

    def __init__(self, *there: str) -> None:
        self.there = list(there)
        self.set: list[str] = []

    async def get(self, path: str) -> Any:
        assert path == "targets"
        return {"items": self.there}

    async def put(self, path: str, body: Any, *, key: str) -> Answer:
        self.set.append(path)
        return Answer(201, body, False)


def test_each_is_of_a_number_that_there_is() -> None:
    company = Company(7, 150)
    for address, body in targets_of(company):
        parts = urlsplit(address)
        kpi = KPIS[parts.path]
        assert dict(parse_qsl(parts.query)).get("variant", kpi.default_variant) in kpi.variants, address
        assert places_of(TargetSetRequest.model_validate(body).value) <= 2, address


async def test_they_are_set_once_and_then_left_to_people() -> None:
    company, new, used = Company(7, 150), Metrics(), Metrics("one")
    await set_targets(new, company)  # type: ignore[arg-type]
    assert new.set == [f"targets/{address}" for address, _ in targets_of(company)]
    await set_targets(used, company)  # type: ignore[arg-type]
    assert used.set == []
