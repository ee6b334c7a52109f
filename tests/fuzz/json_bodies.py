"""JSON to every route that takes an image in it: known and unknown keys with values of every type."""

import base64
import json
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests import images
from tests.fuzz import Check, worker_app
from tests.fuzz.mutation import with_other_values as vary
from tests.fuzz.requests import packed, posted
from worker.api.parameters import HUGGING_FACE, PREDICT

__all__ = ["examples", "opened", "vary"]

IMAGE = base64.b64encode(images.encoded(images.photo((9, 9)), "PNG")).decode()
TYPES = ("application/json", "application/json; charset=utf-16", "Application/JSON", "application/json;;")
WORDS = st.sampled_from(
    ["", "a", "en", "both", "true", "softmax", "3", "-1", "1e9", "NaN", "\ud800", "\0", "{}", "9" * 5_000]
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 5), st.integers(), st.floats(), WORDS, st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


def values(known: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from([*known, "other"])
    usual = st.fixed_dictionaries({}, optional={"top_k": st.integers(1, 3), "labels": st.just("en")})
    parameters = st.dictionaries(names, VALUES, max_size=3) | usual | VALUES
    inputs = st.sampled_from([IMAGE, f"data:image/png;base64,{IMAGE}", [IMAGE], [IMAGE, IMAGE]]) | VALUES
    return st.fixed_dictionaries({}, optional={"inputs": inputs, "parameters": parameters, "other": VALUES})


def instances() -> st.SearchStrategy[dict[str, Any]]:
    """Return requests of TensorFlow Serving and KServe's v1 protocol."""
    one = (
        st.sampled_from([IMAGE, {"b64": IMAGE}, {"image_bytes": {"b64": IMAGE}, "key": "1"}, [{"b64": IMAGE}]]) | VALUES
    )
    some = st.lists(one, max_size=3) | one
    named = st.dictionaries(st.sampled_from(["image", "b64"]), some, max_size=2)
    parameters = st.dictionaries(st.sampled_from([*HUGGING_FACE, "other"]), VALUES, max_size=2) | VALUES
    return st.fixed_dictionaries({}, optional={"instances": some, "inputs": some | named, "parameters": parameters})


def examples() -> st.SearchStrategy[bytes]:
    def request(path: str, content_type: str, value: object) -> bytes:
        return packed(path, {"Content-Type": content_type}, json.dumps(value).encode())

    types = st.sampled_from(TYPES)
    return st.one_of(
        st.builds(request, st.just("/predict"), types, values(PREDICT) | VALUES),
        st.builds(request, st.just(f"/models/{worker_app.MODEL}"), types, values(HUGGING_FACE) | VALUES),
        st.builds(request, st.just(f"/predictions/{worker_app.MODEL}"), types, values(HUGGING_FACE) | VALUES),
        st.builds(request, st.just(f"/v1/models/{worker_app.MODEL}:predict"), types, instances() | VALUES),
    )


def opened(folder: Path) -> Check:
    return partial(posted, worker_app.opened(folder))
