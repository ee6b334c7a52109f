"""The rules that find a worker whose answers are server errors, by a fault of its own."""

import random
import re

import pytest

from nginx.gate.exchange import parse_exchange
from nginx.gate.outliers import SUSPICIOUS_STREAK, Record, is_outlier, judged_answers, most_ejected
from tests.unit.nginx.test_exchange import TAG, framed
from worker.contract.error_codes import RETRIED_STATUSES

GOOD = Record()


def record(*failed: bool) -> Record:
    found = Record()
    for one in failed:
        found = found.after(one)
    return found


def answers(line: str) -> list[tuple[str, bool]]:
    """Return what is judged of a request that Nginx answered with 200."""
    times = re.sub(r"[0-9]+|-", "0.001", line.split("|")[1])
    exchange = parse_exchange(framed(f"{line}|200|{times}|1 0 1 0"), TAG)
    assert exchange
    return list(judged_answers(exchange))


# --- What Nginx sends -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["500", "502", "504"])
def test_a_workers_server_error_is_a_failure(status: str) -> None:
    assert answers(f"127.0.0.1:8081|{status}|0.001|9|9") == [("127.0.0.1:8081", True)]


@pytest.mark.parametrize("status", ["200", "400", "422", "429", "501"])
def test_any_other_answer_is_none(status: str) -> None:
    assert answers(f"[fd00::1]:8081|{status}|0.001|9|9") == [("[fd00::1]:8081", False)]


def test_a_status_after_which_nginx_tries_another_worker_says_nothing() -> None:
    assert [answers(f"a:1|{status}|0.001|9|9") for status in RETRIED_STATUSES] == [[]]


def test_a_status_that_nginx_itself_put_is_no_answer() -> None:
    for line in ("a:1|502|-|0|", "pool_photos|502|-|0|", "a:1|-|-|-|", "a:1|504|-|0|"):
        assert answers(line) == []


def test_every_attempt_of_a_request_counts_on_its_own() -> None:
    assert answers("a:1, b:2|502, 200|-, 0.100|0, 9|9") == [("b:2", False)]
    line = "a:1, b:2 : c:3|503, 500 : 200|0.001, 0.002 : 0.003|9, 9 : 9|9"
    assert answers(line) == [("b:2", True), ("c:3", False)]


@pytest.mark.parametrize(
    ("length", "promised", "failed"), [(9, "9", False), (8, "9", True), (9, "", False), (10, "9", False)]
)
def test_an_answer_shorter_than_it_promised_is_a_failure(length: int, promised: str, failed: bool) -> None:
    assert answers(f"a:1|200|0.001|{length}|{promised}") == [("a:1", failed)]
    assert answers(f"b:2, a:1|502, 200|0.001, 0.001|0, {length}|{promised}") == [("b:2", True), ("a:1", failed)]


# --- Who is an outlier ------------------------------------------------------------------------------------------


def test_three_failures_in_a_row_are_suspicious_where_no_other_worker_fails() -> None:
    assert not is_outlier(record(*[True] * (SUSPICIOUS_STREAK - 1)), [GOOD])
    assert is_outlier(record(*[True] * SUSPICIOUS_STREAK), [GOOD])


def test_a_success_in_between_starts_the_count_anew() -> None:
    assert not is_outlier(record(True, True, False, True, True), [GOOD])


def test_a_worker_without_another_beside_it_is_none() -> None:
    assert not is_outlier(record(*[True] * 1000), [])


def test_bad_requests_that_reach_all_workers_alike_make_none() -> None:
    records = [GOOD, GOOD]
    for turn in range(2000):
        records[turn % 2] = records[turn % 2].after(True)
        assert not is_outlier(records[turn % 2], [records[1 - turn % 2]])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_many_bad_requests_among_good_ones_hardly_ever_make_one(share: float) -> None:
    chance, records, outliers = random.Random(7), [GOOD] * 3, 0
    for _ in range(20_000):
        at = chance.randrange(3)
        records[at] = records[at].after(chance.random() < share)
        outliers += is_outlier(records[at], [*records[:at], *records[at + 1 :]])
    assert outliers < 20


def test_a_dead_worker_is_found_among_workers_that_sometimes_fail() -> None:
    sometimes = record(*[False, False, False, True] * 10)
    assert not is_outlier(record(True, True, True), [sometimes, sometimes])
    assert is_outlier(record(*[True] * 12), [sometimes, sometimes])


def test_two_dead_workers_of_four_are_both_found() -> None:
    dead = record(*[True] * 3)
    assert is_outlier(dead, [dead, GOOD, GOOD])


@pytest.mark.parametrize(("members", "most"), [(1, 0), (2, 1), (3, 1), (4, 2), (9, 4)])
def test_never_more_than_half_of_a_pool_is_ejected(members: int, most: int) -> None:
    assert most_ejected(members) == most
