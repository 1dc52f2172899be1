"""Writes plain data as YAML: block style, keys in the order given, every string that is not a bare word in JSON quotes.

A few lines of our own, since the contracts depend on msgspec only; JSON's strings are YAML's double-quoted ones.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

_BARE_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# Bare, YAML 1.1 reads these as something other than text.
_RESERVED: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def to_yaml(data: dict[str, Any]) -> str:
    """A mapping of strings, numbers, booleans, None, lists and mappings as one YAML document."""
    return ("\n".join(_mapping(data, "")) or "{}") + "\n"


def _mapping(data: dict[str, Any], indent: str) -> Iterator[str]:
    for key, value in data.items():
        yield from _entry(f"{indent}{_scalar(key)}:", value, indent + "  ")


def _entry(lead: str, value: Any, indent: str) -> Iterator[str]:
    """What follows a key or a dash: on its line when it is a scalar or empty, below it otherwise."""
    if isinstance(value, dict) and value:
        yield lead
        yield from _mapping(value, indent)
    elif isinstance(value, list) and value:
        yield lead
        for item in value:
            if isinstance(item, dict) and item:
                first, *others = _mapping(item, indent + "  ")
                yield f"{indent}- {first.lstrip()}"
                yield from others
            else:
                yield from _entry(f"{indent}-", item, indent + "  ")
    else:
        yield f"{lead} {_scalar(value)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _BARE_WORD.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    return json.dumps(value, ensure_ascii=False)
