"""How many records a consumer takes at once: more while batches are quick, fewer after one that was slow or failed."""

from typing import Final

FIRST: Final = 500
LARGEST: Final = 10_000
SLOW_SECONDS: Final = 4.0
"""A batch that took longer is followed by a smaller one: a slow batch must not cost the consumer its partitions."""
CAREFUL_GROWTH: Final = 1.1
"""How batches grow beyond what followed a failure: from one record to two after eight batches that passed."""


class BatchSize:
    """The size of one consumer's batches."""

    def __init__(self, first: int = FIRST, largest: int = LARGEST) -> None:
        self._largest = largest
        self._careful_from = float("inf")
        self._failures = 0
        self._records = float(first)

    @property
    def records(self) -> int:
        """The largest number of records in the next batch."""
        return int(self._records)

    def note_success(self, records: int, seconds: float) -> None:
        """Note a batch that was written."""
        self._failures = 0
        if seconds > SLOW_SECONDS:
            self._shrink(max(records // 2, 1))
        elif records >= self.records:
            # A full batch means that more is waiting: larger ones cost less per record.
            growth = 2 if self._records * 2 <= self._careful_from else CAREFUL_GROWTH
            self._records = min(self._records * growth, self._largest)

    def note_failure(self, records: int) -> None:
        """Note a batch that failed: the next is half of it, after a second failure a quarter of that, and so on.

        What exceeds its time-out with 4,000 records, at six seconds each, gets down to 60 within half a minute.
        """
        self._failures += 1
        self._shrink(max(records >> self._failures, 1))

    def _shrink(self, records: int) -> None:
        if records < self._records:
            self._records = self._careful_from = records
