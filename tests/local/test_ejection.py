"""A worker whose answers are server errors while its /readyz says that all is well: real Nginx, real gate."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.gateway_harness import Gateway
from tests.wait import until

IMAGE, POISON = b"\x89PNG not really", b"poison"
EJECTION_S = 2.0
CLIENTS, PAUSE_S = 8, 0.02


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway with two workers of one model and short ejections."""
    with Gateway(tmp_path, {"photos": ["photos-0", "photos-1"]}, ejection_s=EJECTION_S) as gateway:
        yield gateway.start()


class Clients:
    """Clients that each send one request after the other until the block ends; the cores are for the gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.over = gateway, threading.Event()
        self.replies: list[tuple[float, int]] = []
        self.threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]

    def _run(self) -> None:
        while not self.over.wait(PAUSE_S):
            sent = time.monotonic()
            self.replies.append((sent, self.gateway.ask("POST", "/predict", IMAGE).status))

    def __enter__(self) -> "Clients":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    def statuses(self, since: float = 0.0) -> Counter[int]:
        """Return how often each status answered a request that was sent after `since`."""
        return Counter(status for sent, status in self.replies if sent > since)


def ejections(gateway: Gateway) -> list[tuple[str, str]]:
    """The workers that were ejected, and why, oldest first."""
    return [(line["worker"], line["reason"]) for line in gateway.gate_log("worker") if line["to"].startswith("ejected")]


def test_of_two_workers_that_fail_at_once_the_failing_one_leaves_before_it_has_failed_many(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"photos": ["photos-0", "photos-1"]}) as own:
        own.start()
        for worker in own.workers.values():
            worker.set(seconds=0.1)
        with Clients(own) as clients:
            until("both answer", lambda: len(clients.replies) > 4 * CLIENTS)
            own.workers["photos-0"].set(answer="fail")
            until("photos-0 is out", lambda: own.listed() == {"photos-1"})
            until("the bypass is over", lambda: not list((own.home / "rendered").glob("bypass.*")))
            over = time.monotonic()
            until("many more answers", lambda: len(clients.replies) > 500)
        assert ejections(own) == [("photos-0", "it answered 500 to the golden image")]
        assert own.metric("wanwu_gateway_ejections_total", model="photos", worker="photos-0") == 1
        assert own.metric("wanwu_gateway_golden_trials_total", worker="photos-0", result="failed") == 1
        assert set(clients.statuses()) == {200, 500}
        # Without the ejection, the failing worker draws nine requests of ten; with it, how many depends on the machine.
        assert clients.statuses()[500] < len(clients.replies) / 4
        assert set(clients.statuses(since=over)) == {200}
        [status, _] = own.ask("GET", "/status").json["workers"]
        assert (status["in"], status["state"], own.states_in()) == (False, "ready", {"photos-1"})
        assert status["reason"] == "it answered with server errors while the others did not: ejected, for the 1. time"


def test_an_ejected_worker_comes_back_after_its_time_and_stays_away_longer_when_it_fails_again(own: Gateway) -> None:
    own.workers["photos-0"].set(answer="fail")
    with Clients(own):
        until("it is ejected twice", lambda: len(ejections(own)) == 2)
        own.workers["photos-0"].set(answer="ok")
        until("it is out", lambda: own.states_in() == {"photos-1"})
        until("it is in again", lambda: own.states_in() == {"photos-0", "photos-1"})
    left = [line for line in own.gate_log("worker") if "ejected" in (line["from"] + line["to"])]
    assert [(line["from"], line["to"]) for line in left if line["worker"] == "photos-0"] == [
        ("in, ready", "ejected, ready"),
        ("ejected, ready", "out, ready"),
    ] * 2
    until("both answer", lambda: own.answered_by() == {"photos-0", "photos-1"})


def test_requests_that_always_fail_put_no_worker_out(own: Gateway) -> None:
    for worker in own.workers.values():
        worker.set(answer="poison")
    alone = [own.ask("POST", "/predict", POISON).status for _ in range(40)]
    # Every other request is good: the two workers take turns, so one of them gets all that fail.
    mixed = [own.ask("POST", "/predict", body).status for _ in range(40) for body in (POISON, IMAGE)]
    assert (alone, mixed) == ([500] * 40, [500, 200] * 40)
    assert ejections(own) == []
    until("both are in use", lambda: own.answered_by() == {"photos-0", "photos-1"})
    assert own.listed() == {"photos-0", "photos-1"}


def test_a_request_that_fails_is_not_handed_to_another_worker(own: Gateway) -> None:
    for worker in own.workers.values():
        worker.set(answer="poison")
    assert [own.ask("POST", "/predict", POISON).status for _ in range(10)] == [500] * 10
    met = [request for worker in own.workers.values() for request in worker.met() if request["bytes"] == len(POISON)]
    assert len(met) == 10


def test_of_two_workers_that_both_fail_one_stays(own: Gateway) -> None:
    for worker in own.workers.values():
        worker.set(answer="fail")
    assert {own.ask("POST", "/predict", IMAGE).status for _ in range(60)} == {500}
    assert len(own.listed()) >= 1
    assert len(ejections(own)) <= 1


def test_the_only_worker_of_a_model_is_never_ejected(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"photos": ["photos-0"]}, ejection_s=EJECTION_S) as own:
        own.start()
        own.workers["photos-0"].set(answer="fail")
        assert {own.ask("POST", "/predict", IMAGE).status for _ in range(40)} == {500}
        own.workers["photos-0"].set(answer="ok")
        assert own.answered_by() == {"photos-0"}
        assert ejections(own) == []


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_without_a_gate_that_listens_nginx_answers_as_before(own: Gateway, number: signal.Signals) -> None:
    assert own.gate
    os.kill(own.gate.pid, number)
    if number == signal.SIGKILL:
        own.gate.wait()
    own.workers["photos-0"].set(answer="fail")
    # Many more than a socket holds.
    statuses = Counter(own.ask("POST", "/predict", IMAGE).status for _ in range(600))
    assert set(statuses) == {200, 500}


def test_a_new_gate_ends_the_bypass_that_the_old_one_left(own: Gateway) -> None:
    assert own.gate
    own.gate.kill()
    own.gate.wait()
    left = own.home / "rendered/bypass.pool_photos.0"
    left.touch()
    assert own.answered_by() == {"photos-1"}
    own.start_gate()
    until("the file is gone", lambda: not left.exists())
    assert own.answered_by() == {"photos-0", "photos-1"}


@pytest.mark.parametrize("group", range(4))
def test_a_file_left_over_never_leads_nowhere(own: Gateway, group: int) -> None:
    assert own.gate
    own.gate.kill()
    own.gate.wait()
    (own.home / f"rendered/bypass.pool_photos.{group}").touch()
    assert own.answered_by() <= {"photos-0", "photos-1"}
