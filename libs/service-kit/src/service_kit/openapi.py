"""Completes an OpenAPI document: descriptions and examples where readers look for them, names for lists of values."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = dict[str, Any]

_SCHEMAS: Final = "#/components/schemas/"
_OF_A_FORMAT: Final = {"date": "2026-03-31", "uuid": "01980c8e-7a33-7d60-8f3c-5b1f3b0c9a10"}
_OF_THE_WHOLE: Final = ("description", "examples", "x-rarely")


def complete(document: dict[str, Any]) -> None:
    """Complete the schemas and the parameters of a document in place.

    What a type says of itself is said of the property or parameter, also where it may be null, and each of them has an
    example. So does each record, made of those of its properties, unless it declares its own.
    """
    schemas: dict[str, Schema] = document["components"]["schemas"]
    named: dict[str, Schema] = {}
    for schema in schemas.values():
        schema.pop("title", None)
        for member in schema.get("properties", {}).values():
            _tidy(member, named)
    for parameter in _parameters(document):
        _tidy(parameter["schema"], named)
        if (text := parameter["schema"].pop("description", None)) is not None:
            parameter.setdefault("description", text)
    _describe_parameters(document)
    for operations in document["paths"].values():
        for operation in operations.values():
            if operation["summary"] == operation["operationId"].replace("_", " ").title():
                operation["summary"] = operation["operationId"].replace("_", " ").capitalize()
    schemas |= named
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    examples = Examples(document)
    for schema in (*(one for _, one in members(schemas)), *(one["schema"] for one in _parameters(document))):
        if "examples" not in schema and not _is_made_of_records(schema) and (found := examples.of(schema)) is not None:
            schema["examples"] = [found]
    for schema in schemas.values():
        if "examples" not in schema and (found := examples.of(schema)) is not None:
            schema["examples"] = [found]
    for schema in _all_schemas(document):
        schema.pop("x-rarely", None)


def members(schemas: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    """Yield every property of the schemas, as `Schema.property` with its own schema."""
    for name, schema in schemas.items():
        for member, its in schema.get("properties", {}).items():
            yield f"{name}.{member}", its


class Examples:
    """Finds the example of a schema: its own first one, or one that is made of those of its parts."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._schemas: Mapping[str, Schema] = document["components"]["schemas"]

    def of(self, schema: Schema) -> Any:
        """Return an example; None where a part has none, or where it may be nothing else."""
        if schema.get("examples"):
            return schema["examples"][0]
        if "$ref" in schema:
            return self.of(self._schemas[schema["$ref"].removeprefix(_SCHEMAS)])
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        for option in schema.get("anyOf", ()):
            return self.of(option)
        if schema.get("format") in _OF_A_FORMAT:
            return _OF_A_FORMAT[schema["format"]]
        kind = schema.get("type")
        if kind == "boolean":
            return True
        if isinstance(schema.get("additionalProperties"), dict) and "properties" not in schema:
            value = self.of(schema["additionalProperties"])
            key = self.of(schema.get("propertyNames", {})) or "key"
            return None if value is None else {key: value}
        if kind == "array":
            item = self.of(schema.get("items", {}))
            return None if item is None else [item]
        if "properties" in schema:
            return {name: self._of_member(member) for name, member in schema["properties"].items()}
        return None

    def _of_member(self, member: Schema) -> Any:
        return None if member.get("x-rarely") else self.of(member)


def _tidy(schema: Schema, named: dict[str, Schema]) -> None:
    # Made from the name, and so of no use to readers; generators name types by it.
    schema.pop("title", None)
    for part in (*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())):
        _tidy(part, named)
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) == 1 and len(schema["anyOf"]) == 2:
        for key in _OF_THE_WHOLE:
            if key in options[0]:
                schema.setdefault(key, options[0].pop(key))
    if (name := schema.pop("x-schema", None)) is not None:
        its: Schema = {key: schema.pop(key) for key in ("type", "enum", "const") if key in schema}
        named[name] = {**its, "description": schema.get("description", "")}
        schema["$ref"] = _SCHEMAS + name


def _describe_parameters(document: Mapping[str, Any]) -> None:
    """Describe filters by the members of the records that are listed, and addresses by the record that they name."""
    schemas: Mapping[str, Schema] = document["components"]["schemas"]
    for operations in document["paths"].values():
        for method, operation in operations.items():
            shown = _properties_listed(schemas, operation) if method == "get" else {}
            for parameter in operation.get("parameters", ()):
                name = parameter["name"]
                member = shown.get(name, {})
                if parameter["in"] == "path" and "description" not in parameter:
                    member_named = "id" if name.endswith("_id") else name
                    parameter["description"] = f"Which record: the `{member_named}` that lists and answers give it."
                elif parameter["in"] == "query" and "description" in member:
                    parameter.setdefault("description", f"Only records with this value. {member['description']}")
                    if "examples" in member:
                        takes_several = parameter["schema"].get("type") == "array"
                        found = [member["examples"][:1]] if takes_several else member["examples"]
                        parameter["schema"].setdefault("examples", found)


def _properties_listed(schemas: Mapping[str, Schema], operation: Mapping[str, Any]) -> dict[str, Schema]:
    """Return the properties of the records that an operation lists; none where it lists nothing."""
    answer = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    items = _target(schemas, answer).get("properties", {}).get("items", {})
    found: dict[str, Schema] = _target(schemas, items.get("items", {})).get("properties", {})
    return found


def _target(schemas: Mapping[str, Schema], schema: Schema) -> Schema:
    return schemas.get(schema.get("$ref", "").removeprefix(_SCHEMAS), {})


def _is_made_of_records(schema: Schema) -> bool:
    """Return whether a schema's example would repeat that of a record, which is shown there."""
    parts = [schema, *schema.get("anyOf", ())]
    parts += [part["items"] for part in parts if "items" in part]
    return any("$ref" in part for part in parts)


def _parameters(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for operations in document["paths"].values():
        for operation in operations.values():
            yield from operation.get("parameters", ())


def _all_schemas(document: Mapping[str, Any]) -> Iterator[Schema]:
    for schema in document["components"]["schemas"].values():
        yield schema
        yield from schema.get("properties", {}).values()
    for parameter in _parameters(document):
        yield parameter["schema"]
