"""A context of two calls."""

import pytest

from worker.pipeline.between import Between


def test_the_block_gets_what_enter_returns_and_leave_follows_even_a_failure() -> None:
    left: list[str] = []
    with pytest.raises(ZeroDivisionError), Between(lambda: 0, lambda: left.append("left")) as entered:
        left.append(f"still there: {1 / entered}")
    assert left == ["left"]


def test_what_was_not_entered_is_not_left() -> None:
    left: list[str] = []

    def enter() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Between(enter, lambda: left.append("left")):
        pass
    assert left == []
