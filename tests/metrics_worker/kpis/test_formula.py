"""KPIs are declarations; mistakes in them are found at once, and the document follows them."""

from pathlib import Path

import pytest

from metrics_worker.kpis.document import document
from metrics_worker.kpis.formula import KPIS, Formula, Kpi, declare

DOCUMENT = Path(__file__).parents[3] / "docs" / "kpis.md"


def test_the_document_says_what_the_registry_says() -> None:
    written = DOCUMENT.read_text()
    assert written == document(), "run: .venv/bin/python -m metrics_worker.kpis.document > docs/kpis.md"


def test_the_kpis_that_this_exists_for_are_declared() -> None:
    assert {
        "sales_volume", "revenue", "lead_conversion_rate", "quota_attainment",
        "csat", "resolution_rate", "first_contact_resolution", "average_handle_time",
    } <= KPIS.keys()  # fmt: skip


def test_a_kpi_over_existing_measures_is_one_declaration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics_worker.kpis.formula.KPIS", kpis := dict(KPIS))
    formula = Formula("ratio", ("ticket.opened",), ("deal.won",), says="tickets for each won deal")
    kpi = declare(Kpi("tickets_per_deal", "Tickets per deal", "both", "lagging", "down", {"standard": formula}, "…"))
    assert kpis["tickets_per_deal"] is kpi
    assert kpi.dimensions == ("region", "segment", "product", "channel", "owner", "team", "customer")
    assert kpi.default_variant == "standard"


def test_a_name_is_declared_once() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        declare(KPIS["revenue"])


@pytest.mark.parametrize(
    ("numerator", "denominator", "reason"),
    [
        (("deal.wonn",), (), "no measure deal.wonn"),
        (("revenue",), (), "no measure revenue"),
        (("deal.won", "deal.revenue"), (), "not of one unit"),
        (("deal.won",), ("deal.lost", "deal.revenue"), "not of one unit"),
        ((), ("deal.won",), "needs a numerator"),
    ],
)
def test_a_formula_over_nothing_that_is_measured_is_refused(
    numerator: tuple[str, ...], denominator: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        Formula("count", numerator, denominator)


@pytest.mark.parametrize(
    ("numerator", "percentile", "reason"),
    [
        (("ticket.opened@start",), None, "only a level can be read at the start"),
        (("ticket.backlog@end",), None, "only a level can be read at the start"),
        (("ticket.opened[stage]",), None, "ticket.opened is not told apart by stage"),
        (("deal.pipeline_deals[product]",), None, "is not told apart by product"),
        (("ticket.opened",), 50, "percentiles are known of single durations only"),
        (("ticket.resolution_seconds", "ticket.first_response_seconds"), 50, "of single durations only"),
    ],
)
def test_a_measure_is_only_read_in_the_ways_it_can_be(
    numerator: tuple[str, ...], percentile: int | None, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        Formula("count", numerator, percentile=percentile)


def test_what_a_measure_is_not_told_apart_by_is_no_dimension_of_its_kpi() -> None:
    assert "stage" in KPIS["pipeline_value"].dimensions
    assert "product" not in KPIS["pipeline_value"].dimensions
    assert "stage" not in KPIS["revenue"].dimensions
    assert "product" in KPIS["revenue"].dimensions


def test_every_mean_of_a_duration_has_a_median_and_a_p90_beside_it() -> None:
    for kpi in KPIS.values():
        for name in kpi.variants:
            if name.endswith("mean") and kpi.variants[name].unit in ("seconds", "minutes", "hours", "days"):
                prefix = name.removesuffix("mean")
                assert {f"{prefix}median", f"{prefix}p90"} <= kpi.variants.keys(), kpi.name


def test_what_two_kinds_do_not_share_is_no_dimension_of_a_kpi_over_both() -> None:
    assert KPIS["quota_attainment"].dimensions == ("owner", "team")
    assert "priority" in KPIS["csat"].dimensions
    assert "priority" not in KPIS["revenue"].dimensions


def test_what_two_kinds_mean_differently_by_one_name_is_no_dimension_of_a_kpi_over_both() -> None:
    # An agent's minutes divided by a salesperson's customers, contacts by web divided by customers who came by web, …
    assert KPIS["cost_to_serve_minutes"].dimensions == ("region", "segment", "customer")
    assert KPIS["advocacy"].dimensions == ("region", "segment", "customer")
    assert KPIS["upsell_from_service"].dimensions == ("region", "segment", "product", "customer")
