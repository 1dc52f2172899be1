"""Parses a request body as JSON and refuses what parsers disagree about: duplicate keys, NaN, lone surrogates, NUL."""

import json
from typing import Any, NoReturn

from service_kit.problems import MalformedBody, Unprocessable


class _Refused(Exception):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refused("An object has the same key twice.")
    return members


def _constant(name: str) -> NoReturn:
    raise _Refused(f"{name} is not a JSON number.")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def check_texts(value: Any) -> None:
    """Raises `Unprocessable` (422) when a text anywhere in a JSON value is none that can be stored."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            if "\x00" in item:
                raise Unprocessable("A text contains the NUL character.")
            try:
                item.encode()
            except UnicodeEncodeError:
                raise Unprocessable("A text contains half of a surrogate pair.") from None
        elif isinstance(item, dict):
            pending.extend(item)
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)


def parse(body: bytes) -> Any:
    """The JSON value of a body. Raises `MalformedBody` (400) or `Unprocessable` (422)."""
    try:
        value = _decoder.decode(body.decode())
        if b"\\u" in body:
            # Only an escape can bring in NUL or a lone surrogate: raw ones fail above.
            check_texts(value)
    except _Refused as refused:
        raise Unprocessable(str(refused)) from None
    except UnicodeDecodeError:
        raise MalformedBody("The body is not UTF-8.") from None
    except RecursionError:
        raise MalformedBody("The body is nested too deep.") from None
    except ValueError as error:
        # JSONDecodeError, and integers of more digits than Python converts.
        detail = (
            error.msg + f" at character {error.pos}"
            if isinstance(error, json.JSONDecodeError)
            else "a number is too long"
        )
        raise MalformedBody(f"The body is not valid JSON: {detail}.") from None
    return value
