"""Each API keeps to its OpenAPI document, whatever is sent: requests that fit it, and that do not, by Schemathesis.

A few in `make test`, thousands in `make openapi`, and a thousand for each operation in `make fuzz`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tandem_cli.stack import LocalStack
from tests.every_api.test_every_route import PACKAGES, make_app

HERE = Path(__file__).parent
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
STREAM = "stream_kpis"
"""A stream never ends; its events and refusals are tested in tests/metrics_worker/test_stream.py."""
EXAMPLES = 1_000
SEQUENCES = 200
"""Of requests that follow each other: a record that one creates is used by the next."""

each_api = pytest.mark.parametrize("api", ["sales", "service", "metrics"])


def operations() -> Iterator[tuple[str, str]]:
    """Yield every operation of every API by its id."""
    for name in PACKAGES:
        document = make_app(name, "postgresql+asyncpg://nowhere/nothing", "").openapi()
        for methods in document["paths"].values():
            for operation in methods.values():
                if operation["operationId"] != STREAM:
                    yield name.removesuffix("-api"), operation["operationId"]


def check(stack: LocalStack, api: str, *options: str) -> None:
    """Send what Schemathesis makes of an API's document, with every check on; fail with what it found."""
    run = subprocess.run(
        [
            SCHEMATHESIS,
            f"--config-file={HERE / 'schemathesis.toml'}",
            "run",
            f"{stack.urls[api]}/openapi.json",
            f"--header=Authorization: Bearer {stack.token('admin')}",
            *options,
        ],
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.e2e.refusals", "PYTHONPATH": str(HERE.parents[1])},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-20_000:]


@each_api
def test_a_few_answers_are_documented(stack: LocalStack, api: str) -> None:
    check(stack, api, f"--exclude-operation-id={STREAM}", "--phases=examples,fuzzing", "--max-examples=1")


@pytest.mark.long
@each_api
def test_every_answer_is_documented(stack: LocalStack, api: str) -> None:
    check(stack, api, f"--exclude-operation-id={STREAM}", "--phases=examples,coverage,fuzzing")


@pytest.mark.long
@pytest.mark.fuzz
@pytest.mark.parametrize(("api", "operation"), list(operations()))
def test_a_thousand_answers_of_an_operation_are_documented(
    stack: LocalStack, api: str, operation: str, request: pytest.FixtureRequest
) -> None:
    seed = request.config.getoption("--seed") or 1
    check(
        stack, api, f"--include-operation-id={operation}", "--phases=examples,coverage,fuzzing",
        f"--max-examples={EXAMPLES}", f"--seed={seed}",
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.fuzz
@each_api
def test_every_answer_of_a_sequence_is_documented(stack: LocalStack, api: str, request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("--seed") or 1
    check(
        stack, api, f"--exclude-operation-id={STREAM}", "--phases=stateful", f"--max-examples={SEQUENCES}",
        f"--seed={seed}",
    )  # fmt: skip
