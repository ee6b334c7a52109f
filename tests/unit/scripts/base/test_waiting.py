"""Tests of the polling loop."""

from collections.abc import Iterator

from scripts.base.waiting import wait_until


def recorded(polls: list[bool], *answers: bool) -> Iterator[bool]:
    for answer in answers:
        polls.append(answer)
        yield answer


def test_it_polls_until_the_condition_holds() -> None:
    polls: list[bool] = []
    answers = recorded(polls, False, False, True, True)
    assert wait_until(lambda: next(answers), interval_s=0)
    assert polls == [False, False, True]


def test_it_polls_once_with_no_time_left_and_returns_whether_the_condition_held() -> None:
    polls: list[bool] = []
    answers = recorded(polls, False, True)
    assert not wait_until(lambda: next(answers), timeout_s=0)
    assert polls == [False]
    assert wait_until(lambda: next(answers), timeout_s=0)
