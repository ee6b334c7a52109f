"""Bad and odd input at a real worker: status and code for each, never 500, and the worker lives on."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from PIL import Image
from urllib3 import encode_multipart_formdata

from tests import folders, images
from tests.limits import MAX_BODY_BYTES
from tests.local.gateway_harness import Reply, ask_raw
from tests.local.worker_harness import CPU, JSON, PNG, WorkerProcess, form, running
from worker.contract import machine

DAMAGED_A_FORMAT = 24


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    home = tmp_path_factory.mktemp("bad-input")
    with running(folders.openvino_folder(home / "bright"), home / "log") as process:
        yield process


@pytest.fixture(autouse=True)
def lives(worker: WorkerProcess) -> Iterator[None]:
    """Whatever the test sends, the same process is alive and ready afterwards, and nothing unforeseen was logged."""
    pid, logged = worker.inner_pid, worker.log.stat().st_size
    yield
    assert worker.inner_pid == pid
    assert (worker.ask("GET", "/livez").json, worker.ask("GET", "/readyz").status) == ({"status": "alive"}, 200)
    state = worker.state() or {}
    assert state.pop("model_info")["name"] == "bright"
    assert set(state.pop("answered")) == {"images", "durations_ms"}
    assert state == {
        "state": "ready", "reason": None, "worker": "bright-0", "slot": "this-cpu0", "cpus": str(CPU), "gpu": None,
        "model": "bright", "version": "1",
        "engine": "openvino", "precision": "f32", "in_flight": 0, "queued": 0,
        "choice": f"the safe choice: nothing was measured on this kind of machine, {machine.machine_kind()}",
    }  # fmt: skip
    new = worker.log.read_text()[logged:]
    assert '"unforeseen"' not in new


RED = images.encoded(folders.image((200, 60, 60)), "PNG")
RED_BASE64 = base64.b64encode(RED).decode()


def body_of(value: object) -> tuple[bytes, dict[str, str]]:
    return json.dumps(value).encode(), JSON


@dataclass(frozen=True)
class Bad:
    """A request, and the refusal it must meet."""

    what: str
    status: int
    code: str
    sent: tuple[bytes, dict[str, str]] = (RED, PNG)
    query: str = ""
    path: str = field(default="/predict")


TWO = form(("a.png", RED), ("b.png", RED))
REFUSED = [
    Bad("no image in a form", 400, "no_image", form(top_k="1")),
    Bad("no body", 400, "no_image", (b"", {})),
    Bad("an image without bytes", 400, "empty_image", (b"", PNG)),
    Bad("no file chosen", 400, "no_image", form(("", b""))),
    Bad("no image in JSON", 400, "no_image", body_of({"parameters": {}})),
    Bad("an empty file", 400, "empty_image", form(("a.jpg", b""))),
    Bad("text renamed .jpg", 415, "unsupported_type", form(("a.jpg", b"This is no image."))),
    Bad("text declared as JPEG", 415, "unsupported_type", (b"This is no image.", {"Content-Type": "image/jpeg"})),
    Bad("an SVG", 415, "unsupported_type", (b"<svg/>", {"Content-Type": "image/svg+xml"})),
    Bad("a bomb of a few KB", 422, "too_many_pixels", (images.bomb(), PNG)),
    Bad("a whole bomb", 422, "too_many_pixels", (images.complete_bomb(), PNG)),
    Bad("a damaged header", 422, "undecodable", (images.PNG_SIGNATURE, PNG)),
    Bad("200 files", 400, "too_many_images", form(*[(f"{number}.png", RED) for number in range(200)])),
    Bad("another field", 400, "bad_request", form(("a.png", RED), field="file")),
    Bad(
        "another content type",
        415,
        "unsupported_type",
        (b"image=x", {"Content-Type": "application/x-www-form-urlencoded"}),
    ),
    Bad("top_k=0", 400, "bad_parameter", query="?top_k=0"),
    Bad("top_k=abc", 400, "bad_parameter", query="?top_k=abc"),
    Bad("top_k=0 in a form", 400, "bad_parameter", form(("a.png", RED), top_k="0")),
    Bad("top_k=0 in JSON", 400, "bad_parameter", body_of({"inputs": RED_BASE64, "parameters": {"top_k": 0}})),
    Bad("threshold above 1", 400, "bad_parameter", query="?threshold=1.5"),
    Bad("labels=fr", 400, "bad_parameter", query="?labels=fr"),
    Bad("an unknown parameter", 400, "bad_parameter", query="?topk=3"),
    Bad("heat_map=yes", 400, "bad_parameter", query="?heat_map=yes"),
    Bad("heat maps of two images", 400, "bad_parameter", TWO, "?heat_map=true"),
    Bad("a class that is not there", 400, "bad_parameter", query="?heat_map=true&class=3"),
    Bad("a class for nothing", 400, "bad_parameter", query="?class=1"),
    Bad("a parameter twice", 400, "bad_parameter", query="?top_k=3&top_k=3"),
    Bad("a parameter in query and form", 400, "bad_parameter", form(("a.png", RED), top_k="3"), "?top_k=3"),
    Bad("another model", 404, "unknown_model", query="?model=dark"),
    Bad(
        "half a surrogate pair",
        400,
        "bad_request",
        body_of({"inputs": RED_BASE64, "parameters": {"model": "\ud800"}}),
    ),
    Bad("bad base64", 400, "bad_request", body_of({"inputs": "***="})),
    Bad("JSON that is no object", 400, "bad_request", body_of([RED_BASE64])),
    Bad("broken JSON", 400, "bad_request", (b'{"inputs": ', JSON)),
    Bad("JSON of great depth", 400, "bad_request", (b"[" * 200_000, JSON)),
    Bad("an unknown key in JSON", 400, "bad_request", body_of({"image": RED_BASE64})),
    Bad("parameters that are no object", 400, "bad_request", body_of({"inputs": RED_BASE64, "parameters": [1]})),
    Bad("two images for one", 400, "too_many_images", TWO, path="/models/bright"),
    Bad("another model by its path", 404, "unknown_model", path="/models/dark"),
    Bad("another model to infer", 404, "unknown_model", path="/v2/models/dark/infer"),
    Bad("another version to infer", 404, "unknown_model", path="/v2/models/bright/versions/2/infer"),
    Bad("an unknown route", 404, "unknown_route", path="/classify"),
    Bad("a verb of another server", 404, "unknown_route", path="/v1/models/bright:classify"),
    Bad("two slashes", 404, "unknown_route", path="/v2//models/bright/infer"),
    Bad(
        "a header length of many digits",
        400,
        "bad_request",
        (b"{}", JSON | {"Inference-Header-Content-Length": "9" * 5000}),
        path="/v2/models/bright/infer",
    ),
]


@pytest.mark.parametrize("bad", REFUSED, ids=lambda bad: bad.what)
def test_what_is_refused_has_its_status_and_its_code(worker: WorkerProcess, bad: Bad) -> None:
    body, headers = bad.sent
    reply = worker.ask("POST", bad.path + bad.query, body, headers)
    assert (reply.status, reply.error["code"]) == (bad.status, bad.code)


def test_a_method_that_a_route_does_not_answer_is_told_which_it_does(worker: WorkerProcess) -> None:
    reply = worker.ask("PUT", "/predict", RED, PNG)
    assert (reply.status, reply.error["code"]) == (405, "method_not_allowed")
    assert reply.header("Allow") == "OPTIONS, POST"


@pytest.mark.parametrize("kind", images.SERVED)
def test_an_image_cut_short_is_422(worker: WorkerProcess, kind: str) -> None:
    whole = images.encoded(images.photo((200, 160)), kind)
    reply = worker.predict(whole[: len(whole) * 2 // 3])
    assert (reply.status, reply.error["code"]) == (422, "undecodable")


def test_a_truncated_jpegs_answer_is_exact(worker: WorkerProcess) -> None:
    whole = images.encoded(images.photo((200, 160)), "JPEG")
    reply = worker.predict(whole[:-2000])
    assert reply.status == 422
    assert reply.json["error"] == {
        "code": "undecodable",
        "message": "found JPEG data that cannot be decoded (it is damaged or cut short: it ends before its last "
        "pixel), needed a whole image: send it again",
        "request_id": reply.header("X-Request-ID"),
    }


BODIES = {"/predict": "image/png", "/models/bright": "application/json", "/v2/models/bright/infer": "application/json"}


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 1 << 50])
def test_a_body_over_the_limit_is_413_before_it_is_sent(worker: WorkerProcess, path: str, size: int) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {BODIES[path]}\r\nContent-Length: {size}\r\n\r\n"
    reply = ask_raw(worker.port, head.encode())
    assert (reply.status, reply.error["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("path", BODIES)
def test_a_chunked_body_over_the_limit_is_413(worker: WorkerProcess, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {BODIES[path]}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%b\r\n" % (1 << 20, bytes(1 << 20))
    one_byte_more = b"1\r\n \r\n0\r\n\r\n"
    reply = ask_raw(worker.port, head.encode() + chunk * (MAX_BODY_BYTES >> 20) + one_byte_more)
    assert (reply.status, reply.error["code"]) == (413, "body_too_large")


# What looks odd but is an image


def predictions(reply: Reply) -> list[dict[str, Any]]:
    assert reply.status == 200, reply.body
    found: list[dict[str, Any]] = reply.json["predictions"]
    return found


def best(reply: Reply) -> tuple[str, float]:
    row = predictions(reply)[0]
    return row["label_en"], row["score"]


BLUE = Image.new("RGB", (60, 44), (40, 50, 220))
GREY_RAMP = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))


def test_a_16_bit_png_is_answered_as_its_8_bit_twin(worker: WorkerProcess) -> None:
    twin = Image.fromarray(np.rint(GREY_RAMP / 257).astype(np.uint8))
    wide, narrow = worker.predict(images.grey_16_bit(GREY_RAMP)), worker.predict(images.encoded(twin, "PNG"))
    assert [row["label"] for row in predictions(wide)] == [row["label"] for row in predictions(narrow)]
    assert best(wide)[1] == pytest.approx(best(narrow)[1], abs=1e-3)


def test_a_cmyk_jpeg_is_answered_by_its_colour(worker: WorkerProcess) -> None:
    label, score = best(worker.predict(images.encoded(BLUE.convert("CMYK"), "JPEG")))
    assert (label, score > 0.99) == ("tea", True)


def test_a_palette_with_transparency_lies_on_white(worker: WorkerProcess) -> None:
    on_white = Image.new("RGB", (40, 40), (255, 255, 255))
    on_white.paste((40, 50, 220), (0, 0, 20, 40))
    found = worker.predict(images.half_transparent("P", (40, 50, 220)))
    assert predictions(found) == predictions(worker.predict(images.encoded(on_white, "PNG")))


@pytest.mark.parametrize("orientation", images.UPRIGHT_TO_STORED)
def test_a_turned_photo_is_answered_as_the_upright_one(worker: WorkerProcess, orientation: int) -> None:
    photo = images.photo()
    found = worker.predict(images.turned(photo, orientation))
    assert predictions(found) == predictions(worker.predict(images.encoded(photo, "PNG")))


@pytest.mark.parametrize("kind", ["GIF", "WebP"])
def test_an_animation_is_answered_by_its_first_frame(worker: WorkerProcess, kind: str) -> None:
    first, second = Image.new("RGB", (40, 40), (20, 210, 30)), Image.new("RGB", (40, 40), (210, 20, 30))
    assert best(worker.predict(images.animation(first, second, kind=kind)))[0] == "dog"
    assert best(worker.predict(images.animation(second, first, kind=kind)))[0] == "cat"


@pytest.mark.parametrize("kind", images.SERVED)
@pytest.mark.parametrize("size", [(60, 44), (1, 1)])
def test_every_served_format_is_answered_even_with_one_pixel(
    worker: WorkerProcess, kind: str, size: tuple[int, int]
) -> None:
    label, score = best(worker.predict(images.encoded(BLUE.resize(size), kind)))
    assert (label, score > 0.99) == ("tea", True)


def test_a_wrong_declared_type_is_forgiven_when_the_bytes_are_an_image(worker: WorkerProcess) -> None:
    assert best(worker.ask("POST", "/predict", RED, {"Content-Type": "image/jpeg"}))[0] == "cat"


# Many


def test_in_a_request_of_many_each_has_its_own_answer_or_error(worker: WorkerProcess) -> None:
    whole = [("red.png", RED), ("蓝.png", images.encoded(BLUE, "PNG"))]
    body, headers = form(*whole, ("cut.png", RED[:-200]), ("text.jpg", b"text"), ("empty.jpg", b""))
    reply = worker.ask("POST", "/predict?top_k=1&labels=zh", body, headers)
    assert reply.status == 200
    rows = reply.json["results"]
    assert [row["filename"] for row in rows] == ["red.png", "蓝.png", "cut.png", "text.jpg", "empty.jpg"]
    assert [row["predictions"][0]["label"] for row in rows[:2]] == ["猫", "茶"]
    assert [row["error"]["code"] for row in rows[2:]] == ["undecodable", "unsupported_type", "empty_image"]
    assert set(rows[2]) == {"filename", "error"}


def test_damaged_images_of_every_format_are_answered_or_refused(worker: WorkerProcess) -> None:
    for kind in images.SERVED:
        broken = list(images.damaged(images.with_metadata_or_frames(kind), DAMAGED_A_FORMAT, seed=7))
        assert {worker.predict(one).status for one in broken[:4]} <= {200, 415, 422}
        body, headers = form(*[(f"{number}", one) for number, one in enumerate(broken)])
        rows = worker.ask("POST", "/predict", body, headers).json["results"]
        codes = {row["error"]["code"] for row in rows if "error" in row}
        assert codes <= {"undecodable", "unsupported_type", "unsupported_compression", "too_many_pixels"}


def test_broken_forms_are_refused(worker: WorkerProcess) -> None:
    body, content_type = encode_multipart_formdata([("image", ("a.png", RED))])
    boundary = content_type.partition("boundary=")[2].encode()
    for broken in (body[:-40], body.replace(boundary, b"other"), body[len(boundary) :], boundary, b"--" + boundary):
        reply = worker.ask("POST", "/predict", broken, {"Content-Type": content_type})
        assert (reply.status, reply.error["code"]) == (400, "no_image")
