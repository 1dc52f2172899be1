"""What a client may have meant by a name that does not exist, beside the names that do."""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 64


def nearest_name(given: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like an unknown one; None when none is."""
    return next(iter(get_close_matches(given[:_LONGEST].lower(), known, 1)), None)


def known_names(given: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest known one, and all of them."""
    names = sorted(known)
    if not names:
        return "it takes none"
    meant = f"did you mean {near}? " if (near := nearest_name(given, names)) else ""
    return f"{meant}there are: {', '.join(names)}"
