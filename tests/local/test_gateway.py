"""The gateway as clients and workers see it: real Nginx, real gate, workers that do as they are told.

Clients never try again. What changes in its own time (the gate's view, a reload) is waited for by its condition.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from nginx.gate.freshness import FRESH
from nginx.gate.rates import SLOT_S, SLOTS
from tests.local.gateway_harness import Gateway, Reply, ask_raw, stop
from tests.wait import TIMEOUT_S, until

HASTY = {
    "proxy_read_timeout 30s": "proxy_read_timeout 2s",
    "proxy_next_upstream_timeout 29s": "proxy_next_upstream_timeout 1s",
}
POOLS = {"photos": ["photos-0", "photos-1"], "other": ["other-0"]}
IMAGE = b"\x89PNG not really"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One for the tests that disturb nothing."""
    with Gateway(tmp_path_factory.mktemp("gateway"), POOLS) as gateway:
        for name, text in {"index.html": "<p>page", "app.js": "1", "style.css": "p {}"}.items():
            (gateway.home / "web" / name).write_text(text)
        yield gateway.start()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Gateway]:
    """One of its own for a test that disturbs: two workers, one model."""
    with Gateway(tmp_path, {"photos": ["photos-0", "photos-1"]}) as gateway:
        yield gateway.start()


# --- Where requests go ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "model"),
    [
        ("POST", "/predict", "photos"),
        ("POST", "/predict?top_k=2&model=other", "other"),
        ("POST", "/predict?model=photos", "photos"),
        ("GET", "/predict", "photos"),
        ("POST", "/models/other", "other"),
        ("POST", "/models/oth%65r?x=a%20b", "other"),
        ("GET", "/openapi.json", "photos"),
        ("GET", "/v2", "photos"),
        ("GET", "/v2/models/other", "other"),
        ("GET", "/v2/models/other/ready", "other"),
        ("POST", "/v2/models/other/infer", "other"),
        ("POST", "/v2/models/other/versions/1/infer", "other"),
    ],
)
def test_a_request_reaches_the_model_it_names_else_the_first(
    gateway: Gateway, method: str, path: str, model: str
) -> None:
    reply = gateway.ask(method, path, IMAGE)
    assert reply.status == 200
    got = {key: reply.json[key] for key in ("model", "method", "path", "bytes")}
    assert got == {"model": model, "method": method, "path": path, "bytes": len(IMAGE)}


def test_the_workers_of_a_model_share_its_requests(gateway: Gateway) -> None:
    assert gateway.answered_by("/predict") == {"photos-0", "photos-1"}


def test_errors_below_v2_are_a_text_as_that_protocol_has_it_and_an_object_elsewhere(gateway: Gateway) -> None:
    for path in ("/v2/models/x", "/v2/nope", "/v2x"):
        reply = gateway.ask("GET", path)
        assert isinstance(reply.json["error"], str) == path.startswith("/v2/"), path
        assert reply.error["code"] in ("unknown_model", "unknown_route")


@pytest.mark.parametrize("path", ["/predict?model=x", "/models/x", "/v2/models/x", "/v2/models/x/infer"])
def test_an_unknown_model_is_404_with_the_known_ones(gateway: Gateway, path: str) -> None:
    reply = gateway.ask("POST", path, IMAGE)
    assert reply.status == 404
    assert reply.error["code"] == "unknown_model"
    assert "photos, other" in reply.error["message"]


@pytest.mark.parametrize("name", ["%22", "a%22%7D", "a%0Ab", "a%0A", "%E4%B8%87", "x" * 101, "$pool"])
def test_a_name_that_could_break_the_answer_is_not_said_back(gateway: Gateway, name: str) -> None:
    for path in (f"/predict?model={name}", f"/models/{name}"):
        reply = gateway.ask("POST", path, IMAGE)
        assert reply.status == 404
        assert reply.error["code"] == "unknown_model"
        assert reply.error["message"].startswith("found an unknown model, ")


def test_the_largest_body_passes(gateway: Gateway) -> None:
    reply = gateway.ask("POST", "/predict", bytes(32 * 1024 * 1024))
    assert reply.status == 200
    assert reply.json["bytes"] == 32 * 1024 * 1024


