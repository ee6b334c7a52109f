"""Hostile bodies around images: JSON, forms, and the Open Inference Protocol's tensors."""

import base64
import gzip
import json
import struct
from collections.abc import Callable
from functools import partial

from tests import images
from tests.hostile import BAD, LATE, SERVED, UNFIT, UNKNOWN_TYPE, Case, deflated_zeros, jpeg, png, tiff, webp
from worker.contract.limits import MAX_CANDIDATE_LABELS

JSON = {"Content-Type": "application/json"}
UNKNOWN_MODEL, TOO_LARGE, BUSY = 404, 413, 429
REFUSED = frozenset({BAD, TOO_LARGE})
REFUSED_OR_UNFIT = REFUSED | {UNKNOWN_MODEL, UNKNOWN_TYPE, UNFIT}
EACH_REFUSED = frozenset({SERVED, BAD, TOO_LARGE, UNFIT, BUSY})  # a form of many has an answer for each image
MEGABYTE = 1 << 20
LIMIT = 31 * MEGABYTE  # just below what the gateway lets pass
XML = {"Content-Type": "text/xml"}
HEADER_LENGTH = "Inference-Header-Content-Length"
BOUNDARY = b"edge"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
LONG_EDGE = {"Content-Type": f"multipart/form-data; boundary={'x' * 7_000}"}
SMALL = images.encoded(images.photo((64, 64)), "JPEG")


