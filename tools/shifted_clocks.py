"""Runs tests under shifted clocks: python tools/shifted_clocks.py PYTEST-ARGUMENTS…

Every process but the Kafka broker sees the other time, by libfaketime: a JVM does not start under it. The monotonic
clock stays, so that timeouts last as long as they do otherwise.
"""

import os
import subprocess
import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

CLOCKS = {
    "a minute before midnight UTC on 29 February": ("2028-02-29T23:59:00Z", "UTC"),
    "a minute before the year's end in Vilnius": ("2027-12-31T21:59:00Z", "Europe/Vilnius"),
    "a minute before the clocks go forward, on a Sunday": ("2027-03-28T00:59:00Z", "Europe/Vilnius"),
    "a minute before the clocks go back, on the last of a month": ("2027-10-31T00:59:00Z", "Europe/Vilnius"),
}
"""When the tests begin, and the time zone of the machine."""


def library() -> Path | None:
    """Return the library that shifts clocks; None where it is not installed."""
    package = find_spec("libfaketime")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"


def environment(preload: Path, instant: str, zone: str) -> dict[str, str]:
    """Return the environment of a process for which it is `instant` now."""
    seconds = round((datetime.fromisoformat(instant) - datetime.now(UTC)).total_seconds())
    return {
        **os.environ,
        "TZ": zone,
        "LD_PRELOAD": str(preload),
        "FAKETIME": f"{seconds:+d}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


def main() -> int:
    """Run pytest once for each clock; return 1 when a run fails."""
    preload = library()
    if preload is None:
        print("shifted clocks: not run, for libfaketime comes for Linux on x86_64 only")
        return 0
    failed = []
    for name, (instant, zone) in CLOCKS.items():
        print(f"\n{name}: {instant}, TZ={zone}", flush=True)
        shifted = environment(preload, instant, zone)
        command = [sys.executable, "-m", "pytest", *sys.argv[1:]]
        if subprocess.run(command, env=shifted, check=False).returncode != 0:
            failed.append(name)
    if failed:
        print(f"shifted clocks: failed at {'; '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
