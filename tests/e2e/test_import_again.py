"""An import may be run again, be broken off, and meet bad rows: nothing is done twice and nothing good is left out."""

import asyncio
import csv
import signal
import subprocess
from pathlib import Path

import asyncpg
import httpx
import pytest

from tandem_cli.ports import free_port
from tandem_cli.stack import LocalStack
from tests.e2e.conftest import TANDEM, Kpis, Run, published
from tests.faults.oracle import read_log
from tests.support import eventually
from tests.tandem_cli.imports.samples import (
    DEAL_COLUMNS,
    LEAD_COLUMNS,
    LEADS,
    TICKET_COLUMNS,
    TICKETS,
    changed,
    written,
)

CHANGES = [
    "T{0};0;0{1}.02.2012 08:00;0{1}.02.2012 08:05;New;0;Phone;1;Caller {1};Place 1;Thing 2;Group 1;?;?;?;?",
    "T{0};1;0{1}.02.2012 08:00;0{1}.02.2012 09:00;Resolved;0;Phone;1;Caller {1};Place 1;Thing 2;Group 2;Ann;?;?;?",
    "T{0};2;0{1}.02.2012 08:00;1{1}.02.2012 09:00;Active;1;Phone;1;Caller {1};Place 1;Thing 2;Group 2;Bob;?;?;?",
    "T{0};3;0{1}.02.2012 08:00;2{1}.02.2012 09:00;Closed;1;Phone;1;Caller {1};Place 1;Thing 2;Group 2;Bob;"
    "19.02.2012 10:00;Cy;2{1}.02.2012 09:00",
]


def leads_files(folder: Path, name: str, count: int) -> list[Path]:
    """Leads of which every third is won, every third lost and every third left."""
    leads = [f"{name}{number},2012-03-0{number % 9 + 1} 09:00,Trade show,Jonas" for number in range(count)]
    deals = [
        f"{name}{number},2012-04-0{number % 9 + 1} 09:00,{'WL'[number % 3]},price,C {number},Rasa,USD,pump,2,10.5"
        for number in range(count)
        if number % 3 < 2
    ]
    return [
        written(folder / "mapping.yaml", changed(LEADS, "name", to=name)),
        written(folder / "leads.csv", LEAD_COLUMNS, *leads),
        written(folder / "deals.csv", DEAL_COLUMNS, *deals),
    ]


def tickets_files(folder: Path, name: str, count: int) -> list[Path]:
    """Tickets that were each resolved, reopened, resolved again and closed."""
    lines = [line.format(number, number % 9 + 1) for number in range(count) for line in CHANGES]
    return [
        written(folder / "mapping.yaml", changed(TICKETS, "name", to=name)),
        written(folder / "changes.csv", TICKET_COLUMNS, *lines),
    ]


async def events(stack: LocalStack) -> int:
    await published(stack)
    return (await read_log(stack.bootstrap_servers)).events


async def forget_keys(stack: LocalStack) -> None:
    """What happens by itself after a week."""
    for database in ("sales", "service"):
        url = stack.database_url(database).replace("postgresql+asyncpg", "postgresql")
        connection = await asyncpg.connect(url)
        await connection.execute("delete from idempotency_key")
        await connection.close()


async def test_a_second_run_of_leads_and_deals_changes_nothing(stack: LocalStack, tandem: Run, tmp_path: Path) -> None:
    files = leads_files(tmp_path, "again", 24)
    first = await asyncio.to_thread(tandem, "import", *files)
    assert "24 leads imported, 0 completed, 0 were there already, 0 failed" in first.stdout
    before = await events(stack)
    second = await asyncio.to_thread(tandem, "import", *files)
    assert (second.returncode, second.stderr) == (0, "")
    assert "0 leads imported, 0 completed, 24 were there already, 0 failed" in second.stdout
    await forget_keys(stack)
    third = await asyncio.to_thread(tandem, "import", *files)
    assert "0 leads imported, 0 completed, 24 were there already, 0 failed" in third.stdout
    assert await events(stack) == before


async def test_a_second_run_of_tickets_changes_nothing(stack: LocalStack, tandem: Run, tmp_path: Path) -> None:
    files = tickets_files(tmp_path, "again-tickets", 12)
    first = await asyncio.to_thread(tandem, "import", *files)
    assert "12 tickets imported, 0 completed, 0 were there already, 0 failed" in first.stdout
    before = await events(stack)
    second = await asyncio.to_thread(tandem, "import", *files)
    assert "0 tickets imported, 0 completed, 12 were there already, 0 failed" in second.stdout
    await forget_keys(stack)
    third = await asyncio.to_thread(tandem, "import", *files)
    assert "0 tickets imported, 0 completed, 12 were there already, 0 failed" in third.stdout
    assert await events(stack) == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
