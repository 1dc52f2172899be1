"""YAML in our few lines reads back, by a real YAML parser, as what was written."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from event_contracts.yaml_text import to_yaml

# YAML allows no control characters even in quotes; the documents have none.
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\x85\u2028\u2029\ufeff\ufffe\uffff"))
WORDS = st.sampled_from(
    ["null", "yes", "No", "on", "1", "1.5", "1e3", "-", "a: b", "a #b", "2026-01-01", "~", "", "='"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | WORDS, inner, max_size=4),
)


@given(data=st.dictionaries(TEXT | WORDS, VALUES, max_size=5))
def test_what_is_written_reads_back_the_same(data: dict[str, object]) -> None:
    assert yaml.safe_load(to_yaml(data)) == data


def test_it_is_laid_out_for_people() -> None:
    data = {
        "channels": {"sales.events": {"partitions": 12, "retention.ms": -1, "tags": []}},
        "list": [{"a": 1, "b": [2]}],
    }
    assert to_yaml(data) == (
        "channels:\n"
        "  sales.events:\n"
        "    partitions: 12\n"
        "    retention.ms: -1\n"
        "    tags: []\n"
        "list:\n"
        "  - a: 1\n"
        "    b:\n"
        "      - 2\n"
    )
