"""Tests of the polling loop."""

from collections.abc import Iterator

from scripts.base.waiting import wait_until


def counted(looks: list[bool], *answers: bool) -> Iterator[bool]:
    for answer in answers:
        looks.append(answer)
        yield answer


def test_it_looks_until_what_it_waits_for_holds() -> None:
    looks: list[bool] = []
    answers = counted(looks, False, False, True, True)
    assert wait_until(lambda: next(answers), every_s=0)
    assert looks == [False, False, True]


def test_it_looks_once_when_there_is_no_time_and_says_so_when_that_is_over() -> None:
    looks: list[bool] = []
    answers = counted(looks, False, True)
    assert not wait_until(lambda: next(answers), limit_s=0)
    assert looks == [False]
    assert wait_until(lambda: next(answers), limit_s=0)
