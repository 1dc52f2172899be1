"""Each API keeps to its OpenAPI document, whatever is sent: thousands of requests that fit it, and that do not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tandem_cli.stack import LocalStack

HERE = Path(__file__).parent
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")

pytestmark = pytest.mark.long


@pytest.mark.parametrize("api", ["sales", "service", "metrics"])
def test_every_answer_is_documented(stack: LocalStack, api: str) -> None:
    run = subprocess.run(
        [
            SCHEMATHESIS,
            f"--config-file={HERE / 'schemathesis.toml'}",
            "run",
            f"{stack.urls[api]}/openapi.json",
            f"--header=Authorization: Bearer {stack.token('admin')}",
            # A stream never ends; its events and refusals are tested in tests/metrics_worker/test_stream.py.
            "--exclude-path=/v1/stream",
        ],
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.e2e.refusals", "PYTHONPATH": str(HERE.parents[1])},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-20_000:]
