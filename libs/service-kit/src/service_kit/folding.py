"""Folding: the form of a text in which search and sorting compare it, without case, accents and punctuation.

PostgreSQL folds what is stored, in expressions that indexes hold; Python folds what is searched for. Both must agree.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSVECTOR

FOLDED_CHARACTERS: Final = 100
"""Of a text that is sorted by; an index takes no key of any length."""
_SEARCHED_CHARACTERS: Final = 100
"""Of a text that is searched. PostgreSQL takes no word of over 2,046 bytes, and folding makes some texts longer."""
_REVERSED: Final = "R"
"""Before a phone number's digits from its end to its start; no folded word has a capital."""
_LEAST_DIGITS: Final = 4
"""Of what is searched for as a phone number."""

_MARKS: Final = "[\u0300-\u036f]+"
_SINGLE: Final = ("łøđðħıŧ", "loddhit")
"""Letters that Unicode does not take apart, and the plain ones that people type."""
_DOUBLE: Final = (("æ", "ae"), ("œ", "oe"), ("þ", "th"))
# As both Python and PostgreSQL read it: ASCII but letters and digits, and the punctuation of other scripts.
_BETWEEN: Final = "[\u0001-/:-@\\[-`{-\u00bf\u2000-\u206f\u3000-\u303f]+"
_PHONE: Final = re.compile(r"[+(]?[0-9][0-9 ()./-]*", re.ASCII)
_SAME_DIGITS: Final = 9
"""Of a number's end; what stands before them may be written in several ways."""


def folded(text: str) -> str:
    """Return a text without case, accents and compatibility forms."""
    plain = unicodedata.normalize("NFKD", text).casefold().translate(str.maketrans(*_SINGLE))
    for one, two in _DOUBLE:
        plain = plain.replace(one, two)
    return re.sub(_MARKS, "", plain)


def words(text: str) -> list[str]:
    """Return the words of a text as an index of `search_vector` has them."""
    return re.sub(_BETWEEN, " ", folded(text)).split()


def end_of_phone(text: str) -> str | None:
    """Return the word by which a phone number is found of which a text is the end, or all; None where it is no number.

    A number is found with its country and area or without.
    """
    digits = re.sub(r"[^0-9]", "", text)
    if len(digits) < _LEAST_DIGITS or not _PHONE.fullmatch(text.strip()):
        return None
    return _REVERSED + digits[-_SAME_DIGITS:][::-1]


def folded_column(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """Return the expression that folds a column as `folded` folds a text."""
    normal = sa.func.normalize(column, sa.literal_column("NFKD"))
    plain = sa.func.casefold(sa.collate(normal, "pg_unicode_fast"))
    plain = sa.func.translate(plain, *map(_literal, _SINGLE))
    for one, two in _DOUBLE:
        plain = sa.func.replace(plain, _literal(one), _literal(two))
    return sa.func.regexp_replace(plain, _literal(_MARKS), _literal(""), _literal("g"), type_=sa.Text)


def sort_key(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """Return the expression by which names are sorted."""
    return sa.func.left(folded_column(column), sa.literal_column(str(FOLDED_CHARACTERS)), type_=sa.Text)


def search_vector(
    texts: Sequence[sa.ColumnElement[Any]], phones: Sequence[sa.ColumnElement[Any]] = ()
) -> sa.ColumnElement[Any]:
    """Return the expression of all words in some columns, and of phone numbers in others."""
    joined = folded_column(_joined([_start_of(column) for column in (*texts, *phones)]))
    for phone in phones:
        digits = sa.func.regexp_replace(_start_of(phone), _literal("[^0-9]+"), _literal(""), _literal("g"))
        joined = _joined([joined, digits, _joined([_literal(_REVERSED), sa.func.reverse(digits)], between="")])
    spaced = sa.func.btrim(sa.func.regexp_replace(joined, _literal(_BETWEEN), _literal(" "), _literal("g")))
    return sa.func.array_to_tsvector(sa.func.string_to_array(spaced, _literal(" ")), type_=TSVECTOR)


def _start_of(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    return sa.func.coalesce(sa.func.left(column, sa.literal_column(str(_SEARCHED_CHARACTERS))), _literal(""))


def _joined(parts: Sequence[sa.ColumnElement[Any]], between: str = " ") -> sa.ColumnElement[str]:
    joined, *others = parts
    for part in others:
        joined = joined.op("||")(_literal(between)).op("||")(part) if between else joined.op("||")(part)
    return joined


def _literal(text: str) -> sa.ColumnElement[str]:
    # In the statement itself: an expression with parameters is not that of an index.
    quoted = text.replace("'", "''")
    return sa.literal_column(f"'{quoted}'", sa.Text)