def filled(start: bytes, unit: bytes, end: bytes, size: int = LIMIT) -> bytes:
    """Return `start`, as many times `unit` as fit into `size` bytes, and `end`."""
    return start + unit * ((size - len(start) - len(end)) // len(unit)) + end


def part(data: bytes, name: str = "image", filename: str | None = "a", headers: bytes = b"") -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    head = f'Content-Disposition: form-data; name="{name}"{file}\r\n'.encode()
    return b"--" + BOUNDARY + b"\r\n" + head + headers + b"\r\n" + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


def tensor(**more: object) -> dict[str, object]:
    data = [base64.b64encode(SMALL).decode()]
    return {"name": "image", "datatype": "BYTES", "shape": [1], "data": data} | more


def infer(**more: object) -> bytes:
    """Return a valid inference request with fields replaced or added."""
    return json.dumps({"inputs": [tensor()]} | more).encode()


def scores(**parameters: object) -> dict[str, object]:
    return {"name": "scores", "parameters": parameters}


def one_image(**parameters: object) -> bytes:
    return json.dumps({"inputs": base64.b64encode(SMALL).decode(), "parameters": parameters}).encode()


def labelled(length: int) -> bytes:
    """Return an image with as many candidate labels as a request may have, each of `length` letters."""
    return one_image(candidate_labels=[f"{number:03}".ljust(length, "x") for number in range(MAX_CANDIDATE_LABELS)])


PREDICT_JSON = (
    ("lists", partial(filled, b'{"inputs":"","parameters":{"x":[', b"[],", b"[]]}}")),
    ("empty strings for an image", partial(filled, b'{"inputs":[', b'"",', b'""]}')),
    ("keys", lambda: b'{"inputs":"",' + b",".join(b'"%d":0' % number for number in range(1_000_000)) + b"}"),
    ("the same key", partial(filled, b"{", b'"inputs":"",', b'"parameters":{}}')),
    ("depth of lists", partial(filled, b'{"inputs":', b"[", b"")),
    ("depth of objects", partial(filled, b"", b'{"a":', b"")),
    ("digits", partial(filled, b'{"inputs":', b"9", b"}")),
    ("an exponent", lambda: b'{"inputs":"","parameters":{"top_k":1e999999999}}'),
    ("spaces", partial(filled, b"{", b" ", b"}")),
    ("escapes", partial(filled, b'{"inputs":"', b"\\u0041", b'"}')),
    ("half characters", partial(filled, b'{"inputs":"","parameters":{"model":"', b"\\ud800", b'"}}')),
    ("a long unknown key", partial(filled, b'{"', b"k", b'":0}')),
    ("a long unknown parameter", partial(filled, b'{"inputs":"","parameters":{"', b"k", b'":0}}')),
    ("a long top_k", partial(filled, b'{"inputs":"/9j/","parameters":{"top_k":"', b"9", b'"}}')),
    ("a long labels", partial(filled, b'{"inputs":"/9j/","parameters":{"labels":"', b"z", b'"}}')),
    ("a long heat_map", partial(filled, b'{"inputs":"/9j/","parameters":{"heat_map":"', b"z", b'"}}')),
    ("a list for threshold", partial(filled, b'{"inputs":"/9j/","parameters":{"threshold":[', b"0,", b"0]}}")),
    ("base64 of padding", partial(filled, b'{"inputs":"', b"=", b'"}')),
    ("a long data URL", partial(filled, b'{"inputs":"data:', b"x", b'"}')),
    ("bytes that are no UTF-8", partial(filled, b'{"inputs":"', b"\xff", b'"}')),
    ("nothing but quotes", partial(filled, b"", b'"', b"")),
)
FORMS = (
    ("header lines in one part", lambda: form(part(SMALL, headers=filled(b"", b"a:b\r\n", b"")))),
    ("a header of 31 MB", lambda: form(part(SMALL, headers=filled(b"X: ", b"x", b"\r\n")))),
    ("empty fields", lambda: filled(b"", part(b"", "a", None), form())),
    ("fields of many names", lambda: form(*(part(b"", f"f{number}", None) for number in range(300_000)))),
    ("a field of 31 MB", lambda: form(part(SMALL), part(bytes(LIMIT - 4_096), "top_k", None))),
    ("empty images", lambda: filled(b"", part(b""), form())),
    ("boundaries", partial(filled, b"", b"--" + BOUNDARY + b"\r\n", b"")),
    ("half boundaries", partial(filled, part(SMALL)[:-2], b"\r\n--" + BOUNDARY[:-1], form())),
    ("a file name of 31 MB", lambda: form(part(SMALL, filename="f" * (LIMIT - 4_096)))),
    ("a field name of 31 MB", lambda: form(part(SMALL, name="n" * (LIMIT - 4_096)))),
    ("no end", lambda: part(SMALL) + b"--" + BOUNDARY),
    ("line ends", partial(filled, b"", b"\r\n", b"")),
)
TENSORS = (
    ("60,000 outputs", lambda: infer(outputs=[{"name": "scores"}] * 60_000)),
    ("400 outputs of classes", lambda: infer(outputs=[scores(classification=1_000)] * 400)),
    ("60,000 binary outputs",
     lambda: infer(outputs=[{"name": "scores"}] * 60_000, parameters={"binary_data_output": True})),
    ("outputs of other names", lambda: infer(outputs=[{"name": "x" * 100_000}])),
    ("empty images", partial(filled, b'{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"data":[', b'"",',
                             b'""]}]}')),
    ("inputs", lambda: infer(inputs=[tensor()] * 10_000)),
    ("a shape of many sides", lambda: infer(inputs=[tensor(shape=[1] * 1_000_000)])),
    ("an id of 30 MB", lambda: infer(id=["x" * 30_000_000])),
    ("a name of 30 MB", lambda: infer(inputs=[tensor(name="x" * 30_000_000)])),
    ("10^4000 classes", lambda: infer(outputs=[scores(classification=-(10**4000))])),
    ("parameters of 30 MB", lambda: infer(parameters=["x" * 30_000_000])),
)  # fmt: skip


def lengths() -> bytes:
    """Return the elements of a binary tensor: 7 million images of no bytes."""
    raw = struct.pack("<I", 0) * 7_000_000
    head = {"name": "image", "datatype": "BYTES", "shape": [7_000_000]}
    text = json.dumps({"inputs": [head | {"parameters": {"binary_data_size": len(raw)}}]}).encode()
    return text.ljust(256) + raw


def many(make: Callable[[], bytes], count: int) -> bytes:
    return form(*([part(make())] * count))


IMAGES_IN_A_FORM: tuple[tuple[str, Callable[[], bytes], int], ...] = (
    ("32 WebPs of 64 megapixels", lambda: webp.riff(webp.lossless(8_000, 8_000)), 32),
    ("32 PNGs of 64 megapixels", partial(png.png, 8_000, 8_000, png.RGBA), 32),
    ("32 JPEGs of 20 scans", partial(jpeg.many_scans, 8_000, 20), 32),
    ("32 TIFFs of shared tiles", partial(tiff.tiled, 1, 16 * 4_096, 4_096), 32),
    ("32 damaged images", lambda: jpeg.cut(SMALL, 0.5), 32),
    ("60,000 images", lambda: b"x", 60_000),
)
INFER = "/v2/models/photos/infer"
JSON_CASES = (
    *(Case(name, body, REFUSED_OR_UNFIT, headers=JSON) for name, body in PREDICT_JSON),
    Case("lists, 4 at once", PREDICT_JSON[0][1], REFUSED | {BUSY}, headers=JSON, at_once=4),
    Case("lists to /models/NAME", PREDICT_JSON[0][1], REFUSED_OR_UNFIT, "/models/photos", JSON),
    Case("another type", lambda: bytes(LIMIT), frozenset({UNKNOWN_TYPE}), headers=XML),
)
FORM_CASES = (
    *(Case(name, body, REFUSED | {SERVED}, headers=FORM) for name, body in FORMS),
    Case("header lines, 4 at once", FORMS[0][1], REFUSED | {SERVED, BUSY}, headers=FORM, at_once=4),
    Case("a boundary of 7,000 letters", lambda: SMALL, REFUSED | {431}, headers=LONG_EDGE),
)
MANY_CASES = tuple(
    Case(name, partial(many, make, count), EACH_REFUSED | {LATE}, headers=FORM)
    for name, make, count in IMAGES_IN_A_FORM
)
TENSOR_CASES = (
    *(Case(name, body, REFUSED_OR_UNFIT, INFER, JSON) for name, body in TENSORS),
    Case("7 million images of no bytes", lengths, REFUSED, INFER, JSON | {HEADER_LENGTH: "256"}),
    Case("lists", PREDICT_JSON[0][1], REFUSED, INFER, JSON),
)
CODED = {coding: {"Content-Type": "image/png", "Content-Encoding": coding} for coding in ("gzip", "deflate", "br")}
EMPTY_MEMBER = gzip.compress(b"")
CODED_CASES = (
    Case(
        "deflate that inflates to 20 GB", partial(deflated_zeros, 20_000 * MEGABYTE), REFUSED, headers=CODED["deflate"]
    ),
    Case(
        "the same, 4 at once",
        partial(deflated_zeros, 20_000 * MEGABYTE),
        REFUSED | {BUSY},
        headers=CODED["deflate"],
        at_once=4,
    ),
    Case(
        "31 MB of empty gzip members",
        lambda: EMPTY_MEMBER * (LIMIT // len(EMPTY_MEMBER)),
        REFUSED,
        headers=CODED["gzip"],
    ),
    Case(
        "lists, compressed",
        lambda: gzip.compress(PREDICT_JSON[0][1](), 1),
        REFUSED,
        headers=JSON | {"Content-Encoding": "gzip"},
    ),
    Case("gzip without an end", lambda: gzip.compress(bytes(LIMIT), 1)[:-9], REFUSED, headers=CODED["gzip"]),
    Case(
        "gzip in gzip",
        lambda: gzip.compress(gzip.compress(bytes(LIMIT))),
        frozenset({UNKNOWN_TYPE}),
        headers=CODED["gzip"],
    ),
    Case("31 MB in another coding", lambda: bytes(LIMIT), frozenset({UNKNOWN_TYPE}), headers=CODED["br"]),
    Case(
        "a form's image in base64 with blanks",
        lambda: form(part(filled(b"iVBORw0KGgoAAAAN", b"A ", b""))),
        REFUSED | {UNFIT},
        headers=FORM,
    ),
    Case(
        "base64 with line breaks", partial(filled, b'{"inputs":"/9j/', b"A\n", b'"}'), REFUSED | {UNFIT}, headers=JSON
    ),
    Case(
        "a model that nobody serves",
        lambda: one_image(model="x" * (LIMIT // 2)),
        frozenset({UNKNOWN_MODEL}),
        headers=JSON,
    ),
    Case(
        "instances",
        partial(filled, b'{"instances":[', b'{"b64":""},', b'{"b64":""}]}'),
        REFUSED,
        "/v1/models/photos:predict",
        JSON,
    ),
    Case(
        "depth of instances", partial(filled, b'{"instances":', b"[", b""), REFUSED, "/v1/models/photos:predict", JSON
    ),
    Case("lists to TorchServe's route", PREDICT_JSON[0][1], REFUSED, "/predictions/photos", JSON),
)
