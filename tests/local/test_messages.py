"""The wording of every error, of the worker and of Nginx: pinned here and nowhere else; other tests assert codes.

A message says "found X, needed Y: remedy". What only has one cause inside the service says what to report.
"""

import base64
import gzip
import io
import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import tifffile
from PIL import Image
from urllib3 import encode_multipart_formdata
from werkzeug.exceptions import MethodNotAllowed, NotFound, RequestEntityTooLarge
from werkzeug.test import EnvironBuilder

from scripts.cluster.keys import new_key
from scripts.cluster.schema import Tls
from scripts.host import authority, certificates
from tests import folders, images
from tests.errors import error_of
from tests.hostile import gif, jpeg, other, webp
from tests.hostile import tiff as hostile_tiff
from tests.local.gateway_harness import Gateway, ask_raw
from tests.local.worker_harness import PNG as IMAGE_PNG
from tests.local.worker_harness import WorkerProcess, running
from tests.local.worker_harness import form as multipart
from tests.unit.worker.contract.test_settings import COMPLETE
from worker.api.base64_text import decode_base64
from worker.api.candidates import take_candidates
from worker.api.content_coding import coding_of, inflate
from worker.api.parameters import HUGGING_FACE, PREDICT, parse_parameters
from worker.api.request_context import answered_error, begin
from worker.api.routes.tensors import read_request
from worker.api.service import Service
from worker.api.uploads import check_answer, query, read_upload
from worker.contract.error_codes import ErrorCode, Sender
from worker.contract.errors import ServiceError, internal_error
from worker.contract.limits import Share
from worker.contract.settings import Settings
from worker.decode import Bounds, Geometry, Pixels, decode
from worker.decode.gif import refuse_many_blocks
from worker.models.labels import Labels
from worker.models.scores import Output
from worker.models.tiles import Tiles
from worker.models.zero_shot import Embedding
from worker.pipeline.admission import Admission, Deadline
from worker.pipeline.batcher import Batcher
from worker.pipeline.classifier import Classifier, OpenImage
from worker.pipeline.embedding_jobs import EmbeddingJobs
from worker.process.health import BROKEN, Health
from worker.process.metrics import create_metrics

FORM = re.compile(r"(.+: )?found .+, needed .+: .+", re.DOTALL)
SETTINGS = replace(Settings.from_env(COMPLETE), model="bright")
OUTPUT = Output("softmax", Labels({"zh": ("猫", "狗"), "en": ("cat", "dog")}))
PNG = images.encoded(images.photo((40, 50)), "PNG")
IN_BASE64 = base64.b64encode(PNG).decode()
FORM_TYPE = "multipart/form-data; boundary=x"
Raise = Callable[[], object]
(KEY, LISTED), (ADMIN, OF_ADMIN) = new_key("line-3", "client", ()), new_key("boss", "admin", ())


def upload(body: bytes, kind: str = "application/json") -> Raise:
    def call() -> object:
        environ = EnvironBuilder(method="POST", data=body, content_type=kind).get_environ()
        return read_upload(service().body(environ, Deadline(10)), 2)

    return call


def form(*parts: tuple[str, tuple[str, bytes]]) -> Raise:
    return upload(*encode_multipart_formdata(parts))


def twice() -> object:
    return query({"QUERY_STRING": "top_k=2&top_k=2"})


def infer(head: object, raw: bytes = b"", length: str | None = None) -> Raise:
    def call() -> object:
        text = head if isinstance(head, bytes) else json.dumps(head).encode()
        return read_request(text + raw, length or str(len(text)), 3)

    return call


def tensor(**changed: object) -> dict[str, object]:
    made: dict[str, object] = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [IN_BASE64]} | changed
    return {"inputs": [made]}


def binary(size: object) -> dict[str, object]:
    return tensor(data=None, parameters={"binary_data_size": size})


def wanting(*outputs: object) -> dict[str, object]:
    return tensor() | {"outputs": list(outputs)}


def parameters(sent: dict[str, object], known: tuple[str, ...] = PREDICT) -> Raise:
    return lambda: parse_parameters(sent, known=known, output=OUTPUT)