async def test_an_import_that_was_broken_off_goes_on_where_it_stopped(
    stack: LocalStack, tandem: Run, kpis: Kpis, tmp_path: Path, number: signal.Signals
) -> None:
    count = 250
    mapping, *files = tickets_files(tmp_path, f"broken-off-{number.value}", count)

    async def begun() -> int:
        return int((await kpis.ask("tickets_opened", "2012-02-01", "2012-02-28", product="thing-2"))["numerator"])

    before = await begun()
    command = [TANDEM, "import", str(mapping), *map(str, files), "--data-dir", str(stack.data.path)]
    process = subprocess.Popen(  # noqa: ASYNC220
        [*command, "--concurrency", "1"],
        stdout=subprocess.PIPE,
        text=True,
        # As a script starts what runs in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )

    async def some_are_in() -> bool:
        return await begun() >= before + 5

    await eventually(some_are_in, 60)
    process.send_signal(number)
    output, _ = await asyncio.to_thread(process.communicate)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert ("Run the same command again" in output) is (number == signal.SIGINT)
    rest = await asyncio.to_thread(tandem, "import", mapping, *files)
    assert rest.returncode == 0, rest.stdout

    async def all_are_resolved() -> bool:
        rate = await kpis.ask("resolution_rate", "2012-02-01", "2012-02-28", product="thing-2")
        return bool(rate["numerator"] == rate["denominator"] == before + count)

    await eventually(all_are_resolved, 60)


async def test_a_ticket_that_was_half_imported_a_week_ago_is_completed(
    stack: LocalStack, tandem: Run, service: httpx.AsyncClient, tmp_path: Path
) -> None:
    mapping, changes = tickets_files(tmp_path, "half", 1)
    lines = changes.read_text().splitlines()
    written(changes, *lines[:4])  # up to the reopening; the file of last week
    assert (await asyncio.to_thread(tandem, "import", mapping, changes)).returncode == 0
    await forget_keys(stack)
    written(changes, *lines)
    rest = await asyncio.to_thread(tandem, "import", mapping, changes)
    assert "0 tickets imported, 1 completed, 0 were there already, 0 failed" in rest.stdout
    page = (await service.get("/v1/tickets", params={"external_ref": "half:T0"})).json()
    assert (page["items"][0]["status"], page["items"][0]["reopen_count"]) == ("closed", 1)


async def test_bad_rows_are_reported_and_the_good_ones_are_in(
    tandem: Run, sales: httpx.AsyncClient, tmp_path: Path
) -> None:
    mapping, leads, deals = leads_files(tmp_path, "bad-rows", 4)
    written(
        leads,
        *leads.read_text().splitlines(),
        "odd,1st of March,Trade show,Jonas",
        "old,1969-03-01 09:00,Trade show,Jonas",
    )
    written(deals, *deals.read_text().splitlines()[:2], "bad-rows1,2011-01-01 09:00,W,price,C,Rasa,USD,pump,2,10.5")
    report = tmp_path / "errors.csv"
    done = await asyncio.to_thread(tandem, "import", mapping, leads, deals, "--errors", report)
    assert done.returncode == 1
    assert "3 leads imported, 0 completed, 0 were there already, 3 failed" in done.stdout
    with report.open(newline="") as file:
        errors = [(row["file"], row["row"], row["column"]) for row in csv.DictReader(file)]
    assert errors == [("deals.csv", "3", "closed"), ("leads.csv", "6", "created"), ("leads.csv", "7", "created")]
    for reference, there in (("bad-rows0", True), ("bad-rows1", False), ("bad-rows2", True), ("old", False)):
        page = (await sales.get("/v1/leads", params={"external_ref": f"bad-rows:{reference}"})).json()
        assert bool(page["items"]) is there


async def test_a_row_whose_values_changed_since_it_was_imported_is_left_and_reported(
    tandem: Run, tmp_path: Path
) -> None:
    mapping, leads, deals = leads_files(tmp_path, "moved-on", 3)
    assert (await asyncio.to_thread(tandem, "import", mapping, leads, deals)).returncode == 0
    written(leads, *leads.read_text().replace("moved-on2,2012-03-03", "moved-on2,2012-03-09").splitlines())
    done = await asyncio.to_thread(tandem, "import", mapping, leads, deals)
    assert done.returncode == 1
    assert "was imported before with other values" in done.stdout


async def test_a_missing_exchange_rate_is_reported_with_its_row(tandem: Run, tmp_path: Path) -> None:
    mapping, leads, deals = leads_files(tmp_path, "no-rate", 1)
    written(mapping, changed(mapping.read_text(), "exchange_rates", to=[]))
    written(deals, *deals.read_text().replace("USD", "CHF").splitlines())
    done = await asyncio.to_thread(tandem, "import", mapping, leads, deals)
    assert done.returncode == 1
    assert "Set the rate of CHF for 2012-04-01" in " ".join(done.stdout.split())


async def test_a_dry_run_checks_everything_and_sends_nothing(
    stack: LocalStack, tandem: Run, sales: httpx.AsyncClient, tmp_path: Path
) -> None:
    files = leads_files(tmp_path, "dry", 3)
    done = await asyncio.to_thread(tandem, "import", *files, "--dry-run")
    assert done.returncode == 0
    assert "Would send 3 records in 7 steps" in done.stdout
    assert (await sales.get("/v1/leads", params={"external_ref": "dry:dry0"})).json()["items"] == []


async def test_a_token_that_may_not_import_is_reported_once(stack: LocalStack, tandem: Run, tmp_path: Path) -> None:
    files = leads_files(tmp_path, "forbidden", 3)
    done = await asyncio.to_thread(tandem, "import", *files, "--token", stack.token("analyst"))
    assert done.returncode == 1
    assert "needs one of the roles" in " ".join(done.stderr.split())
    nonsense = await asyncio.to_thread(tandem, "import", *files, "--token", "nonsense")
    assert nonsense.returncode == 1
    assert "is no sales-api that takes this token" in " ".join(nonsense.stderr.split())


async def test_an_address_where_nothing_answers_is_reported_soon(tandem: Run, tmp_path: Path) -> None:
    files = leads_files(tmp_path, "nowhere", 1)
    done = await asyncio.to_thread(tandem, "import", *files, "--sales-url", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "did not answer for 5 s" in " ".join(done.stderr.split())