def test_what_a_client_says_of_earlier_proxies_is_not_believed(gateway: Gateway) -> None:
    claims = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "on"}
    seen = gateway.ask("GET", "/v2", headers={**claims, "X-Forwarded-Protocol": "ssl"}).json["headers"]
    forwarded = [header for header in seen if header[0].startswith("x-forwarded")]
    assert forwarded == [["x-forwarded-for", "127.0.0.1"], ["x-forwarded-proto", "http"]]


def test_models_may_have_any_name_that_is_allowed(tmp_path: Path) -> None:
    names = ["default", "include", "tr.u-c_k", "0" * 64]
    with Gateway(tmp_path, {name: [f"worker-{index}"] for index, name in enumerate(names)}) as own:
        own.start()
        replies = [own.ask("POST", f"/predict?model={name}") for name in names]
    assert [(reply.status, reply.json["model"]) for reply in replies] == [(200, name) for name in names]


# --- The request id ---------------------------------------------------------------------------------------------


def worker_saw(reply: Reply) -> list[str]:
    return [value for name, value in reply.json["headers"] if name == "x-request-id"]


@pytest.mark.parametrize("mine", ["a", "Az09._-", "x" * 64])
def test_a_good_request_id_is_kept_and_returned_once(gateway: Gateway, mine: str) -> None:
    reply = gateway.ask("POST", "/predict", IMAGE, {"X-Request-ID": mine})
    assert reply.all("X-Request-ID") == worker_saw(reply) == [mine]


@pytest.mark.parametrize("mine", ["", "x" * 65, 'a"b', "a b", "a\tb", "ä"])
def test_a_bad_request_id_is_replaced(gateway: Gateway, mine: str) -> None:
    reply = gateway.ask("POST", "/predict", IMAGE, {"X-Request-ID": mine})
    assert reply.all("X-Request-ID") == worker_saw(reply)
    assert len(worker_saw(reply)[0]) == 32


def test_requests_without_an_id_get_one_each(gateway: Gateway) -> None:
    ids = {gateway.ask("GET", path).header("X-Request-ID") for path in ("/v2", "/livez", "/", "/nope")}
    assert len(ids) == 4


def test_errors_name_the_request_id_of_the_client(gateway: Gateway) -> None:
    for path in ("/nope", "/predict?model=x", "/golden"):
        assert gateway.ask("GET", path, headers={"X-Request-ID": "mine"}).error["request_id"] == "mine"


# --- What the gateway refuses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/nope", 'route "/nope"'),
        ("/models/photos/x?y=1", 'route "/models/photos/x"'),
        ("/models/", 'route "/models/"'),
        ("/web/", 'route "/web/"'),
        ("/_error", 'route "/_error"'),
        ("/ready.json", 'route "/ready.json"'),
        ("/golden", 'route "/golden"'),
        ("/%22%7D", "an unknown route"),
    ],
)
def test_an_unknown_route_is_404(gateway: Gateway, path: str, said: str) -> None:
    reply = gateway.ask("GET", path)
    assert reply.status == 404
    assert reply.error["code"] == "unknown_route"
    assert reply.error["message"].startswith(f"found {said}, ")