def candidates(**sent: object) -> Raise:
    return lambda: take_candidates(sent)


def decoded(data: bytes, channels: int = 3, max_pixels: int = 2000) -> Raise:
    return lambda: decode(data, Geometry((8, 8), None, "bilinear"), Bounds(max_pixels), Pixels(channels))


def tiff(compression: str | None = None, planes: str = "contig") -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        np.zeros((24, 32, 5) if planes == "contig" else (5, 24, 32), np.uint16),
        photometric="minisblack",
        planarconfig=planes,
        compression=compression,
    )
    return stream.getvalue()


def jpeg_xl() -> bytes:
    return tiff("deflate", "separate").replace((32946).to_bytes(2, "little"), (50002).to_bytes(2, "little"), 1)


def health(state: str, reason: str | None = None) -> Raise:
    found = Health()
    found.become(state, reason)
    return found.require_answering


def service() -> Service:
    return Service(SETTINGS, Health(), Admission(8), create_metrics(lambda: 0, lambda: 0))


def of_flask(error: Exception) -> Raise:
    def call() -> NoReturn:
        raise answered_error(service(), begin(service(), "", "PUT", "/predict"), error)

    return call


def fail() -> NoReturn:
    raise internal_error()


def ready_without_a_model() -> object:
    found = service()
    found.health.become("ready")
    return found.model()


def in_tiles() -> object:
    batcher = Batcher(lambda images: np.zeros((len(images), 2), np.float32), {1: 1.0}, lambda size: None)
    two = [np.zeros((2, 2, 3), np.uint8)] * 2
    classifier = Classifier(lambda *_: OpenImage(False, lambda: two), batcher.submit, lambda *seconds: None, 1)
    return classifier.start_with_input(b"", Deadline(1))


def late() -> object:
    return Deadline(0).left()


def gone() -> None:
    Deadline(60, gone=lambda: True).wait(threading.Event().wait)


def late_labels() -> object:
    jobs = EmbeddingJobs(lambda job: None)
    return jobs.head("texts", Embedding(["cat", "dog", "tea"], ["{}"]), Deadline(0.01))


def full(queue: int, held: Share, asked: Share) -> Raise:
    def call() -> None:
        with (admission := Admission(queue)).admit(2, held):
            admission.admit(2 if asked is not Share.ORDINARY else 1, asked).__enter__()

    return call


