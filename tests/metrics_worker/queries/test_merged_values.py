"""Values of declared lists in answers: labels beside keys, and merged values counted as one until it is taken back."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from event_contracts.catalogue import SALES_DIRECTORY_TOPIC
from event_contracts.directory import SalesListValueSet
from metrics_worker.ledger.tables import directory_name
from tests.metrics_worker.conftest import Metrics
from tests.metrics_worker.directories import entry, keep
from tests.metrics_worker.facts import deal, interaction, lead, line, logged, moment

IDS: dict[str, UUID] = {key: UUID(int=number) for number, key in enumerate(("show", "fair", "trade-show", "web"), 1)}


async def told(metrics: Metrics, key: str, sequence: int, *, name: str = "", into: str | None = None) -> None:
    """An entry of a channel, as sales publishes it."""
    value = SalesListValueSet(
        id=IDS[key], kind="list_value", list="channels", key=key, name=name or key.title(), merged_into=into
    )
    await keep(metrics.engine, (SALES_DIRECTORY_TOPIC, value.id, entry(value, sequence=sequence)))


def groups(answer: Any) -> dict[Any, str | None]:
    """The values of an answer by its groups' keys, in their order."""
    return {
        tuple(each["keys"].values()) if len(each["keys"]) > 1 else each["key"]: each["value"]
        for each in answer["groups"]
    }


def total(answer: Any) -> list[Any]:
    """What a merge must leave alone."""
    return [answer[name] for name in ("value", "numerator", "denominator", "coverage")]


async def sold(metrics: Metrics) -> None:
    """Leads and won deals of four channels, and one contact by the web."""
    cycle = {"opened_at": moment("2026-03-01T08:00"), "stage": "won"}
    await metrics.ingest(
        *(lead(channel=channel) for channel in ("show", "fair", "fair", "trade-show", "web", None)),
        deal(line("desk", 1, "10"), channel="show", closed_at=moment("2026-03-05T08:00"), **cycle),
        deal(line("desk", 1, "20"), channel="fair", closed_at=moment("2026-03-09T08:00"), **cycle),
        deal(line("desk", 1, "40"), channel="fair", closed_at=moment("2026-03-21T08:00"), region="APAC", **cycle),
        logged(interaction(channel="web"), channel="web"),
        logged(interaction(channel="phone"), channel="phone"),
    )


KPIS = ("leads_created", "revenue", "sales_cycle_days", "win_rate", "pipeline_value")


async def every_answer(metrics: Metrics) -> list[Any]:
    """What the KPIs say by channel, by channel and region, of one channel, by weeks, and explained."""
    found: list[Any] = []
    for kpi in KPIS:
        found.append(groups(await metrics.ask(kpi, group_by="channel")))
        found.append(groups(await metrics.ask(kpi, group_by="channel,region")))
        for channel in ("show", "fair", "trade-show", ""):
            found.append(await metrics.value(kpi, channel=channel))
            found.append((await metrics.ask(kpi, channel=channel, interval="week"))["series"])
            found.append((await metrics.ask(kpi + "/explain", channel=channel))["value"])
    return found


async def test_a_merge_counts_two_channels_as_one_and_its_undo_leaves_nothing(metrics: Metrics) -> None:
    await sold(metrics)
    for key in IDS:
        await told(metrics, key, 1)
    before, whole = await every_answer(metrics), [total(await metrics.ask(kpi)) for kpi in KPIS]
    assert groups(await metrics.ask("leads_created", group_by="channel")) == {
        "fair": "2", "show": "1", "trade-show": "1", "web": "1", None: "1"
    }  # fmt: skip

    # One after the other: what was merged first goes along.
    await told(metrics, "fair", 2, into="trade-show")
    await told(metrics, "trade-show", 2, into="show")
    assert groups(await metrics.ask("leads_created", group_by="channel")) == {"show": "4", "web": "1", None: "1"}
    assert groups(await metrics.ask("revenue", group_by="channel")) == {"show": "70.00"}
    assert groups(await metrics.ask("revenue", group_by="channel,region")) == {
        ("show", "APAC"): "40.00", ("show", "EMEA"): "30.00"
    }  # fmt: skip
    # Of 4, 8 and 20 days: the mean and the median are those of all of them.
    assert groups(await metrics.ask("sales_cycle_days", group_by="channel")) == {"show": "10.666667"}
    medians = groups(await metrics.ask("sales_cycle_days", group_by="channel", variant="median"))
    assert abs(Decimal(medians["show"] or "0") - 8) < Decimal("0.2")
    for channel in ("show", "fair", "trade-show"):
        assert await metrics.value("leads_created", channel=channel) == "4"
        assert await metrics.value("revenue", channel=channel, region="EMEA") == "30.00"
        explained = await metrics.ask("revenue/explain", channel=channel)
        assert explained["value"] == "70.00"
        assert sorted(each["dimensions"]["channel"] for each in explained["items"]) == ["fair", "fair", "show"]
    assert [total(await metrics.ask(kpi)) for kpi in KPIS] == whole

    await told(metrics, "fair", 3)
    await told(metrics, "trade-show", 3)
    assert await every_answer(metrics) == before


async def test_ways_of_contacts_are_no_channels_of_sales(metrics: Metrics) -> None:
    await sold(metrics)
    await told(metrics, "web", 1, name="Our shop", into="show")
    contacts = await metrics.ask("average_handle_time", group_by="channel")
    assert set(groups(contacts)) == {"web", "phone"}
    assert set(groups(await metrics.ask("leads_created", group_by="channel"))) == {"show", "fair", "trade-show", None}


async def test_labels_are_beside_the_keys(metrics: Metrics) -> None:
    await sold(metrics)
    await told(metrics, "show", 1, name="Trade show")
    await told(metrics, "show", 2, name="Shows and fairs")
    answer = await metrics.ask("leads_created", group_by="channel")
    assert {each["key"]: each["names"] for each in answer["groups"]}["show"] == {"channel": "Shows and fairs"}
    assert (await metrics.ask("leads_created", channel="show"))["names"] == {"channel": "Shows and fairs"}
    assert (await metrics.ask("leads_created", channel="fair"))["names"] == {}


async def test_a_key_of_another_list_names_no_product(metrics: Metrics) -> None:
    await sold(metrics)
    reason = SalesListValueSet(
        id=UUID(int=99), kind="list_value", list="close_reasons", key="desk", name="Only the desk"
    )
    await keep(metrics.engine, (SALES_DIRECTORY_TOPIC, reason.id, entry(reason)))
    assert [each["names"] for each in (await metrics.ask("revenue", group_by="product"))["groups"]] == [{}]


async def test_events_that_came_apart_make_no_circle(metrics: Metrics) -> None:
    """Sales refuses circles, but the directory may show two entries of different times side by side."""
    await sold(metrics)
    await told(metrics, "show", 1, into="fair")
    await told(metrics, "fair", 1, into="show")
    answer = groups(await metrics.ask("leads_created", group_by="channel"))
    assert sum(int(value or 0) for value in answer.values()) == 6
    async with metrics.engine.connect() as connection:
        merged = await connection.scalars(sa.select(directory_name.c.merged_into).order_by(directory_name.c.id))
        assert list(merged) == ["fair", "show"]