@pytest.mark.parametrize(
    "path", ["/", "/app.js", "/livez", "/readyz", "/status", "/metrics", "/v2/health/live", "/v2/health/ready"]
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_wrong_method_is_405_and_says_which_are_right(gateway: Gateway, method: str, path: str) -> None:
    reply = gateway.ask(method, path, IMAGE)
    assert (reply.status, reply.all("Allow")) == (405, ["GET, HEAD"])
    assert reply.error["code"] == "method_not_allowed"
    assert method in reply.error["message"]


HEAD = b"POST /predict HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    ("request_text", "status", "code"),
    [
        (HEAD + b"Content-Length: 33554433\r\n\r\n", 413, "body_too_large"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2000001\r\n" + bytes(0x2000001), 413, "body_too_large"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "uri_too_long"),
        (HEAD + b"X: " + b"a" * 9000 + b"\r\n\r\n", 431, "headers_too_large"),
        (HEAD + b"Content-Length: x\r\n\r\n", 400, "bad_request"),
        (HEAD + b"no colon\r\n\r\n", 400, "bad_request"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "bad_request"),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501, "unknown_encoding"),
        (b"POST /predict HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GARBAGE\r\n\r\n", 400, "bad_request"),
        (b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "unknown_version"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nIf-Match: x\r\n\r\n", 412, "refused"),
    ],
)
def test_malformed_requests_are_refused_in_the_same_json(
    gateway: Gateway, request_text: bytes, status: int, code: str
) -> None:
    reply = ask_raw(gateway.port, request_text)
    assert (reply.status, reply.error["code"]) == (status, code)


# --- What the gateway answers itself ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "content_type", "body"),
    [
        ("/", "text/html; charset=utf-8", b"<p>page"),
        ("/app.js", "text/javascript; charset=utf-8", b"1"),
        ("/style.css", "text/css; charset=utf-8", b"p {}"),
    ],
)
def test_the_web_page_and_its_files_are_served(gateway: Gateway, path: str, content_type: str, body: bytes) -> None:
    reply = gateway.ask("GET", path)
    assert (reply.status, reply.header("Content-Type"), reply.body) == (200, content_type, body)
    assert reply.header("X-Content-Type-Options") == "nosniff"
    assert reply.header("Cache-Control") == "no-cache"


def test_the_page_may_load_nothing_from_outside(gateway: Gateway) -> None:
    assert gateway.ask("GET", "/").header("Content-Security-Policy") == (
        "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; frame-ancestors 'none'"
    )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/livez", {"status": "alive"}),
        ("/v2/health/live", {"live": True}),
    ],
)
def test_health_is_answered_as_json(gateway: Gateway, path: str, body: object) -> None:
    reply = gateway.ask("GET", path)
    assert (reply.status, reply.json) == (200, body)
    assert reply.all("Content-Type") == ["application/json"]
    assert reply.all("Cache-Control") == ["no-store"]


@pytest.mark.parametrize("path", ["/readyz", "/v2/health/ready", "/readyz?model=photos", "/readyz?model=other"])
def test_readiness_says_when_it_was_reported(gateway: Gateway, path: str) -> None:
    as_of = gateway.ask("GET", "/status").json["as_of"]
    reply = gateway.ask("GET", path)
    assert (reply.status, reply.json["ready"], reply.header("Cache-Control")) == (200, True, "no-store")
    assert reply.json.keys() == {"ready", "as_of"}
    assert reply.json["as_of"] >= as_of


@pytest.mark.parametrize("name", ["x", "..", "photos/", "pool_photos", "%2e%2e%2fready"])
def test_readiness_of_an_unknown_model_is_404(gateway: Gateway, name: str) -> None:
    reply = gateway.ask("GET", f"/readyz?model={name}")
    assert (reply.status, reply.error["code"]) == (404, "unknown_model")


NO_REQUESTS = {"images_per_s": 0, "p50_ms": None, "p99_ms": None, "step_s": SLOT_S, "images": [0] * SLOTS}


def test_status_says_what_every_worker_said(gateway: Gateway) -> None:
    reply = gateway.ask("GET", "/status")
    assert reply.all("Cache-Control") == ["no-store"]
    assert reply.json["models"] == [
        {"name": "photos", "ready": True, "reason": None, "workers_in": 2, "workers": 2, "recent": NO_REQUESTS},
        {"name": "other", "ready": True, "reason": None, "workers_in": 1, "workers": 1, "recent": NO_REQUESTS},
    ]
    worker = reply.json["workers"][2]
    assert worker.pop("since") <= reply.json["as_of"]
    assert worker == {
        "worker": "other-0",
        "server": "this",
        "slot": "slot-of-other-0",
        "model": "other",
        "in": True,
        "state": "ready",
        "reason": None,
        "cpus": None,
        "gpu": None,
        "version": "1",
        "engine": "openvino",
        "precision": "f32",
        "in_flight": 0,
        "queued": 0,
    }


