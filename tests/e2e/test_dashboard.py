"""The dashboard, built, in Chromium against the running stack."""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from tandem_cli.stack import LocalStack
from tests.e2e.conftest import settled
from tools.clients import with_node
from tools.dashboard import BUILT, DASHBOARD, build

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""

pytestmark = pytest.mark.long


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")
async def test_the_dashboard_in_a_browser(
    stack: LocalStack, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    if await asyncio.to_thread(build):
        # It has read the files when it started.
        await asyncio.to_thread(stack.processes["metrics-api"].stop)
        await asyncio.to_thread(stack.restart, "metrics-api")
    # The page of the books shows this proof.
    await settled(stack)
    urls = {f"TANDEM_{api.upper()}_URL": stack.urls[api] for api in ("sales", "service", "metrics")}
    env = {**with_node(), **urls, "TANDEM_TOKEN": stack.token("admin"), "CHROMIUM": CHROMIUM}
    command = ["node", "--test", "--test-reporter=tap", "e2e/dashboard.mjs"]
    run = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=DASHBOARD,
        env={**env, "DASHBOARD_BUILT": str(BUILT)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert re.search(r"# pass [1-9]", run.stdout), run.stdout
    for name, figure in re.findall(r"^# (seen after|scripts)(.*)", run.stdout, re.MULTILINE):
        record_property(name, figure)
        with capsys.disabled():
            sys.stdout.write(f"{name}{figure}\n")
