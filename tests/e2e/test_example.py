"""The example frontend, built from the packed client, in Chromium against the running APIs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tandem_cli.stack import LocalStack

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""

pytestmark = pytest.mark.long


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")
def test_the_example_searches_moves_answers_and_shows_live_numbers(stack: LocalStack) -> None:
    urls = {f"TANDEM_{api.upper()}_URL": stack.urls[api] for api in ("sales", "service", "metrics")}
    env = os.environ | urls | {"TANDEM_TOKEN": stack.token("admin"), "CHROMIUM": CHROMIUM}
    command = [sys.executable, str(ROOT / "tools" / "example.py"), "test"]
    run = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert re.search(r"# pass [1-9]", run.stdout), run.stdout
