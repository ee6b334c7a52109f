"""Who is next: ordinary work before background work, and nobody for ever."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.errors import code_of
from tests.wait import until
from worker.contract.errors import ErrorCode
from worker.pipeline.admission import Deadline
from worker.pipeline.turns import ORDINARY_TURNS, Turns, Turnstile


def turns(ordinary: int, background: int) -> Turns[str]:
    waiting = Turns[str]()
    for number in range(background):
        waiting.add(f"b{number}", True)
    for number in range(ordinary):
        waiting.add(f"o{number}", False)
    return waiting


def taken(waiting: Turns[str]) -> list[str]:
    return [item for _ in range(len(waiting)) for item in waiting.take(1)]


def test_ordinary_work_that_came_later_goes_first() -> None:
    assert taken(turns(2, 3)) == ["o0", "o1", "b0", "b1", "b2"]


def test_background_work_has_every_fifth_turn() -> None:
    assert taken(turns(10, 3)) == ["o0", "o1", "o2", "o3", "b0", "o4", "o5", "o6", "o7", "b1", "o8", "o9", "b2"]


@given(st.lists(st.booleans(), max_size=60))
def test_all_are_taken_once_and_each_kind_in_the_order_of_arrival(arrivals: list[bool]) -> None:
    waiting = Turns[tuple[bool, int]]()
    for number, background in enumerate(arrivals):
        waiting.add((background, number), background)
    found = []
    while waiting:
        first = waiting.first()
        found += waiting.take(1)
        assert found[-1] == first
    for kind in (False, True):
        assert [number for background, number in found if background is kind] == [
            number for number, background in enumerate(arrivals) if background is kind
        ]


@given(st.integers(1, 8))
def test_background_work_never_starves(steady: int) -> None:
    waiting = turns(steady, 1)
    for _ in range(ORDINARY_TURNS):
        waiting.add("more", False)
    assert "b0" in taken(waiting)[: ORDINARY_TURNS + 1]


def test_kinds_are_taken_apart_and_background_work_in_its_proportion() -> None:
    waiting = turns(12, 9)
    assert (waiting.in_background, waiting.ready()) == (False, 12)
    assert waiting.take(8) == [f"o{number}" for number in range(8)]
    assert (waiting.in_background, waiting.ready()) == (True, 2)
    assert waiting.take(2) == ["b0", "b1"]
    assert waiting.take(4) == ["o8", "o9", "o10", "o11"]
    assert (waiting.in_background, waiting.ready()) == (True, 7)


def test_work_that_nobody_waits_for_is_removed() -> None:
    waiting = turns(3, 3)
    assert waiting.remove(lambda item: item.endswith("1")) == 2
    assert taken(waiting) == ["o0", "o2", "b0", "b2"]
    with pytest.raises(IndexError):
        waiting.first()


def waiting_threads(turnstile: Turnstile, background: bool, came: list[str], name: str) -> threading.Thread:
    """Start a thread that passes `turnstile`, and return once it waits there."""

    def visit() -> None:
        with turnstile.place(Deadline(60), background):
            came.append(name)

    before, thread = len(turnstile._waiting), threading.Thread(target=visit)
    thread.start()
    until("the thread waits", lambda: len(turnstile._waiting) == before + 1)
    return thread


def test_a_place_is_handed_to_ordinary_work_first() -> None:
    turnstile, came = Turnstile(1), list[str]()
    with turnstile.place(Deadline(60), True):
        threads = [waiting_threads(turnstile, background, came, name) for background, name in
                   [(True, "first background"), (True, "second background"), (False, "ordinary")]]  # fmt: skip
    for thread in threads:
        thread.join()
    assert came == ["ordinary", "first background", "second background"]


def test_whoever_leaves_cannot_take_the_place_of_one_that_waits() -> None:
    turnstile, came = Turnstile(1), list[str]()
    with turnstile.place(Deadline(60), False):
        thread = waiting_threads(turnstile, True, came, "waiting")
    with turnstile.place(Deadline(60), False):
        came.append("again")
    thread.join()
    assert came == ["waiting", "again"]


def test_a_wait_ends_at_the_deadline_and_leaves_no_trace() -> None:
    turnstile = Turnstile(1)
    with turnstile.place(Deadline(60), False):
        assert code_of(turnstile.place(Deadline(0.01), False).__enter__) is ErrorCode.DEADLINE
        assert len(turnstile._waiting) == 0
    with turnstile.place(Deadline(60), False):
        pass


def test_no_more_than_its_places_are_inside_at_once() -> None:
    turnstile, lock, inside, most = Turnstile(3), threading.Lock(), 0, 0

    def visit(background: bool) -> None:
        nonlocal inside, most
        for _ in range(100):
            with turnstile.place(Deadline(60), background):
                with lock:
                    inside += 1
                    most = max(most, inside)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=visit, args=(number % 2 == 0,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= 3
    assert turnstile._free == 3