def test_the_access_log_is_json_and_says_which_worker_answered(gateway: Gateway) -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    gateway.ask("POST", '/predict?x="', IMAGE, {"X-Request-ID": "passed", "traceparent": parent})
    gateway.ask("POST", "/livez", IMAGE, {"X-Request-ID": "refused"})
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.sendall(HEAD + b"X-Request-ID: aborted\r\nContent-Length: 9\r\n\r\nno")
    passed, refused, aborted = (gateway.logged(request_id) for request_id in ("passed", "refused", "aborted"))
    ports = [gateway.workers[name].port for name in POOLS["photos"]]
    assert passed["upstream"] in [f"127.0.0.1:{port}" for port in ports]
    assert (passed["uri"], passed["status"], passed["upstream_status"]) == ('/predict?x="', 200, "200")
    assert set(passed) == {
        "time", "request_id", "traceparent", "client", "key", "scheme", "host", "method", "uri", "status", "bytes_in",
        "bytes", "bytes_out", "request_time", "upstream", "upstream_status", "upstream_connect_time",
        "upstream_header_time", "upstream_time", "connection",
    }  # fmt: skip
    assert (passed["traceparent"], aborted["traceparent"]) == (parent, "")
    assert (passed["client"], passed["scheme"], passed["host"]) == ("127.0.0.1", "http", "127.0.0.1")
    assert passed["bytes_in"] > len(IMAGE)
    assert passed["bytes_out"] > passed["bytes"] > 0
    assert (refused["method"], refused["status"], refused["upstream"]) == ("POST", 405, "")
    assert (aborted["status"], aborted["bytes"]) == (400, 0)


def test_everything_nginx_writes_lies_in_its_folder(gateway: Gateway) -> None:
    assert (gateway.home / "tmp/nginx.pid").read_text().strip().isdigit()
    assert {path.name for path in (gateway.home / "tmp").iterdir()} == {
        "nginx.pid",
        "access.log",
        "error.log",
        "client_body",
        "proxy",
        "fastcgi",
        "uwsgi",
        "scgi",
    }


# --- The second try ---------------------------------------------------------------------------------------------


def tries(gateway: Gateway) -> list[str]:
    """What the workers said to each request so far."""
    return [line["upstream_status"] for line in gateway.access_log() if line["uri"] == "/predict"]


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


# --- Who is in --------------------------------------------------------------------------------------------------


class Stream:
    """Requests one after the other, until it ends; each on a connection of its own."""

    def __init__(self, gateway: Gateway) -> None:
        self.replies: list[Reply] = []
        self.faults: list[Exception] = []
        self.gateway = gateway
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self.over.is_set():
            try:
                self.replies.append(self.gateway.ask("POST", "/predict", IMAGE))
            except Exception as fault:
                self.faults.append(fault)
            self.over.wait(0.005)  # the cores are for the gateway

    def __enter__(self) -> "Stream":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def passes(self, requests: int = 20) -> None:
        reached = len(self.replies) + requests
        until(f"{requests} more requests", lambda: self.faults or len(self.replies) >= reached)

    def only(self, worker: str) -> None:
        """Waits until none but `worker` answers."""

        def last_twenty() -> bool:
            last = self.replies[-20:]
            return len(last) == 20 and {reply.json.get("worker") for reply in last} == {worker}

        until(f"only {worker} answers", last_twenty)


def test_draining_and_return_fail_no_request(own: Gateway) -> None:
    with Stream(own) as stream:
        stream.passes()
        own.workers["photos-0"].set(state="draining")
        until("it is out", lambda: own.states_in() == {"photos-1"})
        stream.only("photos-1")
        own.workers["photos-0"].close()
        stream.passes()
        own.restart_worker("photos-0")
        until("it is in again", lambda: own.states_in() == {"photos-0", "photos-1"})
        until("it answers again", lambda: len({reply.json["worker"] for reply in stream.replies[-20:]}) == 2)
    assert stream.faults == []
    assert {reply.status for reply in stream.replies} == {200}


