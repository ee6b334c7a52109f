"""Where the gateway sends requests, and the id that each of them has."""

from pathlib import Path

import pytest

from tests.local.gateway.traffic import IMAGE
from tests.local.gateway_harness import Gateway, Reply


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
