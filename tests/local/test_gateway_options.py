"""What cluster.toml says of the gateway itself: origins of web pages, and the size of a body."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.gateway_harness import Gateway, Reply
from tests.wait import until

PAGE, OTHER = "https://intra.example.org", "https://evil.example.org"
ASKED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-request-id"}
PATHS = ["/predict", "/models/photos", "/v2/models/photos/infer", "/v1/models/photos:predict", "/status", "/models"]
POOLS = {"photos": ["photos-0"]}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    options = {"cors_origins": ["http://localhost:3000", PAGE], "max_body_mb": 2}
    with Gateway(tmp_path_factory.mktemp("options"), POOLS, options=options) as gateway:
        yield gateway.start()


def cors(reply: Reply) -> dict[str, str]:
    return {name.lower(): value for name, value in reply.headers if name.lower().startswith("access-control-")}


@pytest.mark.parametrize("path", PATHS)
def test_a_preflight_is_answered(gateway: Gateway, path: str) -> None:
    reply = gateway.ask("OPTIONS", path, headers=ASKED | {"Origin": PAGE})
    found = cors(reply)
    assert (reply.status, found["access-control-allow-origin"], reply.body) == (204, PAGE, b"")
    assert {"GET", "POST", "PUT"} <= {*found["access-control-allow-methods"].split(", ")}
    assert found["access-control-allow-headers"] == ASKED["Access-Control-Request-Headers"]
    assert reply.all("Vary") == ["Origin"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/predict", 200), ("GET", "/status", 200), ("GET", "/models", 200), ("POST", "/models/none", 404),
        ("GET", "/nope", 404), ("POST", "/status", 405), ("POST", "/predictions/none", 404),
    ],
)  # fmt: skip
def test_answers_and_errors_may_be_read_by_the_page(gateway: Gateway, method: str, path: str, status: int) -> None:
    reply = gateway.ask(method, path, b"image", {"Origin": PAGE})
    assert reply.status == status
    assert cors(reply)["access-control-allow-origin"] == PAGE
    assert "X-Request-ID" in cors(reply)["access-control-expose-headers"]


def test_a_refused_body_may_be_read_by_the_page_and_names_the_limit(gateway: Gateway) -> None:
    assert gateway.ask("POST", "/predict", bytes(2 << 20)).status == 200
    reply = gateway.ask("POST", "/predict", bytes((2 << 20) + 1), {"Origin": PAGE})
    assert (reply.status, cors(reply)["access-control-allow-origin"]) == (413, PAGE)
    assert "needed at most 2 MB" in reply.error["message"]


def test_when_no_worker_is_ready_the_page_may_read_that(gateway: Gateway) -> None:
    gateway.workers["photos-0"].set(answer="unready")
    reply = gateway.ask("POST", "/predict", b"image", {"Origin": PAGE})
    gateway.workers["photos-0"].set(answer="ok")
    assert (reply.status, cors(reply)["access-control-allow-origin"]) == (503, PAGE)


@pytest.mark.parametrize("origin", [OTHER, "null", f"{PAGE}.evil", "http://intra.example.org", "x" * 300, "", None])
def test_another_origin_gets_no_leave(gateway: Gateway, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}
    preflight = gateway.ask("OPTIONS", "/predict", headers=ASKED | headers)
    assert cors(preflight) == cors(gateway.ask("POST", "/predict", b"image", headers)) == {}
    assert preflight.status == 200  # as without any list: the worker's own answer


def test_a_changed_list_is_used_without_a_restart(tmp_path: Path) -> None:
    with Gateway(tmp_path, POOLS) as own:
        own.start()
        assert cors(own.ask("OPTIONS", "/predict", headers=ASKED | {"Origin": PAGE})) == {}
        own.options["cors_origins"] = ["*"]
        own.write_members()
        until("the page may ask", lambda: cors(own.ask("GET", "/status", headers={"Origin": OTHER})))
        reply = own.ask("GET", "/status", headers={"Origin": OTHER})
        assert cors(reply)["access-control-allow-origin"] == "*"
        assert reply.all("Vary") == []


# --- A model that the body names, as a worker reports it ----------------------------------------------------------


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("two"), {"photos": ["photos-0"], "other": ["other-0"]}) as gateway:
        yield gateway.start()


@pytest.mark.parametrize("size", [5, 3 << 20])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_the_whole_request_goes_to_the_named_models_pool(two: Gateway, method: str, size: int) -> None:
    two.workers["photos-0"].set(answer="elsewhere", body_model="other")
    mine = f"{method}-{size}"
    headers = {"X-A": "b", "Content-Type": "image/png", "X-Request-ID": mine}
    reply = two.ask(method, "/predict?top_k=2", b"x" * size, headers)
    assert (reply.status, reply.json["model"]) == (200, "other")
    assert (reply.json["method"], reply.json["path"], reply.json["bytes"]) == (method, "/predict?top_k=2", size)
    assert ["x-a", "b"] in reply.json["headers"]
    line = two.logged(mine)
    assert (line["status"], line["upstream_status"]) == (200, "404 : 200")


def test_there_is_no_loop(two: Gateway) -> None:
    for worker in two.workers.values():
        worker.set(answer="elsewhere", body_model="photos" if worker.model == "other" else "other")
    before = sum(len(worker.met()) for worker in two.workers.values())
    reply = two.ask("POST", "/predict", b"image")
    assert (reply.status, reply.json["error"]["code"]) == (404, "elsewhere")
    assert sum(len(worker.met()) for worker in two.workers.values()) == before + 2


def test_a_pool_without_workers_is_503_and_no_loop(two: Gateway) -> None:
    two.workers["photos-0"].set(answer="elsewhere", body_model="other")
    two.workers["other-0"].set(answer="unready")
    reply = two.ask("POST", "/predict", b"image")
    two.workers["other-0"].set(answer="ok")
    assert reply.status == 503
