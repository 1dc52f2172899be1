"""Builds the dashboard into metrics-worker, and checks it: python tools/dashboard.py build|check.

The built files are kept beside the hash of everything that they were built from: a start builds only what changed.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.clients import ROOT, TYPESCRIPT, run, with_node

WORKER: Final = ROOT / "services" / "metrics-worker"
DASHBOARD: Final = WORKER / "dashboard"
BUILT: Final = WORKER / "src" / "metrics_worker" / "dashboard" / "built"
TOOLS: Final = DASHBOARD / "node_modules" / ".bin"
STAMP: Final = ".sources"
_NOT_SOURCES: Final = frozenset({"node_modules", "test", "e2e"})


def sources() -> Iterator[Path]:
    """Yield every file that the built page follows from: its own, and the client's that it carries."""
    yield Path(__file__)
    yield TYPESCRIPT / "src" / "index.ts"
    for folder, names, files in os.walk(DASHBOARD):
        names[:] = sorted(set(names) - _NOT_SOURCES)
        yield from (Path(folder) / file for file in sorted(files))


def fingerprint() -> str:
    """Return the hash of all sources, with their names."""
    digest = hashlib.sha256()
    for path in sources():
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def installed(env: Mapping[str, str]) -> None:
    """Install the locked packages, unless they are."""
    lock = (DASHBOARD / "package-lock.json").read_text()
    stamp = DASHBOARD / "node_modules" / ".installed"
    if not (stamp.exists() and stamp.read_text() == lock):
        run("npm packages of the dashboard", "npm", "ci", "--silent", at=DASHBOARD, env=env)
        stamp.write_text(lock)


def build() -> bool:
    """Build the page, unless what is there was built from the same sources. A failed build leaves what was there.

    Return whether it was built.
    """
    wanted = fingerprint()
    stamp = BUILT / STAMP
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    env = with_node()
    installed(env)
    with tempfile.TemporaryDirectory(dir=BUILT.parent, prefix=".built-") as folder:
        made = Path(folder) / "built"
        run("dashboard", TOOLS / "vite", "build", at=DASHBOARD, env={**env, "DASHBOARD_OUT": str(made)})
        (made / STAMP).write_text(wanted)
        shutil.rmtree(BUILT, ignore_errors=True)
        made.rename(BUILT)
    return True


def check() -> None:
    """Check the types against the client's, which `make clients` has made, and run the page's own tests."""
    env = with_node()
    installed(env)
    run("types of the dashboard", TOOLS / "tsc", at=DASHBOARD, env=env)
    tests = sorted(str(path.relative_to(DASHBOARD)) for path in (DASHBOARD / "test").glob("*.test.mjs"))
    run(
        "tests of the dashboard",
        "node",
        "--test",
        "--test-reporter=tap",
        *tests,
        at=DASHBOARD,
        env=env,
        shows_output=True,
    )


def main() -> None:
    """Do what the argument says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["build", "check"])
    try:
        {"build": build, "check": check}[parser.parse_args().what]()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"dashboard: {error}")


if __name__ == "__main__":
    main()