def test_draining_is_seen_in_one_probe_and_failing_in_three(own: Gateway) -> None:
    own.workers["photos-0"].set(state="draining")
    until("photos-0 is out", lambda: own.states_in() == {"photos-1"})
    own.workers["photos-0"].set(state="ready")
    until("photos-0 is in", lambda: own.states_in() == {"photos-0", "photos-1"})
    own.workers["photos-1"].set(state="broken", reason="golden image 2 is wrong")
    until("photos-1 is out", lambda: own.states_in() == {"photos-0"})
    [broken] = [worker for worker in own.ask("GET", "/status").json["workers"] if not worker["in"]]
    assert (broken["state"], broken["reason"]) == ("broken", "golden image 2 is wrong")
    changes = [(line["worker"], line["from"], line["to"], line["reason"]) for line in own.gate_log("worker")]
    assert changes[2:] == [
        ("photos-0", "in, ready", "out, draining", None),
        ("photos-0", "out, draining", "out, ready", None),
        ("photos-0", "out, ready", "in, ready", None),
        ("photos-1", "in, ready", "in, broken", "golden image 2 is wrong"),
        ("photos-1", "in, broken", "out, broken", "golden image 2 is wrong"),
    ]


def test_when_all_are_out_the_whole_list_stays_and_ready_is_taken_back(own: Gateway) -> None:
    own.workers["photos-0"].set(state="broken")
    until("photos-0 is out", lambda: own.listed() == {"photos-1"})
    own.workers["photos-1"].set(state="broken")
    until("none is in", lambda: own.states_in() == set())
    until("all are listed", lambda: own.listed() == {"photos-0", "photos-1"})
    until("the whole list is in use", lambda: own.answered_by() == {"photos-0", "photos-1"})
    assert own.gate_log("pool_kept_whole")[-1]["model"] == "photos"
    assert (
        own.ask("GET", "/status").json["models"][0]["reason"].startswith("most of its workers failed, workers left: 0")
    )
    for path in ("/readyz", "/v2/health/ready"):
        reply = own.ask("GET", path)
        assert (reply.status, reply.error["code"], reply.all("Retry-After")) == (503, "not_ready", ["2"])
    own.workers["photos-0"].set(state="ready")
    until("photos-0 is in and alone", lambda: own.listed() == {"photos-0"})
    until("ready again", lambda: own.ask("GET", "/readyz").status == 200)


def test_the_gateway_is_ready_only_when_every_model_is(tmp_path: Path) -> None:
    with Gateway(tmp_path, POOLS) as own:
        own.workers["other-0"].set(state="starting")
        own.init()
        own.start_nginx()
        assert own.ask("GET", "/readyz").status == 503
        own.start_gate()
        until("photos is ready", lambda: own.ask("GET", "/status").json["models"][0]["workers_in"] == 2)
        assert own.ask("GET", "/readyz").status == 503
        assert [own.ask("GET", f"/readyz?model={model}").status for model in POOLS] == [200, 503]
        own.workers["other-0"].set(state="ready")
        until("all is ready", lambda: own.ask("GET", "/readyz").status == 200)


def test_a_model_that_is_added_counts_once_it_was_ready_and_until_then_takes_nothing_away(own: Gateway) -> None:
    added = own.add_worker("other-0", "other")
    added.set(state="starting")
    own.write_members()
    until("the gate asks it", lambda: "starting" in (own.home / "rendered/status.json").read_text())
    assert own.ask("GET", "/readyz").status == 200
    added.set(state="ready")
    until("it is in", lambda: own.states_in() == {"photos-0", "photos-1", "other-0"})
    assert own.ask("GET", "/readyz").status == 200
    added.set(state="draining")
    until("it is missed", lambda: own.ask("GET", "/readyz").status == 503)
    del own.pools["other"]
    own.write_members()
    until("it is expected no more", lambda: own.ask("GET", "/readyz").status == 200)


# --- What nobody reads ------------------------------------------------------------------------------------------


def test_requests_are_answered_while_nobody_reads_what_nginx_and_the_gate_write(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(1 << 12))
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"0")
    os.set_blocking(writer, True)
    with Gateway(tmp_path, {"photos": ["photos-0", "photos-1"]}, output=writer) as own:
        own.init()
        own.start_nginx()
        own.start_gate()
        until("both are in", lambda: own.states_in() == {"photos-0", "photos-1"})
        own.workers["photos-0"].close()  # errors are logged, too
        assert own.answered_by(requests=50) == {"photos-1"}
        until("the gate goes on", lambda: own.listed() == {"photos-1"})
        until("all are in the log", lambda: len(own.access_log()) >= 50)
    os.close(reader)
    os.close(writer)


# --- What the gate survives -------------------------------------------------------------------------------------


