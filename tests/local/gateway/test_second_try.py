"""Which requests are tried at another worker, once, and which are not."""

import os
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.local.gateway.traffic import IMAGE, tries
from tests.local.gateway_harness import Gateway
from tests.wait import until

HASTY = {
    "proxy_read_timeout 30s": "proxy_read_timeout 2s",
    "proxy_next_upstream_timeout 29s": "proxy_next_upstream_timeout 1s",
}


def test_a_full_queue_is_an_answer_and_is_not_tried_elsewhere(own: Gateway) -> None:
    for worker in own.workers.values():
        worker.set(answer="full")
    replies = [own.ask("POST", "/predict", IMAGE) for _ in range(10)]
    assert [reply.status for reply in replies] == [429] * 10
    assert replies[0].all("Retry-After") == ["7"]
    assert replies[0].json["error"]["message"] == "the worker's own words"
    assert sum(len(worker.met()) for worker in own.workers.values()) == 10


@pytest.mark.parametrize("answer", ["unready", "close"])
def test_a_post_that_one_worker_cannot_answer_is_answered_by_the_other(own: Gateway, answer: str) -> None:
    own.workers["photos-0"].set(answer=answer)
    replies = [own.ask("POST", "/predict", IMAGE) for _ in range(2)]
    assert [(reply.status, reply.json["worker"], reply.json["bytes"]) for reply in replies] == [
        (200, "photos-1", len(IMAGE))
    ] * 2
    met = own.workers["photos-0"].met()
    assert [request["bytes"] for request in met] == [len(IMAGE)]


def test_a_post_whose_worker_is_gone_is_answered_by_the_other(own: Gateway) -> None:
    own.workers["photos-0"].close()
    assert own.answered_by() == {"photos-1"}


def test_when_both_say_503_the_second_one_s_answer_passes(own: Gateway) -> None:
    for worker in own.workers.values():
        worker.set(answer="unready")
    reply = own.ask("POST", "/predict", IMAGE)
    assert (reply.status, reply.all("Retry-After")) == (503, ["7"])
    assert reply.json["error"]["message"] == "the worker's own words"
    assert [len(worker.met()) for worker in own.workers.values()] == [1, 1]


def test_when_no_worker_can_be_reached_the_gateway_says_503_and_when_to_come_back(own: Gateway) -> None:
    for worker in own.workers.values():
        worker.close()
    reply = own.ask("POST", "/predict", IMAGE)
    assert (reply.status, reply.all("Retry-After")) == (503, ["2"])
    assert reply.error["code"] == "not_ready"


def test_a_request_that_a_worker_took_and_does_not_answer_is_not_handed_on_and_the_worker_leaves(
    tmp_path: Path,
) -> None:
    # The figures are shortened; test_figures.py compares the real ones.
    with Gateway(tmp_path, {"photos": ["photos-0", "photos-1"]}, HASTY) as own:
        own.start()
        frozen = own.workers["photos-0"]
        os.kill(frozen.process.pid, signal.SIGSTOP)
        replies = [own.ask("POST", "/predict", IMAGE) for _ in range(2)]
        assert sorted(reply.status for reply in replies) == [200, 504]
        assert [reply.error["code"] for reply in replies if reply.status == 504] == ["deadline"]
        assert len(own.workers["photos-1"].met()) == 1
        until("the frozen worker is out", lambda: own.states_in() == {"photos-1"})
        assert own.listed() == {"photos-1"}
        os.kill(frozen.process.pid, signal.SIGCONT)
        until("it is in again", lambda: own.states_in() == {"photos-0", "photos-1"})


def test_what_a_frozen_worker_took_is_answered_by_another_once_it_is_killed(own: Gateway) -> None:
    frozen = own.workers["photos-0"].process
    os.kill(frozen.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(4) as clients:
        replies = [clients.submit(own.ask, "POST", "/predict", IMAGE) for _ in range(4)]
        until("others are answered", lambda: own.workers["photos-1"].met())
        frozen.kill()
        assert {(reply.result().status, reply.result().json["worker"]) for reply in replies} == {(200, "photos-1")}
    assert len(own.workers["photos-1"].met()) == 4


def test_a_body_that_a_frozen_worker_does_not_take_is_sent_to_another(tmp_path: Path) -> None:
    hasty = {"proxy_send_timeout 10s": "proxy_send_timeout 1s"}
    with Gateway(tmp_path, {"photos": ["photos-0", "photos-1"]}, hasty) as own:
        own.start()
        os.kill(own.workers["photos-0"].process.pid, signal.SIGSTOP)
        large = bytes(24 << 20)  # more than the kernel keeps for a process that does not read
        assert {own.ask("POST", "/predict", large).status for _ in range(2)} == {200}
        until("it was tried twice", lambda: "504, 200" in tries(own))


def test_a_request_that_kills_its_worker_reaches_one_more_and_no_third(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"photos": ["photos-0", "photos-1", "photos-2"]}) as own:
        own.start()
        for worker in own.workers.values():
            worker.set(answer="die")
        assert own.ask("POST", "/predict", IMAGE).status == 503
        until("two are dead", lambda: sum(worker.process.poll() is not None for worker in own.workers.values()) == 2)
        until("it was tried twice", lambda: tries(own) == ["502, 502"])


def test_a_worker_at_an_address_that_swallows_packets_is_passed_over(own: Gateway) -> None:
    hole = socket.socket()
    hole.bind(("127.0.0.1", 0))
    hole.listen(0)
    address, queue = hole.getsockname(), list[socket.socket]()
    for _ in range(3):  # once its queue is full, the kernel drops further attempts to connect
        queue.append(socket.socket())
        queue[-1].setblocking(False)
        queue[-1].connect_ex(address)
    assert own.gate
    own.gate.kill()
    own.gate.wait()
    listed = own.home / "rendered/upstreams.conf"
    listed.write_text(listed.read_text().replace(f":{own.workers['photos-0'].port} ", f":{address[1]} "))
    before = own.nginx_processes()
    subprocess.run([*own.nginx_command, "-s", "reload"], check=True)
    until("the reload is over", lambda: not before & own.nginx_processes())
    assert own.answered_by(requests=4) == {"photos-1"}
    until("it was tried twice", lambda: "504, 200" in tries(own))
    for end in (hole, *queue):
        end.close()


def test_when_both_hang_the_answer_is_504(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"photos": ["photos-0", "photos-1"]}, HASTY) as own:
        own.start()
        for worker in own.workers.values():
            os.kill(worker.process.pid, signal.SIGSTOP)
        reply = own.ask("POST", "/predict", IMAGE)
        assert (reply.status, reply.error["code"]) == (504, "deadline")
