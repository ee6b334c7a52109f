"""Multipart forms to every route that takes them, with wrong parts, headers and boundaries."""

from functools import partial
from pathlib import Path

from hypothesis import strategies as st

from tests import images
from tests.fuzz import Check, worker_app
from tests.fuzz.mutation import varied as vary
from tests.fuzz.requests import packed, posted

__all__ = ["examples", "opened", "vary"]

IMAGE = images.encoded(images.photo((9, 9)), "PNG")
PATHS = ("/predict", "/predict?top_k=2", f"/models/{worker_app.MODEL}")
EDGES = ("edge", "-", "e" * 70, "e" * 300, '"e e"', "", "é")
NAMES = ("image", "image", "image", "file", "top_k", "labels", "threshold", "model", "class", "", "é")
LINES = ("Content-Type: image/png", "Content-Type: text/plain; charset=utf-7", "Content-Transfer-Encoding: base64",
         "Content-Length: 9", "X", ": ", "Content-Disposition: form-data", "A: b\r\n c")  # fmt: skip


def part(edge: str, name: str, file: str | None, lines: list[str], data: bytes) -> bytes:
    more = "" if file is None else f'; filename="{file}"'
    head = "\r\n".join([f'Content-Disposition: form-data; name="{name}"{more}', *lines])
    return f"--{edge}\r\n{head}\r\n\r\n".encode(errors="replace") + data + b"\r\n"


@st.composite
def forms(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a boundary and a form that uses it."""
    edge = draw(st.sampled_from(EDGES))
    file = st.none() | st.sampled_from(["a.png", "蓝.png", 'a"b', "", "../a"])
    data = st.sampled_from([IMAGE, b"", b"2", b"--edge--"]) | st.binary(max_size=40)
    lines = st.lists(st.sampled_from(LINES), max_size=3)
    parts = draw(st.lists(st.builds(partial(part, edge), st.sampled_from(NAMES), file, lines, data), max_size=5))
    return edge, b"".join(parts) + draw(st.sampled_from([f"--{edge}--\r\n", f"--{edge}", ""])).encode()


def examples() -> st.SearchStrategy[bytes]:
    def request(path: str, form: tuple[str, bytes], parameters: str) -> bytes:
        edge, body = form
        content_type = f"multipart/form-data; boundary={edge}{parameters}"
        return packed(path, {"Content-Type": content_type}, body)

    parameters = st.sampled_from(["", "", "; charset=utf-16", "; boundary=other", ";;"])
    return st.builds(request, st.sampled_from(PATHS), forms(), parameters)


def opened(folder: Path) -> Check:
    return partial(posted, worker_app.opened(folder))
