"""The customers of an import: rows that match are about one account."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
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

    at: datetime | None
    row: Row
    body: Mapping[str, Any]
    columns: Mapping[str, str]


class Accounts:
    """The accounts that rows name, each once. What rows contradict each other in is as the earliest one has it."""

    def __init__(self) -> None:
        self._mentions: dict[Ref, list[_Mention]] = {}
        self._sold_at: dict[Ref, datetime] = {}

    @property
    def refs(self) -> Collection[Ref]:
        """The accounts so far."""
        return self._mentions.keys()

    def ref_of(self, row: Row, reader: Reader, fields: AccountFields) -> Ref:
        """Return the account that a row is about, whether it is known or not. Raise RowError."""
        return Ref(NOUN, self._key(row, reader, fields))

    def add(self, row: Row, reader: Reader, fields: AccountFields, at: datetime | None, **otherwise: Any) -> Ref:
        """Add what a row says of an account at some time; `otherwise` replaces what the mapping leaves out.

        Raise RowError.
        """
        ref = self.ref_of(row, reader, fields)
        cells = {"region": fields.region, "segment": fields.segment, "channel": fields.channel}
        known = given(**{name: reader.code(row, cell) for name, cell in cells.items()})
        name = None if fields.name is None else reader.needed(row, fields.name)[:200]
        external_ref = reader.text(row, fields.external_ref)
        if ref.key != f"external_ref:{external_ref}":
            external_ref = None
        columns = columns_of_cells(name=fields.name, owner_id=fields.owner, external_ref=fields.reference, **cells)
        mention = _Mention(at, row, given(**otherwise) | known | given(name=name, external_ref=external_ref), columns)
        self._mentions.setdefault(ref, []).append(mention)
        return ref

    def sold(self, ref: Ref, at: datetime) -> None:
        """Note a sale to an account, which is registered by then."""
        self._sold_at[ref] = min(at, self._sold_at.get(ref, at))

    def needed(self) -> dict[Ref, Needed]:
        """Return the accounts to be made, each registered when the earliest row names it."""
        made = {}
        for ref, mentions in self._mentions.items():
            known = [at for at in (self._sold_at.get(ref), *(mention.at for mention in mentions)) if at is not None]
            body: dict[str, Any] = given(occurred_at=moment(min(known)) if known else None)
            mentions.sort(key=lambda mention: mention.at or datetime.max.replace(tzinfo=UTC))
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
            if key == "external_ref":
                return f"external_ref:{text}"
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