def test_without_the_gate_nginx_serves_on_and_its_passive_checks_hold(own: Gateway) -> None:
    assert own.gate
    own.gate.kill()
    own.gate.wait()
    own.workers["photos-0"].close()
    assert own.answered_by(requests=20) == {"photos-1"}
    until("all are in the log", lambda: len(tries(own)) == 20)
    assert 0 < tries(own).count("502, 200") <= 10
    until("the old status is refused", lambda: own.ask("GET", "/status").status == 503)
    for path in ("/status", "/readyz", "/readyz?model=photos", "/v2/health/ready"):
        reply = own.ask("GET", path)
        assert (reply.status, reply.error["code"], reply.all("Retry-After")) == (503, "not_ready", ["2"])
        assert reply.error["message"].startswith("found no report of the gate from the last 5 seconds, ")
    assert own.ask("GET", "/ping").status == 500
    assert own.ask("GET", "/livez").status == 200
    assert own.answered_by(requests=4) == {"photos-1"}
    own.start_gate()
    until("its report is new", lambda: own.ask("GET", "/readyz").status == 200)


def test_a_new_gate_drops_nobody_without_evidence(own: Gateway) -> None:
    assert own.gate
    own.gate.kill()
    own.gate.wait()
    own.workers["photos-0"].set(state="broken")
    with Stream(own) as stream:
        own.start_gate()
        until("photos-0 is out again", lambda: own.listed() == {"photos-1"})
        stream.only("photos-1")
    assert stream.faults == []
    assert {reply.status for reply in stream.replies} == {200}
    changes = [(line["worker"], line["from"], line["to"]) for line in own.gate_log("worker")]
    new = [change for change in changes[2:] if change[0] == "photos-0"]
    assert new == [
        ("photos-0", "untested, unreachable", "untested, broken"),
        ("photos-0", "untested, broken", "out, broken"),
    ]


def test_output_that_is_unchanged_reloads_nothing(own: Gateway) -> None:
    before = own.nginx_processes()
    for _ in range(5):
        as_of = own.ask("GET", "/status").json["as_of"]
        until("the next probes", partial(is_newer, own, as_of))
    own.write_members_text((own.home / "rendered/members.json").read_text() + "\n")
    until("the members are read again", lambda: len(own.gate_log("members")) == 2)
    until("the next probes", partial(is_newer, own, own.ask("GET", "/status").json["as_of"]))
    assert own.nginx_processes() == before
    assert len(own.gate_log("reloaded")) == 1


def is_newer(gateway: Gateway, as_of: str) -> bool:
    newest: str = gateway.ask("GET", "/status").json["as_of"]
    return newest > as_of


def test_unusable_members_are_refused_and_the_old_stay(own: Gateway) -> None:
    own.write_members_text('{"pools": []}')
    [refused] = until("the refusal", lambda: own.gate_log("members_refused"))
    assert refused["fault"] == "pools: needed a list with at least one entry"
    assert own.listed() == {"photos-0", "photos-1"}
    own.workers["photos-0"].set(state="draining")
    until("the old are still asked", lambda: own.states_in() == {"photos-1"})


def test_new_members_join_and_removed_ones_leave(own: Gateway) -> None:
    own.add_worker("photos-2", "photos")
    own.add_worker("other-0", "other")
    own.pools["photos"].remove("photos-0")
    own.write_members()
    until("all of the new list are in", lambda: own.states_in() == {"photos-1", "photos-2", "other-0"})
    assert own.listed() == {"photos-1", "photos-2", "other-0"}
    until("the new model is known", lambda: own.ask("POST", "/models/other").status == 200)
    until("its worker alone", lambda: own.answered_by("/models/photos") == {"photos-1", "photos-2"})


def name_hosts(gateway: Gateway, hosts: dict[str, str]) -> None:
    """Members again, `hosts` instead of 127.0.0.1 for the workers that it names."""
    members = json.loads((gateway.home / "rendered/members.json").read_text())
    for pool in members["pools"]:
        for member in pool["members"]:
            host, port = member["address"].split(":")
            member["address"] = f"{hosts.get(member['worker'], host)}:{port}"
    gateway.write_members_text(json.dumps(members))