WORKER: list[tuple[ErrorCode, str, Raise]] = [
    # The body
    (ErrorCode.NO_IMAGE,
     "found no image, needed one: send it as the multipart field `image` or as the body", upload(b"", "*/*")),
    (ErrorCode.TOO_MANY_IMAGES,
     "found 3 images, needed at most 2 in one request: send them in several", form(*[("image", ("a", b"1"))] * 3)),
    (ErrorCode.BAD_REQUEST,
     'found the text "a.jpg" in field "image", needed the bytes of an image: send the file itself, with curl as '
     "-F image=@FILE", upload(*encode_multipart_formdata([("image", "a.jpg")]))),
    (ErrorCode.BAD_REQUEST,
     "found Content-Type multipart/form-data without a boundary, needed the one between the form's parts: "
     "do not set this header by hand, so that your client sets it with its boundary",
     upload(b"--x--", "multipart/form-data")),
    (ErrorCode.UNSUPPORTED_ENCODING,
     "found Content-Encoding br, needed gzip, deflate or none: compress the body with one of these, or send it as it "
     "is", lambda: coding_of("br")),
    (ErrorCode.BAD_REQUEST,
     "found a body that is not whole gzip (it ends too soon), needed what Content-Encoding says: compress it again, or "
     "leave the header out", lambda: inflate(gzip.compress(b"1")[:-1], "gzip", 9, lambda: None)),
    (ErrorCode.BAD_REQUEST,
     "found an image that is not valid base64 (a data: URL without ;base64), needed base64: write ;base64 before its "
     "comma", lambda: decode_base64("data:image/png,1")),
    (ErrorCode.BAD_REQUEST,
     'found a file in field "file", needed field `image`: rename the field', form(("file", ("a", b"1")))),
    (ErrorCode.UNSUPPORTED_TYPE,
     "found Content-Type text/plain, needed multipart/form-data, image/* or application/json: "
     "send the image as the multipart field `image`, as the body, or as base64 in JSON", upload(b"x", "text/plain")),
    (ErrorCode.BAD_REQUEST,
     "found JSON that does not fit (Object contains unknown field `a`), "
     'needed {"inputs": "<base64>", "parameters": {...}}: correct it', upload(b'{"a": 1}')),
    (ErrorCode.BAD_REQUEST,
     "found JSON with 10001 commas, needed at most 10000: send fewer values", upload(b"," * 10001)),
    (ErrorCode.BAD_REQUEST,
     "found JSON with 1001 opening brackets, needed at most 1000: send fewer values", upload(b"[" * 1001)),
    (ErrorCode.BAD_REQUEST,
     "found an image that is not valid base64 (it is cut short), needed base64: encode it again",
     upload(b'{"inputs": "aGkab"}')),
    (ErrorCode.BODY_TOO_LARGE,
     "found more than 33554432 bytes in the body, needed at most 33554432: send fewer or smaller images",
     of_flask(RequestEntityTooLarge())),
    # Forms
    (ErrorCode.NO_IMAGE,
     "found a form without a boundary of 1 to 70 ASCII characters, needed one in its Content-Type: correct the form",
     upload(b"x", f"multipart/form-data; boundary={'x' * 71}")),
    (ErrorCode.NO_IMAGE,
     "found a form without the boundary at its start or end, needed all of it, its lines ended by CR LF: "
     "correct the form", upload(b"--y--", FORM_TYPE)),
    (ErrorCode.NO_IMAGE,
     "found text after a boundary of the form, needed a line end there: correct the form", upload(b"--xy", FORM_TYPE)),
    (ErrorCode.NO_IMAGE,
     "found a part of the form without an empty line in its first 4096 bytes, needed one after its headers: "
     "correct the form", upload(b"--x\r\na:b", FORM_TYPE)),
    (ErrorCode.NO_IMAGE,
     "found a part of the form without Content-Disposition, needed that header with a name: correct the form",
     upload(b"--x\r\n\r\n1", FORM_TYPE)),
    (ErrorCode.BODY_TOO_LARGE,
     "found more than 1000 parts in the form, needed at most 1000: send fewer images",
     form(*[("image", ("a", b"1"))] * 1001)),
    (ErrorCode.BODY_TOO_LARGE,
     'found 262145 bytes in field "top_k", needed at most 262144: shorten it',
     upload(*encode_multipart_formdata([("top_k", "1" * 262_145)]))),
    # Parameters
    (ErrorCode.BAD_PARAMETER, "found parameter top_k twice, needed it once: remove one", twice),
    (ErrorCode.BAD_PARAMETER,
     'found parameter "topk", needed one of top_k, threshold, labels, function_to_apply, candidate_labels, '
     "hypothesis_template: correct its name or remove it", parameters({"topk": 3}, HUGGING_FACE)),
    (ErrorCode.BAD_PARAMETER,
     "found top_k '0', needed a whole number of at least 1: correct it", parameters({"top_k": "0"})),
    (ErrorCode.BAD_PARAMETER,
     "found threshold 1.5, needed a number from 0 to 1: correct it", parameters({"threshold": 1.5})),
    (ErrorCode.BAD_PARAMETER,
     "found labels 'fr', needed one of zh, en, both: correct it", parameters({"labels": "fr"})),
    (ErrorCode.BAD_PARAMETER,
     "found heat_map 'yes', needed true or false: correct it", parameters({"heat_map": "yes"})),
    (ErrorCode.BAD_PARAMETER, "found model 3, needed a string: correct it", parameters({"model": 3})),
    (ErrorCode.BAD_PARAMETER,
     "found class '2', needed the index of a class, 0 to 1: correct it", parameters({"class": "2"})),
    (ErrorCode.BAD_PARAMETER,
     "found class without a heat map, needed heat_map=true: send both or none", parameters({"class": 0})),
    (ErrorCode.BAD_PARAMETER,
     "found hypothesis_template alone, needed candidate_labels that are put into it: send both or none",
     candidates(hypothesis_template="a {}")),
    (ErrorCode.BAD_PARAMETER,
     "found candidate_labels 3, needed labels: send a list of strings, or one string with commas",
     candidates(candidate_labels=3)),
    (ErrorCode.BAD_PARAMETER,
     "found more than 256 candidate_labels, needed at most 256: send fewer", candidates(candidate_labels=["x"] * 257)),
    (ErrorCode.BAD_PARAMETER,
     "found a blank text in candidate_labels, needed one letter at least: fill or remove it",
     candidates(candidate_labels="")),
    (ErrorCode.BAD_PARAMETER,
     "found 201 characters in candidate_labels, needed at most 200: shorten it",
     candidates(candidate_labels=["y" * 201])),
    (ErrorCode.BAD_PARAMETER,
     "found JSON that does not fit (Input data was truncated), needed a list of strings as candidate_labels: "
     "correct it",
     candidates(candidate_labels="[")),
    (ErrorCode.BAD_PARAMETER,
     "found hypothesis_template ['{}'], needed a string: correct it",
     candidates(candidate_labels=["x"], hypothesis_template=["{}"])),
    (ErrorCode.BAD_PARAMETER,
     "found 2 tiles that this model looks at, needed a single one for heat_map: "
     "leave heat_map out, or send a part of the image", in_tiles),
    # The Open Inference Protocol
    (ErrorCode.BAD_REQUEST,
     "found JSON that does not fit (Expected `array` of length 1 - at `$.inputs`), "
     "needed an inference request with the one input `image`: correct it", infer({"inputs": []})),
    (ErrorCode.BAD_REQUEST,
     "found the input `x` of BYTES, needed `image` of BYTES: correct it", infer(tensor(name="x"))),
    (ErrorCode.BAD_REQUEST,
     "found shape [1, 2], needed the number of images, as [N]: correct it", infer(tensor(shape=[1, 2]))),
    (ErrorCode.BAD_REQUEST,
     "found shape [2] of 1 images, needed it to count them: correct it", infer(tensor(shape=[2]))),
    (ErrorCode.NO_IMAGE,
     "found no image, needed at least one: put it into `image`", infer(tensor(data=[], shape=[0]))),
    (ErrorCode.BAD_REQUEST,
     "found an input without `data`, needed a list of base64 strings or binary tensor data: send one of them",
     infer(tensor(data=None))),
    (ErrorCode.BAD_REQUEST,
     "found binary_data_size 7, needed 6, the bytes after the inference header: correct it",
     infer(binary(7), b"\2\0\0\0hi")),
    (ErrorCode.BAD_REQUEST,
     "found a binary tensor that ends before an element's length, needed the elements that its shape says: "
     "send all of it",
     infer(binary(3), b"\1\0\0")),
    (ErrorCode.BAD_REQUEST,
     "found an element of 5 bytes, needed no more than the binary tensor holds: correct its length",
     infer(binary(6), b"\5\0\0\0hi")),
    (ErrorCode.BAD_REQUEST,
     "found 6 bytes after the last element of the shape, needed none: correct the shape",
     infer(binary(12), b"\2\0\0\0hi" * 2)),
    (ErrorCode.BAD_REQUEST,
     "found output `scores` 2 times, needed it once: send a request for each form of it",
     infer(wanting({"name": "scores"}, {"name": "scores"}))),
    (ErrorCode.TOO_MANY_IMAGES,
     "found 2 images with 600 classes each in the answer, needed at most 1000 in all: "
     "send fewer images, or ask for fewer classes", lambda: check_answer(2, 600, 1000)),
    (ErrorCode.BAD_REQUEST,
     "found output `x`, needed `scores`, the only one: correct its name", infer(wanting({"name": "x"}))),
    (ErrorCode.BAD_PARAMETER,
     "found classification -1, needed a whole number of classes: correct it",
     infer(wanting({"name": "scores", "parameters": {"classification": -1}}))),
    (ErrorCode.BAD_REQUEST,
     "found Inference-Header-Content-Length 'x', needed a number up to the body's 2 bytes: correct it",
     infer(b"{}", length="x")),
    # Images
    (ErrorCode.EMPTY_IMAGE, "found 0 bytes, needed those of an image: send the whole file", decoded(b"")),
    (ErrorCode.UNSUPPORTED_TYPE,
     "found SVG, not a served type, needed one: send JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC", decoded(b"<svg/>")),
    (ErrorCode.UNDECODABLE,
     "found PNG data that cannot be decoded (it is damaged or cut short), needed a whole image: send it again",
     decoded(images.PNG_SIGNATURE)),
    (ErrorCode.UNDECODABLE,
     "found TIFF data that cannot be decoded (it is damaged or cut short: it ends before its last pixel), "
     "needed a whole image: send it again", decoded(tiff()[:-1], 5)),
    (ErrorCode.TOO_MANY_PIXELS,
     "found 40 x 50 pixels, needed at most 1999 in all: scale the image down", decoded(PNG, max_pixels=1999)),
    (ErrorCode.TOO_MANY_PIXELS,
     "found tiles of 4096 x 4096 pixels, 805306368 in all, for 1 x 196608 pixels, needed at most 200000 in all: "
     "save the image with smaller tiles", decoded(hostile_tiff.tiled(1, 48 * 4096, 4096), max_pixels=200_000)),
    (ErrorCode.IMAGE_TOO_COSTLY,
     "found an image that takes 512 MB of memory while it is decoded, needed at most 320 MB: scale it down, or save it "
     "as a baseline JPEG or a PNG without interlacing",
     decoded(webp.riff(webp.lossless(8_000, 8_000)), max_pixels=10**8)),
    (ErrorCode.IMAGE_TOO_COSTLY,
     "found 108 scans of 8000 x 8000 pixels, needed at most 31: save the image as a baseline JPEG",
     decoded(jpeg.many_scans(8_000, 107), max_pixels=10**8)),
    (ErrorCode.IMAGE_TOO_COSTLY,
     "found a JPEG of more than 2000 segments before its pixels, needed fewer: save the image again",
     decoded(b"\xff\xd8" + b"\xff\xe2\0\2" * 2_001)),
    (ErrorCode.IMAGE_TOO_COSTLY,
     "found a WebP of 10001 frames, needed at most 10000: send the first frame alone",
     decoded(images.encoded(Image.new("L", (4, 4)), "WebP") + b"ANMF" * 10_001)),
    (ErrorCode.IMAGE_TOO_COSTLY,
     "found a GIF with more than 100000 blocks before its first frame, needed fewer: "
     "save it without comments and other metadata",
     partial(refuse_many_blocks, gif.gif(4, 4, before=bytes(100_001)))),
    (ErrorCode.IMAGE_TOO_COSTLY,
     "found a BMP with 2001078 bytes of run lengths, needed at most 2000000: save it without compression, or as PNG",
     decoded(other.bmp(9, 9, 8, other.RLE8, bytes(2_000_000)))),
    (ErrorCode.TOO_FEW_BANDS,
     "found an image of 3 bands, needed 4 for this model: send one with all of them", decoded(PNG, 4)),
    (ErrorCode.TOO_FEW_BANDS,
     "found an image of 1 band, needed 2 for this model: send one with all of them",
     decoded(images.encoded(Image.new("L", (4, 4)), "PNG"), 2)),
    (ErrorCode.UNSUPPORTED_COMPRESSION,
     "found a TIFF compressed by JPEG XL, which is not served, needed another form: save it as PNG, or as TIFF with "
     "Deflate", decoded(jpeg_xl(), 5)),
    (ErrorCode.TOO_MANY_TILES,
     "found 650 x 10 pixels, 65 tiles of this model, needed at most 64 tiles: scale the image down",
     lambda: Tiles((10, 10), (10, 10), "mean").boxes(650, 10)),
    # Models and routes
    (ErrorCode.UNKNOWN_MODEL,
     'found model "dark", needed "bright", which this worker serves: correct the name, or ask GET /models for all',
     lambda: service().model("dark")),
    (ErrorCode.UNKNOWN_ROUTE,
     "found no route /predict, needed one that is served: GET /openapi.json lists them", of_flask(NotFound())),
    (ErrorCode.METHOD_NOT_ALLOWED,
     "found method PUT, needed one that /predict takes: the header Allow lists them", of_flask(MethodNotAllowed())),
    # The worker's own state
    (ErrorCode.NOT_READY,
     "found this worker starting, needed it ready: try again shortly", health("starting")),
    (ErrorCode.NOT_READY,
     "found this worker broken: a.pth: changed, needed it ready: try again shortly", health(BROKEN, "a.pth: changed")),
    (ErrorCode.NOT_READY,
     "found no model loaded yet, needed one: try again after the seconds in Retry-After", ready_without_a_model),
    (ErrorCode.QUEUE_FULL,
     "found 2 of 2 places taken, needed 1 more: send the request again after the seconds in Retry-After",
     full(2, Share.ORDINARY, Share.ORDINARY)),
    (ErrorCode.QUEUE_FULL,
     "found 2 of 2 places for heat maps taken, needed 2 more: send the request again after the seconds in Retry-After",
     full(8, Share.HEAT_MAPS, Share.HEAT_MAPS)),
    (ErrorCode.DEADLINE,
     "found no answer after 0 seconds, needed one by then: send fewer images at once, or try again later", late),
    (ErrorCode.DEADLINE,
     "found 0 of 3 texts of candidate_labels read after 0.01 seconds, needed all: send the same labels again, for "
     "reading them goes on meanwhile", late_labels),
    (ErrorCode.CLIENT_GONE,
     "found the connection closed by the client before the answer, needed it open: keep it open in both directions "
     "until the answer has come", gone),
    (ErrorCode.INTERNAL,
     "the worker failed on this request: report the request ID, its log has the details under it", fail),
]  # fmt: skip


