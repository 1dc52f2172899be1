"""Runs the unit tests and the contract check on every other Python from 3.11 on that this machine has.

Each gets an environment of its own under `.tandem/pythons`, built from the same lock.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".tandem" / "pythons"
OLDEST = (3, 11)
INSTALLATIONS = (
    Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions",
    Path("~/.local/share/uv/python").expanduser(),
    Path("/opt/hostedtoolcache/Python"),
)
"""Where pyenv, uv and hosted runners keep a Python for each version."""

Version = tuple[int, ...]


def found() -> dict[Version, Path]:
    """Return an interpreter for each minor version but this one's: the newest of those that work."""
    candidates = [Path(path) for minor in range(11, 30) if (path := shutil.which(f"python3.{minor}"))]
    for folder in INSTALLATIONS:
        candidates += [*folder.glob("*/bin/python3"), *folder.glob("*/*/bin/python3")]
    newest: dict[Version, tuple[Version, Path]] = {}
    for candidate in candidates:
        version = version_of(candidate)
        if version is None or version < OLDEST or version[:2] == sys.version_info[:2]:
            continue
        newest[version[:2]] = max(newest.get(version[:2], (version, candidate)), (version, candidate))
    return {minor: python for minor, (_, python) in sorted(newest.items())}


def version_of(python: Path) -> Version | None:
    """Return the version of an interpreter that can make virtual environments; None of any other, or of a shim."""
    program = "import ensurepip, platform, venv; print(platform.python_version())"
    answer = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    matched = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)\n", answer.stdout)
    return tuple(map(int, matched.groups())) if matched and answer.returncode == 0 else None


def passes(minor: Version, python: Path) -> bool:
    """Run the checks on one interpreter."""
    environment = ENVIRONMENTS / ".".join(map(str, minor))
    own = str(environment / "bin" / "python")
    steps = [
        [str(python), str(ROOT / "tools" / "bootstrap.py"), "--venv", str(environment)],
        [own, "-m", "event_contracts.publish", "docs", "--check"],
        [own, "-m", "pytest", "-p", "no:cacheprovider", "-m", "unit and not long"],
    ]
    return all(subprocess.run(step, cwd=ROOT, check=False).returncode == 0 for step in steps)


def main() -> int:
    """Check all, and print which were run; return 1 when one fails."""
    results = {}
    for minor, python in found().items():
        print(f"\nPython {'.'.join(map(str, minor))}: {python}", flush=True)
        results[minor] = passes(minor, python)
    run = [f"{'.'.join(map(str, minor))} {'passed' if good else 'FAILED'}" for minor, good in results.items()]
    print(f"\nother Pythons: {', '.join(run) or 'this machine has none from 3.11 on'}")
    print(f"the whole suite runs on {sys.version.split()[0]}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