def test_members_may_be_names_and_nginx_is_told_addresses(own: Gateway) -> None:
    name_hosts(own, {"photos-0": "localhost"})
    until("both are asked anew", lambda: len(own.gate_log("members")) == 2)
    until("both are in", lambda: own.states_in() == {"photos-0", "photos-1"})
    assert "server localhost" not in (own.home / "rendered/upstreams.conf").read_text()
    assert own.answered_by() == {"photos-0", "photos-1"}


def test_a_name_that_leads_nowhere_is_a_worker_that_does_not_answer(tmp_path: Path) -> None:
    with Gateway(tmp_path, POOLS) as own:
        good = (own.home / "rendered/members.json").read_text()
        name_hosts(own, {"photos-0": "not..a.name", "other-0": "not..a.name"})
        own.init()
        own.start_nginx()
        assert own.answered_by("/models/photos") == {"photos-1"}
        reply = own.ask("POST", "/models/other", IMAGE)
        assert (reply.status, reply.error["code"], reply.all("Retry-After")) == (503, "not_ready", ["2"])
        own.start_gate()
        until("the only one is in", lambda: own.states_in() == {"photos-1"})
        reasons = {worker["worker"]: worker["reason"] for worker in own.ask("GET", "/status").json["workers"]}
        assert reasons["other-0"].startswith("not..a.name has no address: ")
        assert own.ask("POST", "/models/other", IMAGE).status == 503
        own.write_members_text(good)
        until("all are in", lambda: own.states_in() == set(own.workers))
        until("the other model answers", lambda: own.ask("POST", "/models/other").status == 200)


def test_a_list_that_nginx_refuses_is_taken_back_and_tried_again(own: Gateway) -> None:
    listen = own.home / "rendered/listen.conf"
    good = listen.read_text()
    listen.write_text("nonsense;\n")
    own.workers["photos-0"].set(state="draining")
    rejected = until("the refusal", lambda: own.gate_log("upstreams_rejected"))
    assert 'unknown directive "nonsense"' in rejected[0]["fault"]
    until("the old list is back", lambda: own.listed() == {"photos-0", "photos-1"})
    until("it is told", lambda: own.metric("wanwu_gateway_list_refused") == 1)
    assert own.metric("wanwu_gateway_lists_refused_total") >= 1
    listen.write_text(good)
    until("the new list is in use", lambda: own.gate_log("reloaded")[-1]["servers"] == [address(own, "photos-1")])
    assert own.listed() == {"photos-1"}
    until("it is refused no more", lambda: own.metric("wanwu_gateway_list_refused") == 0)


def address(gateway: Gateway, name: str) -> str:
    return f"127.0.0.1:{gateway.workers[name].port}"


def test_a_reload_that_found_no_nginx_is_made_good(own: Gateway) -> None:
    assert own.nginx
    stop(own.nginx)
    own.workers["photos-0"].set(state="draining")
    until("the failure", lambda: own.gate_log("reload_failed"))
    own.start_nginx()
    until("photos-1 alone", lambda: own.gate_log("reloaded")[-1]["servers"] == [address(own, "photos-1")])
    assert own.answered_by() == {"photos-1"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_gate_ends_cleanly_when_told_to(own: Gateway, number: signal.Signals) -> None:
    assert own.gate
    own.gate.send_signal(number)
    assert own.gate.wait(TIMEOUT_S) == 0
    assert own.gate_log("stopped")
    assert (own.home / "gate.err").read_text() == ""


def test_the_gate_leaves_no_half_written_file(own: Gateway) -> None:
    files = {
        "heartbeat",
        "index.json",
        "listen.conf",
        "members.json",
        "models.json",
        "names.json",
        "ready.json",
        "ready.pool_photos.json",
        "reported.json",
        "status.json",
        "target.json",
        "upstreams.conf",
    }
    assert own.gate
    stop(own.gate)
    names = {path.name for path in (own.home / "rendered").iterdir()}
    assert {name for name in names if not name.startswith(FRESH)} == files
    json.loads((own.home / "rendered/status.json").read_text())


def test_the_real_page_is_allowed_by_its_own_policy() -> None:
    page = (ROOT / "nginx/web/index.html").read_text()
    assert " style=" not in page
    assert "<style" not in page
    assert "<script>" not in page