@pytest.mark.parametrize(("code", "message", "call"), WORKER, ids=[message[:60] for _, message, _ in WORKER])
def test_a_message_of_the_worker(code: ErrorCode, message: str, call: Raise) -> None:
    error: ServiceError = error_of(call)
    assert (error.code, error.message) == (code, message)
    assert code is ErrorCode.INTERNAL or FORM.fullmatch(message)


def test_what_cannot_be_foreseen_says_only_what_to_report() -> None:
    assert error_of(of_flask(ZeroDivisionError("secret"))).message == internal_error().message


TWO = multipart(("a.png", PNG), ("b.png", PNG))
REQUESTS: list[tuple[ErrorCode, str, str, str, tuple[bytes, dict[str, str]]]] = [
    (ErrorCode.UNKNOWN_EXAMPLE,
     'found example 7, needed one of the 0 that model "bright" has: GET /models/bright lists them',
     "GET", "/models/bright/examples/7", (b"", {})),
    (ErrorCode.UNKNOWN_MODEL,
     'found version "2", needed 1, the one served: correct it or leave it out',
     "GET", "/v2/models/bright/versions/2", (b"", {})),
    (ErrorCode.BAD_PARAMETER,
     "found candidate_labels for bright, which knows its own classes alone, needed a zero-shot model: "
     "leave candidate_labels out", "POST", "/predict?candidate_labels=a", (PNG, IMAGE_PNG)),
    (ErrorCode.BAD_PARAMETER,
     "found 2 images, needed one for heat_map: send each in its own request", "POST", "/predict?heat_map=true", TWO),
    (ErrorCode.TOO_MANY_IMAGES,
     "found 2 images, needed at most 1 in one request: send them in several", "POST", "/models/bright", TWO),
]  # fmt: skip


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    home = tmp_path_factory.mktemp("worker")
    with running(folders.openvino_folder(home / "bright"), home / "log") as process:
        yield process


