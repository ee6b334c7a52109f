"""Inference requests of the Open Inference Protocol: wrong fields, and binary tensors of wrong lengths."""

import base64
import json
import struct
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests import images
from tests.fuzz import Check, worker_app
from tests.fuzz.json_bodies import VALUES
from tests.fuzz.mutation import with_other_values as vary
from tests.fuzz.requests import packed, posted

__all__ = ["examples", "opened", "vary"]

PATHS = (f"/v2/models/{worker_app.MODEL}/infer", f"/v2/models/{worker_app.MODEL}/versions/1/infer")
IMAGE = images.encoded(images.photo((9, 9)), "PNG")
NUMBERS = st.integers(-1, 3) | st.sampled_from([1 << 31, 1 << 63, -1, 10**30])


def usually(value: object) -> st.SearchStrategy[Any]:
    """Return a strategy of `value`, and sometimes anything."""
    return st.one_of(*[st.just(value)] * 7, VALUES)


def inputs(count: int, binary: bool, size: int) -> st.SearchStrategy[list[Any]]:
    fields = {"name": usually("image"), "datatype": usually("BYTES"), "shape": usually([count])}
    if binary:
        fields["parameters"] = usually({"binary_data_size": size})
    else:
        fields["data"] = usually([base64.b64encode(IMAGE).decode()] * count)
    return st.lists(st.fixed_dictionaries(fields), min_size=1, max_size=1) | st.lists(st.fixed_dictionaries(fields))


def outputs() -> st.SearchStrategy[Any]:
    parameters = st.fixed_dictionaries({}, optional={"classification": NUMBERS, "binary_data": st.booleans() | VALUES})
    entry = st.fixed_dictionaries({"name": usually("scores")}, optional={"parameters": parameters | VALUES})
    return st.lists(entry, max_size=4) | VALUES


@st.composite
def examples(draw: st.DrawFn) -> bytes:
    count, binary = draw(st.integers(0, 3)), draw(st.booleans())
    raw = (struct.pack("<I", len(IMAGE)) + IMAGE) * count if binary else b""
    optional = {"outputs": outputs(), "id": usually("one"), "parameters": VALUES, "other": VALUES}
    head = draw(st.fixed_dictionaries({"inputs": inputs(count, binary, len(raw))}, optional=optional))
    text = json.dumps(head).encode()
    length = draw(st.sampled_from([str(len(text))] * 6 + ["", "-1", "0", "9" * 30, "1e3", str(len(text) + len(raw))]))
    headers = {"Content-Type": "application/octet-stream"}
    if binary or draw(st.booleans()):
        headers["Inference-Header-Content-Length"] = length
    return packed(draw(st.sampled_from(PATHS)), headers, text + raw)


def opened(folder: Path) -> Check:
    return partial(posted, worker_app.opened(folder))
