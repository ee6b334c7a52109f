"""Requests as clients make them, through a real gateway to real workers of two models."""

import base64
import functools
import gzip
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton

from tests import folders, images
from tests.local.gateway_harness import Gateway, RealWorker, Reply
from tests.local.worker_harness import JSON, PNG, form, running

RED = images.encoded(folders.image(folders.RED), "PNG")
BLUE = images.encoded(folders.image((60, 60, 200)), "PNG")
LARGE = images.encoded(images.photo((900, 900)), "BMP")  # above what Nginx keeps in memory
IN_BASE64 = base64.b64encode(RED).decode()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = tmp_path_factory.mktemp("requests")
    bright, fruit = folders.openvino_folder(home / "bright"), folders.fruit_folder(home / "fruit")
    (home / "gateway").mkdir()
    with (
        running(bright, home / "bright.log", MAX_IMAGES=3) as first,
        running(fruit, home / "fruit.log", MODEL="fruit", WORKER="fruit-0") as second,
        Gateway(home / "gateway", {}) as found,
    ):
        for name, process in (("bright", first), ("fruit", second)):
            found.workers[f"{name}-0"] = RealWorker(f"{name}-0", name, process.port)
            found.pools[name] = [f"{name}-0"]
        found.write_members()
        yield found.start()


def post(gateway: Gateway, path: str, body: Any, headers: Mapping[str, str] = JSON) -> Reply:
    return gateway.ask("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)


# --- The model that a body names ----------------------------------------------------------------------------------


def named(model: str, image: bytes = RED) -> dict[str, tuple[bytes, dict[str, str]]]:
    text = base64.b64encode(image).decode()
    return {
        "a form": form(("a.png", image), model=model),
        "JSON": (json.dumps({"inputs": text, "parameters": {"model": model}}).encode(), JSON),
        "compressed JSON": (
            gzip.compress(json.dumps({"inputs": text, "parameters": {"model": model}}).encode()),
            JSON | {"Content-Encoding": "gzip"},
        ),
    }


@pytest.mark.parametrize("way", named("x"))
@pytest.mark.parametrize("model", ["bright", "fruit"])
@pytest.mark.parametrize("image", [RED, LARGE], ids=["small", "large"])
def test_the_model_that_a_body_names_answers(gateway: Gateway, way: str, model: str, image: bytes) -> None:
    body, headers = named(model, image)[way]
    reply = gateway.ask("POST", "/predict", body, headers | {"X-Request-ID": "mine"})
    assert (reply.status, reply.json.get("model")) == (200, model), reply.body
    assert reply.all("X-Request-ID") == ["mine"]
    assert not reply.all("X-Accel-Redirect") + reply.all("X-Body-Model")
    assert len(reply.all("Content-Type")) == len(reply.all("Content-Length")) == 1


def test_what_only_the_named_model_knows_may_be_asked_of_it(gateway: Gateway) -> None:
    body, headers = form(("a.png", RED), model="fruit", labels="ja", heat_map="true")
    reply = gateway.ask("POST", "/predict", body, headers | {"Accept": "image/png"})
    assert (reply.status, reply.header("Content-Type")) == (200, "image/png"), reply.body[:500]


@pytest.mark.parametrize("name", ["nobody", "\u4e07\u7269", "a\r\nX-A: b", '"', "x" * 5000, "../fruit", ""])
@pytest.mark.parametrize("way", ["a form", "JSON"])
def test_a_model_that_nobody_serves_is_404_with_the_known_ones(gateway: Gateway, name: str, way: str) -> None:
    body, headers = named(name)[way]
    reply = gateway.ask("POST", "/predict", body, headers)
    assert (reply.status, reply.error["code"]) == (404, "unknown_model"), reply.body
    if name:
        assert "choose from bright, fruit" in reply.error["message"]
    assert not reply.all("X-A")


# --- Other servers' routes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [{"b64": IN_BASE64}]},
        {"instances": [{"image_bytes": {"b64": IN_BASE64}, "key": "one"}]},
        {"instances": [IN_BASE64], "signature_name": "serving_default"},
        {"inputs": [IN_BASE64]},
        {"inputs": {"image_bytes": [{"b64": IN_BASE64}]}},
        {"inputs": {"b64": IN_BASE64}},
    ],
)
@pytest.mark.parametrize("model", ["bright", "fruit"])
@pytest.mark.parametrize("version", ["", "/versions/1"])
def test_tensorflow_servings_clients_are_answered(gateway: Gateway, body: Any, model: str, version: str) -> None:
    own = gateway.ask("POST", f"/predict?model={model}", RED, PNG).json["predictions"]
    reply = post(gateway, f"/v1/models/{model}{version}:predict", body)
    assert reply.status == 200, reply.body
    (found,) = reply.json["predictions"]
    assert found["labels"] == [row["label"] for row in own]
    assert found["classes"] == [row["index"] for row in own]
    assert found["scores"] == pytest.approx([row["score"] for row in own])
    assert found.get("key") == ("one" if "key" in str(body) else None)


