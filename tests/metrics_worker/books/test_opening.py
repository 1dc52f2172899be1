"""Books are kept by one set of settings and rules; a process with others stops."""

from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.app import create
from metrics_worker.books.opening import BooksKeptOtherwise, open_books
from metrics_worker.kpis.posting import Reporting
from metrics_worker.settings import MetricsSettings
from tests.metrics_worker.facts import VILNIUS


async def test_books_open_again_with_the_same_settings(engine: AsyncEngine) -> None:
    await open_books(engine, VILNIUS)
    await open_books(engine, VILNIUS)


@pytest.mark.parametrize(
    "other",
    [Reporting(zone=ZoneInfo("UTC"), currency="EUR"), Reporting(zone=ZoneInfo("Europe/Vilnius"), currency="USD")],
)
async def test_other_settings_are_told_what_to_do(engine: AsyncEngine, other: Reporting) -> None:
    await open_books(engine, VILNIUS)
    with pytest.raises(BooksKeptOtherwise, match=r"kept in time zone Europe/Vilnius, currency EUR, .*Set REPORTING_"):
        await open_books(engine, other)


async def test_other_rules_do_not_go_on_with_old_books(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    await open_books(engine, VILNIUS)
    monkeypatch.setattr("metrics_worker.books.opening.RULES_VERSION", 2)
    with pytest.raises(BooksKeptOtherwise, match=r"rules 1; .* rules 2"):
        await open_books(engine, VILNIUS)


async def test_the_api_does_not_start_over_books_kept_otherwise(engine: AsyncEngine, settings: MetricsSettings) -> None:
    await open_books(engine, VILNIUS)
    app = create(settings.model_copy(update={"reporting_timezone": "UTC"}))
    with pytest.raises(BooksKeptOtherwise):
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
