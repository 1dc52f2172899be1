"""Finds the differences between two schemas of one major version that would break a reader.

Events are kept for ever and services are upgraded one at a time, so a version must be readable in both directions:
new code reads every old event, and old code reads every new one. Within a major version that leaves one change:
a new property that old events may lack and old readers may ignore. Descriptions are free.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

JsonSchema = dict[str, Any]

_PROSE: Final = frozenset({"title", "description", "examples", "$defs", "$schema", "$comment"})
_NULL: Final = {"type": "null"}


def breaking_changes(old: JsonSchema, new: JsonSchema) -> list[str]:
    """Each difference that breaks a reader, as a sentence that begins with the path of what was changed."""
    return list(_differences(old, new, old, new, "data"))


def _differences(
    old: JsonSchema, new: JsonSchema, old_root: JsonSchema, new_root: JsonSchema, at: str
) -> Iterator[str]:
    old, old_nullable = _without_null(_resolved(old, old_root), old_root)
    new, new_nullable = _without_null(_resolved(new, new_root), new_root)
    if new_nullable and not old_nullable:
        yield f"{at} may now be null: readers of this version do not expect it"
    if old_nullable and not new_nullable:
        yield f"{at} may no longer be null: events with null are already in the log"
    if old.get("type") != new.get("type"):
        yield f"{at} changed its type from {_shown(old.get('type'))} to {_shown(new.get('type'))}"
        return
    for keyword in sorted((set(old) | set(new)) - _PROSE - {"type"}):
        before, after = old.get(keyword), new.get(keyword)
        if keyword == "properties":
            yield from _property_differences(old, new, old_root, new_root, at)
        elif keyword == "required":
            continue  # reported with the properties
        elif keyword == "enum" and isinstance(before, list) and isinstance(after, list):
            yield from _enum_differences(before, after, at)
        elif isinstance(before, dict) and isinstance(after, dict) and keyword in ("items", "additionalProperties"):
            yield from _differences(before, after, old_root, new_root, f"{at}[]")
        elif before != after:
            yield f"{at} changed its {keyword} from {_shown(before)} to {_shown(after)}"


def _property_differences(
    old: JsonSchema, new: JsonSchema, old_root: JsonSchema, new_root: JsonSchema, at: str
) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    old_required, new_required = set(old.get("required", [])), set(new.get("required", []))
    for name in sorted(set(before) | set(after)):
        path = f"{at}.{name}"
        if name not in after:
            yield f"{path} was removed or renamed: readers of this version look for it"
        elif name not in before:
            if name in new_required:
                yield f"{path} is new and required: events already in the log lack it; give it a default"
        else:
            if name in new_required - old_required:
                yield f"{path} became required: events already in the log may lack it"
            if name in old_required - new_required:
                yield f"{path} became optional: readers of this version require it"
            yield from _differences(before[name], after[name], old_root, new_root, path)


def _enum_differences(before: list[Any], after: list[Any], at: str) -> Iterator[str]:
    for value in before:
        if value not in after:
            yield f"{at} lost the value {_shown(value)}: events with it are already in the log"
    for value in after:
        if value not in before:
            yield f"{at} gained the value {_shown(value)}: readers of this version refuse it"


def _resolved(schema: JsonSchema, root: JsonSchema) -> JsonSchema:
    """The schema that a `$ref` into the same document points to; keywords beside the `$ref` stay."""
    while "$ref" in schema:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]] | beside
    return schema


def _without_null(schema: JsonSchema, root: JsonSchema) -> tuple[JsonSchema, bool]:
    """A schema without its null alternative, and whether it had one."""
    alternatives = schema.get("anyOf", [])
    others = [alternative for alternative in alternatives if alternative != _NULL]
    if len(others) == len(alternatives):
        return schema, False
    beside = {key: value for key, value in schema.items() if key != "anyOf"}
    return (_resolved(others[0], root) | beside if len(others) == 1 else {**beside, "anyOf": others}), True


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)
