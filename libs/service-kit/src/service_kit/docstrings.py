"""The docstrings below the fields of classes, read from their source when a document is made, not at each start."""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache


def attribute_docstrings(cls: type) -> dict[str, str]:
    """Return the docstring of each attribute of a class and its bases that has one, on one line."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found |= _of_module(base.__module__).get(base.__name__, {})
    return found


@cache
def _of_module(name: str) -> Mapping[str, Mapping[str, str]]:
    try:
        source = inspect.getsource(sys.modules[name])
    except (OSError, TypeError):
        # Without source, or built in.
        return {}
    classes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef))
    return {node.name: dict(_attributes(node)) for node in classes}


def _attributes(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for one, after in zip(node.body, node.body[1:], strict=False):
        match one, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, " ".join(text.split())
