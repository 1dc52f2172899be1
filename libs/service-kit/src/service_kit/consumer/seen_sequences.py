"""The highest sequence that a consumer has seen of every subject, whatever became of it: what is not newer is dropped.

What a consumer copies cannot remember that by itself. A deal that was won, reopened and lost within one batch leaves no
copy; if its win came a second time, it would be new.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service_kit.compiled import CompiledStatement, driver_of
from service_kit.consumer.records import Decoded, Record
from service_kit.database import metadata

seen_sequence = sa.Table(
    "seen_sequence",
    metadata,
    sa.Column("consumer", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False, comment="the highest that the consumer has seen"),
    comment="What is not newer than this has no effect, also where its effects are gone.",
)

_RAISE: Final = CompiledStatement(
    sa.text(
        "insert into seen_sequence as seen (consumer, subject, sequence)"
        " select :consumer, given.subject, given.sequence"
        " from unnest(cast(:subjects as text[]), cast(:sequences as bigint[])) as given (subject, sequence)"
        " on conflict (consumer, subject) do update set sequence = excluded.sequence"
        " where seen.sequence < excluded.sequence"
        " returning subject"
    )
)


class Version(NamedTuple):
    """Which state of which subject a record carries."""

    subject: str
    sequence: int


VersionOf = Callable[[Decoded], Version | None]
"""Returns None for a record that has no sequence, or that the consumer does not copy: it passes."""


class SeenSequences:
    """The sequences that one consumer has seen."""

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer

    async def newest(
        self, connection: AsyncConnection, records: Sequence[Record[Decoded]], version_of: VersionOf[Decoded]
    ) -> list[Record[Decoded]]:
        """Return of each subject's records the newest, if it is newer than all before it; note that it was seen."""
        versions = [version_of(record.value) for record in records]
        highest: dict[str, int] = {}
        for version in versions:
            if version is not None:
                highest[version.subject] = max(version.sequence, highest.get(version.subject, 0))
        newer: dict[str, int] = {}
        if highest:
            # Sorted: two members of the group must not lock the same rows in opposite order.
            subjects = sorted(highest)
            rows = await _RAISE.all(
                await driver_of(connection),
                consumer=self._consumer,
                subjects=subjects,
                sequences=[highest[subject] for subject in subjects],
            )
            newer = {row["subject"]: highest[row["subject"]] for row in rows}
        found = []
        for record, version in zip(records, versions, strict=True):
            if version is None:
                found.append(record)
            elif newer.get(version.subject) == version.sequence:
                # Its repeat within the batch has no effect either.
                del newer[version.subject]
                found.append(record)
        return found