def test_tensorflow_servings_errors_are_a_text(gateway: Gateway) -> None:
    none = post(gateway, "/v1/models/nobody:predict", {"instances": [IN_BASE64]})
    assert (none.status, none.error["code"]) == (404, "unknown_model")
    wrong: list[Any] = [
        {},
        {"instances": []},
        {"instances": [[1.0, 2.0]]},
        {"instances": [{"a": 1, "b": 2}]},
        b"",
        b"[",
    ]
    for body in wrong:
        reply = post(gateway, "/v1/models/fruit:predict", body)
        assert (reply.status, isinstance(reply.json["error"], str)) == (400, True), (body, reply.body)
    many = post(gateway, "/v1/models/bright:predict", {"instances": [IN_BASE64] * 4})
    assert (many.status, many.error["code"]) == (400, "too_many_images")


def test_tensorflow_servings_state_of_a_model(gateway: Gateway) -> None:
    found = gateway.ask("GET", "/v1/models/fruit").json
    assert (found["name"], found["ready"]) == ("fruit", True)
    assert found["model_version_status"][0]["state"] == "AVAILABLE"
    assert gateway.ask("GET", "/v1/models").json == {"models": ["bright", "fruit"]}


TORCHSERVE = {
    "the body": (RED, {}),
    "curl's --data-binary": (RED, {"Content-Type": "application/x-www-form-urlencoded"}),
    "JSON": (json.dumps({"data": IN_BASE64}).encode(), JSON),
    "data": form(("a.png", RED), field="data"),
    "body": form(("a.png", RED), field="body"),
}


@pytest.mark.parametrize("way", TORCHSERVE)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_torchserves_clients_are_answered(gateway: Gateway, way: str, method: str) -> None:
    own = gateway.ask("POST", "/predict?model=fruit", RED, PNG).json["predictions"]
    reply = gateway.ask(method, "/predictions/fruit", *TORCHSERVE[way])
    assert reply.status == 200, reply.body
    assert list(reply.json) == [row["label"] for row in own]
    assert list(reply.json.values()) == pytest.approx([row["score"] for row in own])


def test_torchserves_errors_and_ping(gateway: Gateway) -> None:
    assert gateway.ask("GET", "/ping").json == {"status": "Healthy"}
    by_nginx, by_worker = (gateway.ask("POST", f"/predictions/{path}", RED) for path in ("nobody", "fruit/9"))
    for reply in (by_nginx, by_worker):
        assert (reply.status, reply.json["code"], reply.json["type"]) == (404, 404, "ModelNotFoundException")
        assert reply.json["message"] == reply.json["error"]["message"]
    broken = gateway.ask("POST", "/predictions/fruit", b"text")
    assert (broken.json["code"], broken.json["type"]) == (415, "BadRequestException")


# --- tritonclient -------------------------------------------------------------------------------------------------


def tensor(binary: bool) -> triton.InferInput:
    found = triton.InferInput("image", [1], "BYTES")
    value = RED if binary else base64.encodebytes(RED)
    found.set_data_from_numpy(np.array([value], dtype=object), binary_data=binary)
    return found


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{gateway.port}") as found:
        yield found


@pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_may_compress(client: triton.InferenceServerClient, coding: str | None, binary: bool) -> None:
    plain = client.infer("fruit", [tensor(True)]).as_numpy("scores")
    found = client.infer(
        "fruit", [tensor(binary)], request_compression_algorithm=coding, response_compression_algorithm="gzip"
    )
    assert found.as_numpy("scores") == pytest.approx(plain)


def test_tritonclient_learns_configuration_statistics_and_index(client: triton.InferenceServerClient) -> None:
    config = client.get_model_config("bright")
    assert (config["name"], config["max_batch_size"]) == ("bright", 3)
    assert config["input"][0]["name"] == "image"
    assert [model["name"] for model in client.get_model_repository_index()] == ["bright", "fruit"]
    assert {model["state"] for model in client.get_model_repository_index()} == {"READY"}
    (before,) = client.get_inference_statistics("bright")["model_stats"]
    client.infer("bright", [tensor(True)])
    (after,) = client.get_inference_statistics("bright", "1")["model_stats"]
    assert after["inference_stats"]["success"]["count"] == before["inference_stats"]["success"]["count"] + 1
    assert after["inference_stats"]["success"]["ns"] > before["inference_stats"]["success"]["ns"]
    assert after["inference_count"] == before["inference_count"] + 1
    assert client.get_inference_statistics()["model_stats"][0]["name"] == "bright"


# --- Bodies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/predict", "/models/bright", "/predictions/bright"])
@pytest.mark.parametrize("coding", ["gzip", "deflate", "identity", "x-gzip"])
def test_a_body_may_be_compressed(gateway: Gateway, path: str, coding: str) -> None:
    packed = {"identity": RED, "deflate": zlib.compress(RED)}.get(coding, gzip.compress(RED))
    assert gateway.ask("POST", path, packed, PNG | {"Content-Encoding": coding}).status == 200


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "nonsense"])
@pytest.mark.parametrize("path", ["/predict", "/models/bright", "/v2/models/bright/infer"])
def test_another_coding_is_415_and_says_which_are_served(gateway: Gateway, path: str, coding: str) -> None:
    reply = gateway.ask("POST", path, RED, {"Content-Encoding": coding})
    assert (reply.status, reply.error["code"]) == (415, "unsupported_encoding")
    assert reply.header("Accept-Encoding") == "gzip, deflate"


def gzipped_zeros(megabytes: int) -> bytes:
    """Return a gzip stream of one member: after a full flush a packed megabyte can be repeated."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = functools.reduce(lambda before, _: zlib.crc32(bytes(1 << 20), before), range(megabytes), 0)
    trailer = struct.pack("<II", checksum, megabytes << 20)  # RFC 1952, 2.3.1
    return gzip.compress(b"")[:10] + piece * megabytes + b"\x03\x00" + trailer


@pytest.mark.parametrize("size", [1 << 20, 33 << 20, 1 << 30])
def test_a_body_that_inflates_too_far_is_413(gateway: Gateway, size: int) -> None:
    reply = gateway.ask("POST", "/predict", gzipped_zeros(size >> 20), PNG | {"Content-Encoding": "gzip"})
    assert reply.status == (415 if size == 1 << 20 else 413)


def test_a_list_in_json_is_answered_as_several_fields_are(gateway: Gateway) -> None:
    texts = [base64.b64encode(image).decode() for image in (RED, BLUE, b"text")]
    listed = post(gateway, "/predict", {"inputs": texts}).json["results"]
    body, headers = form(("a", RED), ("b", BLUE), ("c", b"text"))
    fields = gateway.ask("POST", "/predict", body, headers).json["results"]
    assert [row.get("predictions") for row in listed] == [row.get("predictions") for row in fields]
    assert [row["filename"] for row in listed] == [None] * 3
    assert listed[2]["error"]["code"] == "unsupported_type"
    assert post(gateway, "/predict", {"inputs": [IN_BASE64] * 4}).error["code"] == "too_many_images"
