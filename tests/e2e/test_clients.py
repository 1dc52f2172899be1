"""The clients of `clients/`, generated from the code as it is, use the running APIs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tandem_cli.stack import LocalStack

CLIENTS = Path(__file__).parents[2] / "tools" / "clients.py"

pytestmark = pytest.mark.long


def test_the_clients_create_list_page_and_meet_conflicts(stack: LocalStack) -> None:
    urls = {f"TANDEM_{api.upper()}_URL": stack.urls[api] for api in ("sales", "service", "metrics")}
    env = os.environ | urls | {"TANDEM_TOKEN": stack.token("admin")}
    run = subprocess.run([sys.executable, CLIENTS, "test"], env=env, stdout=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 0, run.stdout
    # A runner that finds no test succeeds too.
    assert re.search(r"# pass [1-9]", run.stdout), run.stdout
    assert re.search(r"[1-9]\d* passed", run.stdout), run.stdout
