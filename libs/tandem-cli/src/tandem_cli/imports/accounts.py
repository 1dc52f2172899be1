"""The customers of an import: rows that match are about one account."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from service_kit.folding import folded
from tandem_cli.imports.mapping import AccountFields, Cell
from tandem_cli.imports.plan import Needed, moment
from tandem_cli.imports.tables import Row
from tandem_cli.imports.values import Reader, error
from tandem_cli.requests import Ref, given

NOUN: Final = "sales/accounts"
PUBLIC_MAIL: Final = frozenset(
    "aol.com fastmail.com gmail.com gmx.at gmx.de gmx.net googlemail.com hotmail.com icloud.com inbox.lv libero.it"
    " live.com mac.com mail.com mail.ru me.com msn.com outlook.com proton.me protonmail.com qq.com seznam.cz"
    " t-online.de web.de wp.pl yahoo.co.uk yahoo.com yandex.ru ymail.com".split()
)
"""Domains of mail providers: two addresses there are no sign of one company."""
_DROPPED: Final = re.compile(r"[.,'\u2019\"]")
_SPACES: Final = re.compile(r"[\s_-]+")


@dataclass(frozen=True)
class _Mention:
    """What one row says of an account."""

    at: datetime
    row: Row
    body: Mapping[str, Any]
    columns: Mapping[str, str]


class Accounts:
    """The accounts that rows name, each once. What rows contradict each other in is as the earliest one has it."""

    def __init__(self) -> None:
        self._mentions: dict[Ref, list[_Mention]] = {}

    def add(self, row: Row, reader: Reader, fields: AccountFields, at: datetime, **otherwise: Any) -> Ref:
        """Return the account that a row is about at some time; `otherwise` replaces what the mapping leaves out.

        Raise RowError.
        """
        ref = Ref(NOUN, self._key(row, reader, fields))
        cells = {"region": fields.region, "segment": fields.segment, "channel": fields.channel}
        known = given(**{name: reader.code(row, cell) for name, cell in cells.items()})
        body = given(**otherwise) | known | {"name": reader.needed(row, fields.name)[:200]}
        columns = columns_of_cells(name=fields.name, owner_id=fields.owner, external_ref=fields.reference, **cells)
        self._mentions.setdefault(ref, []).append(_Mention(at, row, body, columns))
        return ref

    def needed(self) -> dict[Ref, Needed]:
        """Return the accounts to be made, each registered when the earliest row names it."""
        made = {}
        for ref, mentions in self._mentions.items():
            mentions.sort(key=lambda mention: mention.at)
            body: dict[str, Any] = {"occurred_at": moment(mentions[0].at)}
            for mention in mentions:
                body = {**mention.body, **body}
            made[ref] = Needed(ref, body, row=mentions[0].row, columns=mentions[0].columns)
        return made

    def _key(self, row: Row, reader: Reader, fields: AccountFields) -> str:
        for key in fields.keys:
            cell: Cell | None = getattr(fields, key)
            text = reader.text(row, cell)
            if text is None:
                continue
            if key == "reference":
                return text
            if key == "name":
                return f"name:{normalized_name(text)}"
            if (domain := domain_of(text)) is not None:
                return f"domain:{domain}"
        raise error(row, getattr(fields, fields.keys[-1]), f"is unknown: accounts match by {' or '.join(fields.keys)}")


def normalized_name(name: str) -> str:
    """Return the form in which names are compared: without case, accents, dots and commas, with single spaces."""
    plain = folded(name)
    return _SPACES.sub(" ", _DROPPED.sub("", plain)).strip() or plain


def domain_of(address: str) -> str | None:
    """Return the domain of a company's e-mail or web address; None where it has none of its own."""
    text = address.strip().lower()
    if "@" in text:
        host = text.rpartition("@")[2]
    else:
        try:
            host = urlsplit(text if "://" in text else f"//{text}").hostname or ""
        except ValueError:
            return None
    host = host.strip().rstrip(".").removeprefix("www.")
    return host if "." in host and host not in PUBLIC_MAIL else None


def columns_of_cells(**cells: Cell | None) -> dict[str, str]:
    """Return the columns that fields come from, so that a refusal can name them."""
    return {name: cell.column for name, cell in cells.items() if cell is not None and cell.column is not None}
