"""What a client may have meant by a name that does not exist, beside the names that do."""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 64


def known_names(given: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest known one, and all of them."""
    names = sorted(known)
    if not names:
        return "it takes none"
    near = get_close_matches(given[:_LONGEST].lower(), names, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"{meant}there are: {', '.join(names)}"
