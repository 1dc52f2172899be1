"""Builds the example frontend, and tests it in a browser: python tools/example.py build|test.

The TypeScript client has to be built before: `python tools/clients.py generate`.
"""

import argparse
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tandem_cli.stack import DEVELOPMENT_ORIGINS
from tools.clients import ROOT, run, with_node

EXAMPLE: Final = ROOT / "examples" / "frontend"
TOOLS: Final = EXAMPLE / "node_modules" / ".bin"
APIS: Final = ("SALES", "SERVICE", "METRICS")
START_SECONDS: Final = 60.0


def build(env: Mapping[str, str]) -> None:
    """Install its packages, check its types and build it into `dist`. `VITE_SALES_URL` … name the APIs."""
    lock = (EXAMPLE / "package-lock.json").read_text()
    stamp = EXAMPLE / "node_modules" / ".installed"
    if not (stamp.exists() and stamp.read_text() == lock):
        run("npm packages of the example", "npm", "ci", "--silent", at=EXAMPLE, env=env)
        stamp.write_text(lock)
    run("types of the example", TOOLS / "tsc", at=EXAMPLE, env=env)
    run("vite", TOOLS / "vite", "build", at=EXAMPLE, env=env)


def test(env: Mapping[str, str]) -> None:
    """Build it for the APIs of `TANDEM_SALES_URL` …, serve it, and use it in the browser that `CHROMIUM` names."""
    env = {**env, **{f"VITE_{api}_URL": env[f"TANDEM_{api}_URL"] for api in APIS}}
    build(env)
    port = free_port()
    serve = (TOOLS / "vite", "preview", "--host=127.0.0.1", f"--port={port}", "--strictPort")
    server = subprocess.Popen(serve, cwd=EXAMPLE, env=env, stdout=subprocess.DEVNULL)
    try:
        wait_for(port, server)
        at = {**env, "EXAMPLE_URL": f"http://127.0.0.1:{port}/"}
        run("tests of the example", "npm", "test", "--silent", at=EXAMPLE, env=at, shows_output=True)
    finally:
        server.terminate()
        server.wait(10)


def free_port() -> int:
    """Return a port of a development server that the local stack's APIs allow, and that is free."""
    for port in sorted({int(origin.rpartition(":")[2]) for origin in DEVELOPMENT_ORIGINS}):
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    sys.exit("example: all ports of development servers are in use")


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Return when the server answers; end when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    sys.exit("example: the page is not served")


def main() -> None:
    """Do what the argument says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["build", "test"])
    {"build": build, "test": test}[parser.parse_args().what](with_node())


if __name__ == "__main__":
    main()
