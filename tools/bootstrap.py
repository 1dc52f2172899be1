"""Builds the project's virtual environment from the hashed lock; needs only Python and the standard library.

Run by `make`; quick when nothing changed. Every failure ends in one sentence that says what to do.
"""

import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".bootstrapped"
UV = "uv==0.13.9"
MINIMUM_PYTHON = (3, 11)
NEEDED_BYTES = 2 * 1024**3
MEMBERS = sorted(path.parent for pattern in ("libs/*", "services/*") for path in ROOT.glob(f"{pattern}/pyproject.toml"))


def fail(problem: str) -> None:
    """Ends the bootstrap with one clear sentence."""
    sys.exit(f"bootstrap: {problem}")


def fingerprint() -> str:
    """A digest of everything that the environment is built from."""
    digest = hashlib.sha256(f"{sys.version}{UV}".encode())
    for path in [
        ROOT / "requirements.lock",
        Path(__file__),
        *(member / "pyproject.toml" for member in MEMBERS),
    ]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def step(title: str, command: list[str], hint: str) -> None:
    """Runs one command, says how long it took, and on failure prints its output and the hint."""
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
    """Checks what the machine must have, then builds or confirms `.venv`."""
    if sys.version_info < MINIMUM_PYTHON:
        fail(f"Python {sys.version.split()[0]} is too old; Tandem needs 3.11 or newer. Try `make PYTHON=python3.12`.")
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    if shutil.disk_usage(ROOT).free < NEEDED_BYTES:
        fail(
            f"less than {NEEDED_BYTES // 1024**3} GiB of disk is free under {ROOT}; free some space and run make again."
        )
    print("Preparing .venv (first run, or the lock has changed)")
    python = str(VENV / "bin" / "python")
    if not Path(python).exists():
        step(
            "virtual environment",
            [sys.executable, "-m", "venv", str(VENV)],
            "Python's venv module does not work here; on Debian: `apt-get install python3-venv`.",
        )
    registry = (
        "a package could not be fetched: check that this machine reaches the Python package index (or its mirror)."
    )
    step("installer", [python, "-m", "pip", "install", "--quiet", UV], registry)
    uv = str(VENV / "bin" / "uv")
    step(
        "locked packages",
        [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", "requirements.lock"],
        registry,
    )
    editable = [argument for member in MEMBERS for argument in ("-e", str(member))]
    step(
        "workspace",
        [uv, "pip", "install", "--quiet", "--python", python, "--no-deps", "--no-build-isolation", *editable],
        "a workspace package did not build; its output is above.",
    )
    STAMP.write_text(wanted)


if __name__ == "__main__":
    main()
