"""Validate examples by parts of an OpenAPI document."""

import json
from typing import Any

import jsonschema_rs


class Schemas:
    """The schemas of one OpenAPI document.

    Its components are read once. In the schema of each validator the library would read all of them each time, which
    takes minutes.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        resource = {"components": document["components"]}
        self._registry = jsonschema_rs.Registry([("urn:document", resource)], draft=jsonschema_rs.Draft202012)

    def errors(self, schema: dict[str, Any], *values: Any) -> list[str]:
        """Return what is wrong with the values by a schema of the document, formats included."""
        absolute = json.loads(json.dumps(schema).replace('"#/components/', '"urn:document#/components/'))
        validator = jsonschema_rs.Draft202012Validator(absolute, validate_formats=True, registry=self._registry)
        return [error.message for value in values for error in validator.iter_errors(value)]
