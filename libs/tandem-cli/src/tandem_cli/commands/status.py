"""`tandem status`: what runs, whether it is ready, and what it costs."""

import time

import psutil
import typer
from rich.console import Console
from rich.table import Table

from tandem_cli.data_dir import DataDir, Part, Running
from tandem_cli.options import DEFAULT_DATA_DIR, DataDirOption
from tandem_cli.processes import answers_ready

SAMPLE_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    app.command()(status)


def status(data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Show each process with its ports, state, memory and CPU; exit code 1 when nothing runs.

    `metrics` is the port of its `/metrics`.
    """
    data = DataDir(data_dir)
    running = data.running()
    if running is None:
        typer.echo(f"Nothing runs on {data.path}.")
        raise typer.Exit(1)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("process", "pid", "port", "metrics", "state", "memory", "cpu"):
        table.add_column(name, justify="left" if name in ("process", "state") else "right")
    total_bytes = 0
    total_cpu = 0.0
    for part, processes, cpu in _sampled(running):
        memory = sum(memory_bytes(process) for process in processes)
        total_bytes += memory
        total_cpu += cpu
        ports = [str(port) if port else "" for port in (part.port, part.metrics_port)]
        table.add_row(part.name, str(part.pid), *ports, _state(part, processes), _mib(memory), f"{cpu:.0f} %")
    table.add_section()
    table.add_row("total", "", "", "", "", _mib(total_bytes), f"{total_cpu:.0f} %", style="bold")
    console = Console()
    console.print(table)
    for name, url in {**running.urls, "Kafka": running.kafka}.items():
        console.print(f"{name:<9} {url}", highlight=False)


def memory_bytes(process: psutil.Process) -> int:
    """What the process costs: memory that it shares counts by its share (PSS) where that can be read, else wholly."""
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.rss))
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _sampled(running: Running) -> list[tuple[Part, list[psutil.Process], float]]:
    """Each part with its processes and the CPU it used in percent of one core."""
    parts = [*running.parts, Part("supervisor", running.pid, 0)]
    pids = {part.pid for part in parts}
    families = [(part, _family(part, pids)) for part in parts]
    before = {process: _cpu_seconds(process) for _, family in families for process in family}
    began = time.monotonic()
    time.sleep(SAMPLE_SECONDS)
    seconds = time.monotonic() - began
    return [
        (part, family, 100 * sum(max(0.0, _cpu_seconds(p) - before[p]) for p in family) / seconds)
        for part, family in families
    ]


def _family(part: Part, others: set[int]) -> list[psutil.Process]:
    """The part's process and its children that are no parts of their own (PostgreSQL has one for each connection)."""
    try:
        process = psutil.Process(part.pid)
        return [process, *(child for child in process.children() if child.pid not in others)]
    except psutil.NoSuchProcess:
        return []


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
        return float(times.user + times.system)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0.0


def _state(part: Part, processes: list[psutil.Process]) -> str:
    if not processes:
        return "gone"
    if processes[0].status() == psutil.STATUS_STOPPED:
        return "suspended"
    if not part.serves_health:
        return "running"
    return "ready" if answers_ready(part.port) else "not ready"


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
