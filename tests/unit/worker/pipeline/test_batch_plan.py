"""The plan of batches: the split that takes least time together."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.pipeline.batch_plan import plan_batches


def partitions(waiting: int, seconds: dict[int, float]) -> float:
    """Return the least duration of `waiting` images over all splits into batches, by brute force."""
    if waiting <= 0:
        return 0.0
    return min(spent + partitions(waiting - size, seconds) for size, spent in seconds.items())


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(2, 7), st.integers(1, 20), max_size=2), st.integers(1, 20))
def test_the_planned_batches_are_the_fastest_of_all_splits(more: dict[int, int], alone: int) -> None:
    seconds = {1: float(alone)} | {size: float(spent) for size, spent in more.items()}
    take = plan_batches(seconds)
    assert take[0] == 0
    for waiting in range(1, max(seconds) + 1):
        size = min((size for size in seconds if size >= take[waiting]), key=lambda size: seconds[size])
        assert seconds[size] + partitions(waiting - take[waiting], seconds) == partitions(waiting, seconds)


@pytest.mark.parametrize(
    ("seconds", "take"),
    [
        ({1: 1.0}, [0, 1]),
        ({1: 1.0, 4: 4.0}, [0, 1, 1, 1, 4]),  # a CPU: no batch runs partly empty
        ({1: 1.0, 4: 4.4}, [0, 1, 1, 1, 1]),  # a batch slower than its images one by one is never run
        ({1: 1.0, 4: 1.1}, [0, 1, 2, 3, 4]),  # a GPU that is not full
        ({1: 1.0, 2: 1.9, 4: 2.2}, [0, 1, 2, 3, 4]),
        ({1: 1.0, 2: 1.2, 4: 4.0}, [0, 1, 2, 2, 2]),
    ],
)
def test_the_batch_sizes_follow_from_the_durations(seconds: dict[int, float], take: list[int]) -> None:
    assert plan_batches(seconds) == take