@pytest.mark.parametrize("row", REQUESTS, ids=lambda row: row[1][:60])
def test_a_message_of_a_worker_that_has_loaded_its_model(
    worker: WorkerProcess, row: tuple[ErrorCode, str, str, str, tuple[bytes, dict[str, str]]]
) -> None:
    code, message, method, path, (body, headers) = row
    reply = worker.ask(method, path, body, headers)
    assert (reply.status, reply.error["code"], reply.error["message"]) == (code.status, code.value, message)
    assert FORM.fullmatch(message)


def test_every_code_of_the_worker_has_its_wording_here() -> None:
    assert {row[0] for row in (*WORKER, *REQUESTS)} == {code for code in ErrorCode if code.sender is not Sender.GATEWAY}


# --- Nginx ------------------------------------------------------------------------------------------------------

HEAD = b"POST /predict HTTP/1.1\r\nHost: a\r\n"
GET = b" HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b" HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
GATEWAY: list[tuple[ErrorCode, str, bytes]] = [
    (ErrorCode.BAD_REQUEST,
     "found a malformed HTTP request, needed a well-formed one: check its request line, headers and Content-Length",
     b"GARBAGE\r\n\r\n"),
    (ErrorCode.UNKNOWN_MODEL,
     'found model "x", needed one that is served here: choose from photos', b"GET /models/x" + GET),
    (ErrorCode.UNKNOWN_MODEL,
     "found an unknown model, needed one that is served here: choose from photos", b"GET /models/%22" + GET),
    (ErrorCode.UNKNOWN_ROUTE,
     'found route "/nope", needed one that is served here: GET /openapi.json lists the routes', b"GET /nope" + GET),
    (ErrorCode.UNKNOWN_ROUTE,
     "found an unknown route, needed one that is served here: GET /openapi.json lists the routes", b"GET /%22" + GET),
    (ErrorCode.METHOD_NOT_ALLOWED,
     "found method POST, needed GET or HEAD: send GET", b"POST /livez" + POST),
    (ErrorCode.REFUSED,
     "found a request that the gateway refuses with status 412, needed one without conditions: leave them out",
     b"GET /page.css HTTP/1.1\r\nHost: a\r\nIf-Match: x\r\n\r\n"),
    (ErrorCode.BODY_TOO_LARGE,
     "found a request larger than 32 MB, needed at most 32 MB: send fewer or smaller images",
     HEAD + b"Content-Length: 33554433\r\n\r\n"),
    (ErrorCode.URI_TOO_LONG,
     "found an address longer than 8 KB, needed at most 8 KB: send parameters in the body",
     b"GET /" + b"a" * 9000 + GET),
    (ErrorCode.HEADERS_TOO_LARGE,
     "found a header longer than 8 KB, needed at most 8 KB: send shorter headers",
     HEAD + b"X: " + b"a" * 9000 + b"\r\n\r\n"),
    (ErrorCode.UNKNOWN_ENCODING,
     "found a Transfer-Encoding that is not served, needed chunked or none: use chunked or Content-Length",
     HEAD + b"Transfer-Encoding: gzip\r\n\r\n"),
    (ErrorCode.UNKNOWN_VERSION,
     "found an HTTP version that is not served, needed HTTP/1.1: use HTTP/1.1", b"GET / HTTP/3.0\r\nHost: a\r\n\r\n"),
]  # fmt: skip


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("messages"), {"photos": ["photos-0"]}) as gateway:
        (gateway.home / "web/page.css").write_text("p {}")
        yield gateway.start()


