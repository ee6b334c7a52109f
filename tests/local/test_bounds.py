"""Bodies made to cost: a real worker refuses each for little memory, and quotes little of it."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests import folders, images
from tests.hostile import webp
from tests.limits import MAX_BODY_BYTES
from tests.local.gateway_harness import ask_raw
from tests.local.worker_harness import JSON, PNG, WorkerProcess, form, running
from tests.processes import data
from tests.wait import until

Request = tuple[str, dict[str, str], bytes]  # path, headers, body
INFER = "/v2/models/bright/infer"
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
RED = images.encoded(folders.image((200, 60, 60)), "PNG")
RED_BASE64 = base64.b64encode(RED)
FILE = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
TENSOR = b'{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"data":["%s"]}]' % RED_BASE64
MOST_MB = 3 * MAX_BODY_BYTES / 2**20  # the body as it is read, and one copy of it while it is put together; some spare
MOST_ANSWERED = 4096
MOST_LOGGED = 2048  # a line of the log quotes 200 characters, of an escape of six bytes at most


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    home = tmp_path_factory.mktemp("bounds")
    with running(folders.openvino_folder(home / "bright"), home / "log") as process:
        assert process.predict(bytes(MAX_BODY_BYTES)).status == 415  # what a body of this size takes by itself
        yield process


def filled(start: bytes, unit: bytes, end: bytes = b"") -> bytes:
    """Return the largest body of `start`, many of `unit`, and `end`."""
    return start + unit * ((MAX_BODY_BYTES - len(start) - len(end)) // len(unit)) + end


def binary_tensor(raw: bytes) -> Request:
    tensor = {
        "name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(raw)}
    }  # fmt: skip
    head = json.dumps({"inputs": [tensor]}).encode()
    return INFER, {"Inference-Header-Content-Length": str(len(head))}, head + raw


PARAMETER = b'{"inputs":"%s","parameters":{"x":' % RED_BASE64
EXPENSIVE: dict[str, Request] = {
    "lists": ("/predict", JSON, filled(PARAMETER + b"[", b"[],", b"[]]}}")),
    "keys": ("/predict", JSON, filled(PARAMETER + b"{", b'"a":1,', b'"b":1}}}')),
    "depth": ("/predict", JSON, filled(PARAMETER, b"[")),
    "depth in objects": (INFER, JSON, filled(b"", b'{"":')),
    "a long number": ("/predict", JSON, filled(PARAMETER, b"9", b"}}")),
    "a long string": ("/predict", JSON, filled(PARAMETER, b"\\u732b", b'"}}')),
    "unknown keys of a protocol that allows them": (INFER, JSON, filled(TENSOR + b',"x":[', b"[],", b"[]]}")),
    "strings for images": (INFER, JSON, filled(TENSOR[:-3] + b",", b'"",', b'""]}]}')),
    "a long shape": (INFER, JSON, filled(b'{"inputs":[{"shape":[', b"1,", b"1]}]}")),
    "outputs": (INFER, JSON, filled(TENSOR + b',"outputs":[', b'{"name":"scores"},', b'{"name":"scores"}]}')),
    "elements of no bytes": binary_tensor(bytes(MAX_BODY_BYTES - 1000)),
    "header lines": ("/predict", FORM, filled(FILE, b"a:b\r\n", b"\r\n1\r\n--x--\r\n")),
    "header options": ("/predict", FORM, filled(FILE[:-2], b";a=b", b"\r\n\r\n1\r\n--x--\r\n")),
    "parts": ("/predict", FORM, filled(b"", FILE + b"\r\n\r\n", b"--x--\r\n")),
    "parts without names": ("/predict", FORM, filled(b"", b"--x\r\n\r\n\r\n", b"--x--\r\n")),
    "almost boundaries": ("/predict", FORM, filled(FILE + b"\r\n", b"\r\n--xy", b"\r\n--x--\r\n")),
    "commas for labels": (
        "/predict", FORM,
        filled(b'--x\r\nContent-Disposition: form-data; name="candidate_labels"\r\n\r\n', b",", b"\r\n--x--\r\n"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPENSIVE)
def test_an_expensive_body_is_refused_for_little_memory(worker: WorkerProcess, name: str) -> None:
    path, headers, body = EXPENSIVE[name]
    process = Path(f"/proc/{worker.inner_pid}")
    (process / "clear_refs").write_text("5")  # proc(5): reset the peak
    before = megabytes(process, "VmRSS")
    reply = worker.ask("POST", path, body, headers)
    assert reply.status in (400, 413), reply.body[:1000]
    assert len(reply.body) < MOST_ANSWERED
    assert megabytes(process, "VmHWM") - before < MOST_MB


def megabytes(process: Path, field: str) -> float:
    (line,) = (line for line in (process / "status").read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024


# What a refused image leaves

DAMAGED = RED[:60] + bytes(10 << 20)  # its pixels are refused at once
LARGE_WEBP = webp.riff(webp.lossless(webp.SIDE, webp.SIDE))
IN_BASE64 = base64.b64encode(DAMAGED).decode()
# Each image has 10 MB, the WebP would take 256. A thread that answers for the first time may have an arena of malloc's
# that keeps the pieces of one.
TIMES, MOST_LEFT_BYTES = 10, 40 << 20
REFUSED: dict[str, Request] = {
    "alone": ("/predict", PNG, DAMAGED),
    "with a parameter": ("/predict?top_k=2", PNG, DAMAGED),
    "in JSON": ("/predict", JSON, json.dumps({"inputs": IN_BASE64}).encode()),
    "by another protocol": ("/v1/models/bright:predict", JSON, json.dumps({"instances": [IN_BASE64]}).encode()),
    "with a heat map": ("/predict?heat_map=true", PNG, DAMAGED),
    "by its size": ("/predict", PNG, LARGE_WEBP),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_image_leaves_nothing_in_memory(worker: WorkerProcess, name: str) -> None:
    """Not even until the garbage collector comes: a frame that holds its own error would keep all else it holds."""
    path, headers, body = REFUSED[name]

    def refuse() -> None:
        for _ in range(TIMES):
            assert worker.ask("POST", path, body, headers).status in (400, 422)

    refuse()  # malloc keeps some for what comes next
    before = data(worker.inner_pid)
    refuse()
    assert data(worker.inner_pid) < before + MOST_LEFT_BYTES


# What an error quotes

LONG = "猫" * 350_000  # 1 MB
TEXT = LONG.encode()


def in_json(**changed: object) -> Request:
    return "/predict", JSON, json.dumps({"inputs": RED_BASE64.decode()} | changed, ensure_ascii=False).encode()


def inference(tensor: dict[str, object] | None = None, **changed: object) -> Request:
    own = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [RED_BASE64.decode()]} | (tensor or {})
    return INFER, JSON, json.dumps({"inputs": [own]} | changed, ensure_ascii=False).encode()


def in_form(*files: tuple[str, bytes], field: str = "image", **fields: str) -> Request:
    body, headers = form(*files, field=field, **fields)
    return "/predict", headers, body


PARAMETERS = (
    "top_k", "threshold", "labels", "model", "heat_map", "class", "candidate_labels", "hypothesis_template", "x"
)  # fmt: skip
VALUES = {"a text": LONG, "digits": "9" * 1_000_000, "a list": [LONG] * 2, "an object": {LONG: [LONG]}}
QUOTED: dict[str, Request] = {
    **{
        f"{name} in JSON: {kind}": in_json(parameters={name: value})
        for name in PARAMETERS
        for kind, value in VALUES.items()
    },
    **{f"{name} in a form": in_form(("a.png", RED), **{name: LONG[:80_000]}) for name in PARAMETERS},
    "a long field": in_form(("a.png", RED), top_k=LONG),
    "a field's name": in_form(("a.png", RED), **{LONG: "1"}),
    "a file's field": in_form(("a.png", RED), field=LONG[:1000]),
    "a file's name": in_form((LONG, RED), ("b.png", RED)),
    "a key": in_json(**{LONG: 1}),
    "a parameter's name": in_json(parameters={LONG: 1}),
    "an image that is no base64": in_json(inputs=LONG),
    "an id": inference(id=LONG),
    "an input's name": inference({"name": LONG}),
    "a datatype": inference({"datatype": LONG}),
    "a shape": inference({"shape": [10**18] * 9000}),
    "a shape of texts": inference({"shape": [LONG]}),
    "a binary size": inference({"parameters": {"binary_data_size": 10**4000}}),
    "a binary size in text": inference({"parameters": {"binary_data_size": LONG}}),
    "an output's name": inference(outputs=[{"name": LONG}]),
    "a classification": inference(outputs=[{"name": "scores", "parameters": {"classification": LONG}}]),
    "a raw text": ("/predict", PNG, TEXT),
    "a malformed text": ("/predict", JSON, TEXT),
}


@pytest.mark.parametrize("name", QUOTED)
def test_an_error_quotes_little_of_the_body(worker: WorkerProcess, name: str) -> None:
    path, headers, body = QUOTED[name]
    reply = worker.ask("POST", path, body, headers)
    assert 400 <= reply.status < 500
    assert len(reply.body) < MOST_ANSWERED
    assert longest_line(worker, f"body-{list(QUOTED).index(name)}") < MOST_LOGGED


MOST_OF_A_LINE = quote(LONG)[:4000]  # gunicorn takes 4094 bytes of a request line
HEADS = {
    "a route": f"GET /{MOST_OF_A_LINE} HTTP/1.1\r\nHost: x\r\n\r\n",
    "a route to infer": f"POST /v2/{MOST_OF_A_LINE} HTTP/1.1\r\nHost: x\r\n\r\n",
    "a method": f"PUT /models/{MOST_OF_A_LINE} HTTP/1.1\r\nHost: x\r\n\r\n",
    "a model": f"GET /models/{MOST_OF_A_LINE} HTTP/1.1\r\nHost: x\r\n\r\n",
    "a version": f"GET /v2/models/bright/versions/{MOST_OF_A_LINE} HTTP/1.1\r\nHost: x\r\n\r\n",
    "an example": f"GET /models/bright/examples/{'9' * 4000} HTTP/1.1\r\nHost: x\r\n\r\n",
    **{
        f"{name} in the query": f"POST /predict?{name}={MOST_OF_A_LINE} HTTP/1.1\r\nHost: x\r\nContent-Type: image/png"
        f"\r\nContent-Length: {len(RED)}\r\n\r\n"
        for name in PARAMETERS
    },
    **{
        f"the header {name}": f"POST /predict HTTP/1.1\r\nHost: x\r\n{name}: {'a' * 8000}\r\n\r\n"
        for name in ("Content-Type", "X-Request-ID", "Accept", "X-Other")
    },
    "the header of the length": f"POST {INFER} HTTP/1.1\r\nHost: x\r\n"
    f"Inference-Header-Content-Length: {'9' * 8000}\r\n\r\n",
    "a long path": f"GET /{'a' * 1_000_000} HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long header": f"GET /models HTTP/1.1\r\nHost: x\r\nX-Other: {'a' * 1_000_000}\r\n\r\n",
    "a long header's name": f"GET /models HTTP/1.1\r\nHost: x\r\n{'a' * 1_000_000}: 1\r\n\r\n",
    "a long method": f"{'A' * 1_000_000} /models HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long version of HTTP": f"GET /models HTTP/{'1' * 3000}\r\nHost: x\r\n\r\n",
    "a name that is none": f"GET /models HTTP/1.1\r\nHost: x\r\n{'(' * 8000}: 1\r\n\r\n",
}


@pytest.mark.parametrize("name", HEADS)
def test_an_error_quotes_little_of_a_head(worker: WorkerProcess, name: str) -> None:
    head = HEADS[name]
    reply = ask_raw(worker.port, head.encode() + (RED if "Content-Length" in head else b""))
    assert 400 <= reply.status < 500
    assert sum(len(header) + len(value) for header, value in reply.headers) + len(reply.body) < MOST_ANSWERED
    assert longest_line(worker, f"head-{list(HEADS).index(name)}") < MOST_LOGGED


def longest_line(worker: WorkerProcess, request_id: str) -> int:
    """Return the length of the log's longest line, once it has that of a request that followed all others.

    Lines are compared, not what one request adds: a worker writes its log a few times a second, for many requests.
    """
    assert worker.ask("GET", "/models", headers={"X-Request-ID": request_id}).status == 200
    until("the request is logged", lambda: request_id.encode() in worker.log.read_bytes())
    return max(map(len, worker.log.read_bytes().splitlines()))
