"""Builds the project's virtual environment from the hashed locks; needs only Python and the standard library.

Run by `make`; quick when nothing changed. Every failure ends in one sentence with the remedy.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = "uv==0.13.9"
MINIMUM_PYTHON = (3, 11)
NEEDED_BYTES = 2 * 1024**3
LOCKS = {
    "runtime": [ROOT / "deploy" / "locks" / name for name in ("build.lock", "services.lock", "tools.lock")],
    "development": [ROOT / "requirements.lock"],
}
"""What each set of packages is installed from: exports of one resolution. The second set holds the first."""
MEMBERS = sorted(path.parent for pattern in ("libs/*", "services/*") for path in ROOT.glob(f"{pattern}/pyproject.toml"))


def fail(problem: str) -> None:
    """End the bootstrap with one clear sentence."""
    sys.exit(f"bootstrap: {problem}")


def fingerprint() -> str:
    """Return a digest of everything that an environment of either set is built from."""
    digest = hashlib.sha256(f"{sys.version}{UV}".encode())
    for path in [
        *LOCKS["runtime"],
        *LOCKS["development"],
        Path(__file__),
        *(member / "pyproject.toml" for member in MEMBERS),
    ]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def step(title: str, command: list[str], hint: str) -> None:
    """Run one command and print how long it took; on failure print its output and the hint."""
    sys.stdout.write(f"  {title} … ")
    sys.stdout.flush()
    began = time.monotonic()
    finished = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if finished.returncode != 0:
        print("failed\n" + finished.stdout)
        fail(hint)
    print(f"{time.monotonic() - began:.1f} s")


def main() -> None:
    """Check what the machine must have, then build the environment or confirm it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where to build it")
    parser.add_argument("--runtime", action="store_true", help="only what `make demo` needs, without tests and linters")
    arguments = parser.parse_args()
    venv: Path = arguments.venv
    packages = "runtime" if arguments.runtime else "development"
    stamp = venv / ".bootstrapped"
    if sys.version_info < MINIMUM_PYTHON:
        fail(f"Python {sys.version.split()[0]} is too old; Tandem needs 3.11 or newer. Try `make PYTHON=python3.12`.")
    wanted = fingerprint()
    if stamp.exists() and stamp.read_text() in {f"{packages} {wanted}", f"development {wanted}"}:
        return
    if shutil.disk_usage(ROOT).free < NEEDED_BYTES:
        fail(
            f"less than {NEEDED_BYTES // 1024**3} GiB of disk is free under {ROOT}; free some space and run make again."
        )
    print(f"Preparing {venv.name} (first run, or the lock has changed)")
    python = str(venv / "bin" / "python")
    if not Path(python).exists():
        step(
            "virtual environment",
            [sys.executable, "-m", "venv", str(venv)],
            "Python's venv module does not work here; on Debian: `apt-get install python3-venv`.",
        )
    registry = (
        "a package could not be fetched: check that this machine reaches the Python package index (or its mirror)."
    )
    step("installer", [python, "-m", "pip", "install", "--quiet", UV], registry)
    uv = str(venv / "bin" / "uv")
    requirements = [argument for lock in LOCKS[packages] for argument in ("-r", str(lock))]
    step(
        "locked packages",
        [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", *requirements],
        registry,
    )
    editable = [argument for member in MEMBERS for argument in ("-e", str(member))]
    step(
        "workspace",
        [uv, "pip", "install", "--quiet", "--python", python, "--no-deps", "--no-build-isolation", *editable],
        "a workspace package did not build; its output is above.",
    )
    stamp.write_text(f"{packages} {wanted}")


if __name__ == "__main__":
    main()