@pytest.mark.parametrize(("code", "message", "sent"), GATEWAY, ids=[message[:60] for _, message, _ in GATEWAY])
def test_a_message_of_nginx(gateway: Gateway, code: ErrorCode, message: str, sent: bytes) -> None:
    reply = ask_raw(gateway.port, sent)
    assert (reply.status, reply.error["code"], reply.error["message"]) == (code.status, code.value, message)
    assert FORM.fullmatch(message)


GUARDED: list[tuple[ErrorCode, str, bytes]] = [
    (ErrorCode.UNAUTHORIZED,
     "found no key that is known here, needed one: send it as Authorization: Bearer KEY or as X-API-Key: KEY; "
     "the administrator makes one with make key", b"GET /models" + GET),
    (ErrorCode.FORBIDDEN,
     "found a key that may not ask for this, needed one with this model or role: ask the administrator, "
     "who makes keys with make key",
     f"GET /status HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n".encode()),
    (ErrorCode.FOREIGN_HOST,
     "found a host name that may be another site, needed an address or a name of this machine: "
     "for more names set hosts in [gateway] of cluster.toml", b"GET /livez HTTP/1.1\r\nHost: example.org\r\n\r\n"),
]  # fmt: skip


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    options = {"keys": True, "clients": {"requests_s": 1, "burst": 0}}
    home = tmp_path_factory.mktemp("guarded")
    with Gateway(home, {"photos": ["photos-0"]}, options=options, keys=[LISTED, OF_ADMIN], key=ADMIN) as gateway:
        yield gateway.start()


