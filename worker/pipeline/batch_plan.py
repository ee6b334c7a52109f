"""Plan batches: how many of the waiting inputs run first, from the duration of each prepared batch size. Pure."""

from collections.abc import Mapping


def plan_batches(seconds: Mapping[int, float]) -> list[int]:
    """Return, for each n from 0 to the largest batch size, how many inputs to run first when n are waiting.

    Dynamic programming over n finds the split into batches with the least total of `seconds`; the result is the
    split's first batch, the larger one of equally fast splits. A batch may run partly empty if that is faster than
    several small ones.
    """
    total, first_batch = [0.0], [0]
    for waiting in range(1, max(seconds) + 1):
        best, size = min((spent + total[max(0, waiting - size)], -size) for size, spent in seconds.items())
        total.append(best)
        first_batch.append(min(waiting, -size))
    return first_batch
