"""The figures of a benchmark: printed, and kept as one number a name, so that runs can be compared."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

FILE = Path(__file__).parents[2] / ".tandem" / "bench.json"


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that so many percent of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def report(name: str, value: float, unit: str) -> None:
    """Print one figure and keep it."""
    print(f"{name:54} {value:12.3f} {unit}")
    FILE.parent.mkdir(exist_ok=True)
    figures = json.loads(FILE.read_text()) if FILE.exists() else {}
    figures[name] = round(value, 4)
    FILE.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)
