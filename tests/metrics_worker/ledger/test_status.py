"""A ledger follows one set of settings and rules; a process with others stops."""

from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.app import create
from metrics_worker.domain.posting import Reporting
from metrics_worker.ledger.status import LedgerRulesDiffer, open_ledger
from metrics_worker.settings import MetricsSettings
from tests.metrics_worker.facts import VILNIUS


async def test_a_new_ledger_follows_the_settings(engine: AsyncEngine) -> None:
    assert await open_ledger(engine, VILNIUS) == VILNIUS


@pytest.mark.parametrize(
    "other",
    [Reporting(zone=ZoneInfo("UTC"), currency="EUR"), Reporting(zone=ZoneInfo("Europe/Vilnius"), currency="USD")],
)
async def test_a_ledger_keeps_what_it_follows_whatever_the_settings(engine: AsyncEngine, other: Reporting) -> None:
    await open_ledger(engine, VILNIUS)
    assert await open_ledger(engine, other) == VILNIUS


async def test_other_rules_do_not_continue_an_old_ledger(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    await open_ledger(engine, VILNIUS)
    monkeypatch.setattr("metrics_worker.ledger.status.RULES_VERSION", 1000)
    with pytest.raises(LedgerRulesDiffer, match=r"rules \d+, .* rules 1000: rebuild it"):
        await open_ledger(engine, VILNIUS)


async def test_the_api_does_not_start_over_a_ledger_of_other_rules(
    engine: AsyncEngine, settings: MetricsSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_ledger(engine, VILNIUS)
    monkeypatch.setattr("metrics_worker.ledger.status.RULES_VERSION", 1000)
    app = create(settings)
    with pytest.raises(LedgerRulesDiffer):
        async with app.router.lifespan_context(app):
            pass
    await app.state.engine.dispose()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("reporting_timezone", "Europe/Nowhere", "not a time zone"),
        ("reporting_timezone", "../../etc/passwd", "not a time zone"),
        ("reporting_currency", "EURO", "not an ISO 4217"),
    ],
)
def test_settings_that_mean_nothing_are_refused(name: str, value: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        MetricsSettings(database_url="postgresql+asyncpg://x/y", **{name: value})  # type: ignore[arg-type]
