"""The language of code and prose: names and words that the glossary and our style replaced do not come back."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
GLOSSARY = "docs/glossary.md"
INDEFINITE = re.compile(r"(?:some|any|no)body|whoever", re.IGNORECASE)
"""Sentences have the component as their subject; a person is named by their role."""
USER_OF_UNIX = re.compile(r"`nobody`|\"nobody\"")
TEXTS = {".py", ".ts", ".tsx", ".mjs", ".js", ".json", ".md", ".yaml", ".yml", ".toml", ".sql", ".java", ".sh", ".css"}


def sources() -> Iterator[tuple[str, str]]:
    """Yield the path and the text of every source and document of the project."""
    command = ["git", "ls-files", "-z", "--", *(f"*{suffix}" for suffix in TEXTS)]
    named = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for path in named.rstrip("\0").split("\0"):
        if (ROOT / path).is_file() and path not in (GLOSSARY, str(Path(__file__).relative_to(ROOT))):
            yield path, (ROOT / path).read_text()


def retired_names() -> set[str]:
    """Return the former names of the glossary that can be nothing but names: `DealIn`, `in_portions`."""
    formerly = re.findall(r"^\| .* \| .* \| (.+) \|$", (ROOT / GLOSSARY).read_text(), re.MULTILINE)
    return {name for cell in formerly for name in re.findall(r"\w+", cell) if re.search(r"\w_\w|[a-z][A-Z]", name)}


def test_no_retired_word_or_name_is_used() -> None:
    names = retired_names()
    assert {"DealIn", "in_portions"} <= names
    retired = re.compile(rf"\b(?:{'|'.join(sorted(names))})\b")
    found = []
    for path, text in sources():
        for number, line in enumerate(text.splitlines(), start=1):
            prose = USER_OF_UNIX.sub("", line)
            words = INDEFINITE.findall(prose)
            # Decisions and the changelog tell what was before under the names of then.
            if not path.startswith("docs/decisions/") and path != "CHANGELOG.md":
                words += retired.findall(prose)
            found += [f"{path}:{number}: {word}" for word in words]
    assert found == [], f"see {GLOSSARY}"
