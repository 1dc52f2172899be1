"""Logs: whatever a request brings in, an event is one line, and a terminal that shows it takes no orders."""

import json
import subprocess
import sys

import pytest

HOSTILE = 'Box\r\n{"event": "forged"}\x1b[31m\x07\u2028\u009b'
PROGRAM = """
import logging, sys, structlog
from service_kit.logs import configure
configure("test", "INFO", sys.argv[1])
structlog.get_logger().info("renamed", name=sys.argv[2])
logging.getLogger("library").warning("refused %s", sys.argv[2])
"""


def logged(form: str) -> str:
    program = [sys.executable, "-c", PROGRAM, form, HOSTILE]
    return subprocess.run(program, capture_output=True, check=True, timeout=60).stdout.decode()


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_event_is_one_line_without_control_characters(form: str) -> None:
    text = logged(form)
    assert text.count("\n") == 2
    assert [character for character in text if not character.isprintable()] == ["\n", "\n"]


def test_what_was_logged_can_be_read_back() -> None:
    renamed, refused = map(json.loads, logged("json").splitlines())
    assert (renamed["event"], renamed["name"]) == ("renamed", HOSTILE)
    assert (refused["event"], refused["logger"]) == (f"refused {HOSTILE}", "library")


FAILURE = """
import sys, structlog
from service_kit.logs import configure
configure("test", "INFO", sys.argv[1])
def connect(password):
    raise ValueError("refused")
try:
    connect("a " + "secret")
except ValueError:
    structlog.get_logger().exception("failed")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_values(form: str) -> None:
    text = subprocess.run([sys.executable, "-c", FAILURE, form], capture_output=True, check=True, timeout=60).stdout
    assert b"ValueError: refused" in text
    assert b"a secret" not in text
