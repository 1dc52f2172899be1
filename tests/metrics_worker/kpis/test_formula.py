"""KPIs are declarations; mistakes in them are found at once, and the document follows them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from metrics_worker.domain.deal import DealMeasures as Deal
from metrics_worker.domain.ticket import TicketMeasures as Ticket
from metrics_worker.kpis.catalogue import KPIS, by_name
from metrics_worker.kpis.document import document
from metrics_worker.kpis.formula import Formula, Kpi

DOCUMENT = Path(__file__).parents[3] / "docs" / "kpis.md"


def test_the_document_follows_the_catalogue() -> None:
    written = DOCUMENT.read_text()
    assert written == document(), "run: .venv/bin/python -m metrics_worker.kpis.document > docs/kpis.md"


def test_the_kpis_that_this_exists_for_are_declared() -> None:
    assert {
        "sales_volume", "revenue", "lead_conversion_rate", "quota_attainment",
        "csat", "resolution_rate", "first_contact_resolution", "average_handle_time",
    } <= KPIS.keys()  # fmt: skip


def test_a_kpi_over_existing_measures_is_one_declaration() -> None:
    formula = Formula("ratio", Ticket.opened, Deal.won, "tickets for each won deal")
    kpi = Kpi("tickets_per_deal", "Tickets per deal", "both", "lagging", "down", {"standard": formula}, "…")
    assert by_name([*KPIS.values(), kpi])["tickets_per_deal"] is kpi
    assert kpi.dimensions == ("region", "segment", "product", "channel", "owner", "team", "customer")
    assert kpi.default_variant == "standard"


def test_a_name_is_declared_once() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        by_name([KPIS["revenue"], KPIS["revenue"]])


@pytest.mark.parametrize("name", ["wonn", "revenu"])
def test_a_measure_that_a_kind_lacks_is_refused(name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        getattr(Deal, name)


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        (lambda: Formula("count", Deal.won + Deal.revenue), "not of one unit"),
        (lambda: Formula("count", Deal.won, Deal.lost - Deal.revenue), "not of one unit"),
        (lambda: Formula("count", Ticket.opened.at_start()), "only a semi-additive measure can be read at the start"),
        (lambda: Formula("count", Ticket.opened.carrying("stage")), "ticket.opened is not broken down by stage"),
        (lambda: Formula("count", Deal.pipeline_deals.carrying("product")), "is not broken down by product"),
        (lambda: Formula("count", Ticket.opened, percentile=50), "percentiles are known of single durations only"),
        (
            lambda: Formula("hours", Ticket.resolution_seconds + Ticket.first_response_seconds, percentile=50),
            "of single durations only",
        ),
    ],
)
def test_a_measure_is_only_read_in_the_ways_it_can_be(formula: Callable[[], Formula], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        formula()


def test_a_term_is_written_as_the_api_shows_it() -> None:
    total = Ticket.backlog.at_start() + Ticket.opened.carrying("region") - Ticket.backlog
    assert [str(term) for term in total.terms] == ["ticket.backlog@start", "ticket.opened[region]", "-ticket.backlog"]


def test_what_a_measure_cannot_be_grouped_by_is_no_dimension_of_its_kpi() -> None:
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