@pytest.mark.parametrize(("code", "message", "sent"), GUARDED, ids=[code.value for code, _, _ in GUARDED])
def test_a_message_of_the_guarded_gateway(guarded: Gateway, code: ErrorCode, message: str, sent: bytes) -> None:
    reply = ask_raw(guarded.port, sent)
    assert (reply.status, reply.error["code"], reply.error["message"]) == (code.status, code.value, message)
    assert FORM.fullmatch(message)


def test_the_message_for_a_client_that_asks_too_often(guarded: Gateway) -> None:
    for _ in range(10):
        reply = guarded.ask("GET", "/openapi.json", headers={"X-API-Key": KEY})
        if reply.status == 429:
            break
    assert (reply.error["code"], reply.error["message"]) == (
        "too_many_requests",
        "found more requests or bodies at once than the gateway takes, from this client or from all, needed fewer: "
        "send it again after the seconds in Retry-After",
    )


def test_the_message_for_plain_http_at_the_port_of_https(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    authority.make(tmp_path / "made", ["localhost"], ())
    pem = certificates.read(Tls(True, tmp_path / "made/server.crt", tmp_path / "made/server.key")).pem
    with Gateway(tmp_path / "home", {"photos": ["photos-0"]}, options={"tls": {"hsts_days": 0}}, pem=pem) as gateway:
        reply = ask_raw(gateway.start().port, b"POST /predict" + POST)
    assert (reply.status, reply.error["code"], reply.error["message"]) == (
        426, "tls_required",
        "found plain HTTP, needed HTTPS: ask https:// at the same port; what was sent could be read on the way",
    )  # fmt: skip


def alone(home: Path) -> Gateway:
    """Return a gateway of one worker, for a test that disturbs it; it gives up on a worker after a second."""
    return Gateway(home, {"photos": ["photos-0"]}, {"proxy_read_timeout 30s": "proxy_read_timeout 1s"})


def test_the_message_of_nginx_when_no_worker_is_there(tmp_path: Path) -> None:
    with alone(tmp_path) as gateway:
        gateway.start()
        gateway.workers["photos-0"].close()
        error = gateway.ask("GET", "/v2").error
    assert (error["code"], error["message"]) == (
        "not_ready",
        "found no worker that is ready, needed one: wait as Retry-After says and send the request again; "
        "GET /status shows the workers",
    )


def test_the_message_of_nginx_when_the_worker_hangs(tmp_path: Path) -> None:
    with alone(tmp_path) as gateway:
        gateway.start()
        os.kill(gateway.workers["photos-0"].process.pid, signal.SIGSTOP)
        error = gateway.ask("GET", "/v2").error
    assert (error["code"], error["message"]) == (
        "deadline",
        "found no answer from any worker in time, needed one: send the request again, with fewer images at once",
    )


def test_the_message_of_nginx_when_it_fails_itself(tmp_path: Path) -> None:
    with alone(tmp_path) as gateway:
        gateway.start()
        (tmp_path / "tmp/client_body").rmdir()
        reply = gateway.ask("POST", "/predict", bytes(2 << 20))
    assert (reply.status, reply.error["code"], reply.error["message"]) == (
        500, "gateway_failed",
        "the gateway failed on this request: report the request ID, its error log has the details",
    )  # fmt: skip


def test_every_code_of_nginx_has_its_wording_here() -> None:
    above = {
        ErrorCode.NOT_READY, ErrorCode.DEADLINE, ErrorCode.GATEWAY_FAILED, ErrorCode.TOO_MANY_REQUESTS,
        ErrorCode.TLS_REQUIRED,
    }  # fmt: skip
    assert {code for code, _, _ in [*GATEWAY, *GUARDED]} | above == {
        code for code in ErrorCode if code.sender is not Sender.WORKER
    }
