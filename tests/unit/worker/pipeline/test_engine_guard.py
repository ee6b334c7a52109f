"""The guard: it tells an engine that can no longer answer from inputs that no engine can answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.pipeline.engine_guard import FAILURES_TO_CHECK, EngineGuard, describe

FAILED = RuntimeError("CUDA error: an illegal memory access\nCompile with TORCH_USE_CUDA_DSA")


class Golden:
    """The golden images: they fail while `works` is False."""

    def __init__(self, works: bool) -> None:
        self.works, self.runs = works, 0

    def check(self) -> None:
        self.runs += 1
        if not self.works:
            raise ValueError("golden.png: answered cat, expected dog")


def test_the_third_failed_batch_in_a_row_has_the_golden_images_run() -> None:
    golden = Golden(works=False)
    guard = EngineGuard(golden.check)
    for _ in range(FAILURES_TO_CHECK - 1):
        guard.count(FAILED)
    assert (golden.runs, guard.fault) == (0, None)
    guard.count(FAILED)
    assert golden.runs == 1
    assert guard.fault == (
        "3 batches in a row failed (RuntimeError: CUDA error: an illegal memory access), and then the golden images: "
        "ValueError: golden.png: answered cat, expected dog"
    )


def test_a_batch_with_a_result_starts_the_count_anew() -> None:
    golden = Golden(works=False)
    guard = EngineGuard(golden.check)
    for error in (FAILED, FAILED, None, FAILED, FAILED, None):
        guard.count(error)
    assert (golden.runs, guard.fault) == (0, None)


@given(st.lists(st.sampled_from([FAILED, None]), max_size=200))
def test_while_the_golden_images_succeed_no_failures_are_a_fault(errors: list[RuntimeError | None]) -> None:
    golden = Golden(works=True)
    guard = EngineGuard(golden.check)
    for error in errors:
        guard.count(error)
    assert guard.fault is None
    assert golden.runs <= len(errors) // FAILURES_TO_CHECK


@pytest.mark.parametrize(
    ("error", "text"),
    [(ValueError(), "ValueError: "), (ValueError("a\nb"), "ValueError: a"), (ValueError("a" * 999), None)],
)
def test_an_error_is_described_in_one_short_line(error: Exception, text: str | None) -> None:
    assert describe(error) == (text or f"ValueError: {'a' * 288}")
