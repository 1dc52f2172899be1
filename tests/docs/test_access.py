"""docs/access.md follows from the tables of access."""

from pathlib import Path

from tools.access_document import document

DOCUMENT = Path(__file__).parents[2] / "docs" / "access.md"


def test_the_document_is_written_from_the_tables() -> None:
    expected = "run: .venv/bin/python tools/access_document.py > docs/access.md"
    assert DOCUMENT.read_text() == document(), expected
