"""The size of batches: down quickly after failures, up again with care."""

from service_kit.consumer.batch_size import FIRST, LARGEST, BatchSize


def grown(size: BatchSize, batches: int) -> int:
    for _ in range(batches):
        size.note_success(size.records, 0.1)
    return size.records


def test_full_and_quick_batches_double_up_to_the_largest() -> None:
    size = BatchSize()
    assert [grown(size, 1) for _ in range(6)] == [2 * FIRST, 4 * FIRST, 8 * FIRST, 16 * FIRST, LARGEST, LARGEST]


def test_a_batch_that_is_not_full_changes_nothing() -> None:
    size = BatchSize()
    size.note_success(FIRST - 1, 0.1)
    assert size.records == FIRST


def test_a_slow_batch_is_followed_by_half_of_it() -> None:
    size = BatchSize()
    size.note_success(400, 5.0)
    assert size.records == 200


def test_failures_in_a_row_shrink_batches_ever_faster_down_to_one_record() -> None:
    size = BatchSize(first=4000)
    sizes = []
    for _ in range(6):
        size.note_failure(size.records)
        sizes.append(size.records)
    assert sizes == [2000, 500, 62, 3, 1, 1]


def test_after_a_failure_batches_double_to_what_passed_and_then_grow_with_care() -> None:
    size = BatchSize(first=4000)
    size.note_failure(4000)
    assert grown(size, 1) == 2200
    size.note_failure(2200)
    size.note_failure(1100)
    assert size.records == 275
    assert grown(size, 1) == 302


def test_one_record_becomes_two_after_eight_batches_that_passed() -> None:
    size = BatchSize()
    size.note_failure(2)
    assert [grown(size, 1) for _ in range(8)] == [1, 1, 1, 1, 1, 1, 1, 2]


def test_a_failure_of_a_smaller_batch_than_planned_counts_by_its_own_size() -> None:
    size = BatchSize()
    size.note_failure(20)
    assert size.records == 10
