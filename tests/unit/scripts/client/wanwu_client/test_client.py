"""The client against a server that answers as each test says; the real service is in tests/local/clients."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from scripts.client.direct import DirectTransport
from scripts.client.wanwu_client import (
    Client,
    ImageError,
    NoAnswerError,
    NotReadyError,
    QueueFullError,
    Response,
    UnexpectedAnswerError,
    UnreachableError,
    UnreadableError,
)
from scripts.client.wanwu_client.requests_transport import RequestsTransport
from scripts.client.wanwu_client.transport import Transport
from scripts.client.wanwu_client.uploads import Body, stored
from tests.answers import answering
from tests.service import free_ports
from tests.unit.scripts.client.test_rows import BODY
from worker.decode import Geometry, decode

GOOD = Response(200, json.dumps(BODY).encode())
BUSY, AWAY = Response(429, b"", "0"), Response(503, b"", "0")
TRANSPORTS: list[Callable[[], Transport]] = [RequestsTransport, DirectTransport]


@dataclass
class Scripted:
    """A transport that gives `answers` one after the other, the last one for ever, and keeps what was sent."""

    answers: list[Response | Exception]
    sent: list[tuple[str, bytes]] = field(default_factory=list)

    def send(self, method: str, url: str, body: Body | None, headers: Mapping[str, str], timeout_s: float) -> Response:
        data = b"" if body is None else body if isinstance(body, bytes) else b"".join(body)
        self.sent.append((url, data))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        pass


def client(*answers: Response | Exception, **options: Any) -> tuple[Client, Scripted]:
    transport = Scripted(list(answers))
    return Client("http://host:1/prefix/", transport=transport, **options), transport


def test_the_answer_is_typed() -> None:
    answer = client(GOOD)[0].classify(b"image")
    assert answer.best is not None
    assert (answer.best.label, answer.best.label_zh, answer.best.score) == ("狗 dog", "狗", 0.75)
    assert (answer.confident, answer.model, answer.worker, answer.total_ms) == (True, "photos", "photos-0", 2.5)
    assert [found.label for found in answer.attributes["marks"]] == ["狗 dog", "=cmd()"]
    assert answer.raw == BODY


def test_parameters_are_sent_as_the_service_reads_them() -> None:
    one, transport = client(GOOD)
    one.classify(b"", top_k=2, threshold=0.5, heat_map=True, candidate_labels=["a, b", "猫"], model=None)
    (url, _) = transport.sent[0]
    assert url == (
        "http://host:1/prefix/predict?top_k=2&threshold=0.5&heat_map=true"
        "&candidate_labels=%5B%22a%2C+b%22%2C+%22%5Cu732b%22%5D"
    )


def test_an_image_may_be_a_path_bytes_an_open_file_or_pillow_s(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x" * 200_000)
    one, transport = client(GOOD)
    for image in (path, str(path), path.read_bytes(), bytearray(b"x" * 200_000), io.BytesIO(b"x" * 200_000)):
        one.classify(image)
    assert {data for _, data in transport.sent} == {b"x" * 200_000}
    one.classify(Image.new("RGB", (2, 2)))
    one.classify(Image.new("CMYK", (2, 2)))
    assert [data[:4] for _, data in transport.sent[-2:]] == [b"\x89PNG", b"II*\0"]
    with pytest.raises(TypeError, match="found int, needed a path"):
        one.classify(7)  # type: ignore[arg-type]


GREYS = np.linspace(0, 255, 256).reshape(16, 16)


@pytest.mark.parametrize(
    ("mode", "values"),
    [("I", GREYS), ("I", GREYS * 257), ("I;16", GREYS * 257), ("F", GREYS), ("F", GREYS / 255), ("L", GREYS)],
)
def test_an_image_of_pillow_keeps_its_greys_whatever_its_mode(mode: str, values: np.ndarray) -> None:
    kind = {"I": np.int32, "I;16": np.uint16, "F": np.float32, "L": np.uint8}[mode]
    image = Image.fromarray(np.rint(values).astype(kind) if mode != "F" else values.astype(kind))
    assert image.mode == mode
    assert np.abs(as_the_service_sees(image)[..., 0] - GREYS).max() <= 1


@pytest.mark.parametrize("mode", ["HSV", "RGBa", "La", "CMYK", "YCbCr", "RGBX", "LAB"])
def test_an_image_of_pillow_keeps_its_colours_whatever_its_mode(mode: str) -> None:
    grey = Image.fromarray(GREYS.astype(np.uint8))
    between = {"RGBa": "RGBA", "La": "LA"}.get(mode, "RGB")
    if mode == "LAB":
        lab, srgb = (ImageCms.createProfile(name) for name in ("LAB", "sRGB"))
        image = ImageCms.profileToProfile(grey.convert("RGB"), srgb, lab, outputMode="LAB")
        assert image is not None
    else:
        image = grey.convert(between).convert(mode)
    assert np.abs(as_the_service_sees(image)[..., 1] - GREYS).mean() < 6


def as_the_service_sees(image: Image.Image) -> np.ndarray:
    data = stored(image)
    assert isinstance(data, bytes)
    return decode(data, Geometry((16, 16), None, "bilinear")).astype(int)


def test_what_cannot_be_read_on_this_side_ends_no_other_image(tmp_path: Path) -> None:
    whole = tmp_path / "a.png"
    Image.new("RGB", (64, 64)).save(whole)
    cut = tmp_path / "b.png"
    cut.write_bytes(whole.read_bytes()[:-40])
    closed = io.BytesIO(b"x")
    closed.close()
    with whole.open(encoding="utf-8") as text, Image.open(cut) as lazy:
        bad: list[Any] = [text, io.StringIO("x"), lazy, closed]
        found = list(client(GOOD)[0].classify_many([*bad, b"last"], at_once=1))
    assert [type(outcome.error) for outcome in found] == [UnreadableError] * len(bad) + [type(None)]
    assert "open it with 'rb'" in str(found[0].error)


@pytest.mark.parametrize("name", ["gone.jpg", ".", "\0"])
def test_a_file_that_cannot_be_read_is_an_error_of_its_own(tmp_path: Path, name: str) -> None:
    one, transport = client(GOOD)
    with pytest.raises(UnreadableError, match=r"found .*, needed "):
        one.classify(tmp_path / name)
    assert transport.sent == []


def test_a_busy_service_is_asked_again() -> None:
    one, transport = client(BUSY, AWAY, BUSY, GOOD)
    assert one.classify(b"x").model == "photos"
    assert len(transport.sent) == 4


@pytest.mark.parametrize(("answer", "kind"), [(429, QueueFullError), (503, NotReadyError)])
def test_the_wait_ends_before_it_would_exceed_its_limit(answer: int, kind: type[Exception]) -> None:
    one, transport = client(Response(answer, b"", "61"), retry_for_s=60)
    with pytest.raises(kind):
        one.classify(b"x")
    assert len(transport.sent) == 1


def test_other_errors_are_raised_at_once() -> None:
    one, transport = client(Response(415, b'{"error": {"code": "unsupported_type", "message": "m"}}'))
    with pytest.raises(ImageError) as caught:
        one.classify(b"x")
    assert (caught.value.code, len(transport.sent)) == ("unsupported_type", 1)


def test_a_broken_connection_is_tried_once_more_and_a_late_answer_is_not() -> None:
    one, transport = client(UnreachableError("broken"), GOOD)
    one.classify(b"x")
    assert len(transport.sent) == 2
    one, transport = client(UnreachableError("broken"))
    with pytest.raises(UnreachableError):
        one.classify(b"x")
    assert len(transport.sent) == 2
    one, transport = client(NoAnswerError("late"))
    with pytest.raises(NoAnswerError):
        one.classify(b"x")
    assert len(transport.sent) == 1


@pytest.mark.parametrize(
    "answer",
    [Response(200, b"<html>"), Response(302, b""), Response(200, b"[]"), Response(200, b"{}"),
     Response(200, b'{"predictions": [1]}'), Response(204, b"")],
)  # fmt: skip
def test_something_else_at_the_address_is_said(answer: Response) -> None:
    with pytest.raises(UnexpectedAnswerError, match="check the URL"):
        client(answer)[0].classify(b"x")
    with pytest.raises(UnexpectedAnswerError, match="check the URL"):
        client(answer)[0].models()


def test_many_images_are_answered_in_order_and_a_failure_ends_none(tmp_path: Path) -> None:
    images: list[bytes | Path] = [*(b"%d" % number for number in range(50)), tmp_path / "gone.jpg", b"last"]
    found = list(client(GOOD)[0].classify_many(images, at_once=4))
    assert [outcome.image for outcome in found] == images
    assert [outcome.answer is None for outcome in found] == [False] * 50 + [True, False]
    assert isinstance(found[50].error, UnreadableError)


def test_images_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield b"x"

    outcomes = client(GOOD)[0].classify_many(endless(), at_once=2)
    for _ in range(5):
        next(outcomes)
    outcomes.close()
    assert len(taken) < 20


class BusyForOthers(Scripted):
    """A transport that answers b"good", and asks all others to wait for an hour."""

    def send(self, method: str, url: str, body: Body | None, headers: Mapping[str, str], timeout_s: float) -> Response:
        return GOOD if body == b"good" else Response(429, b"", "3600")


def test_no_image_waits_for_a_busy_service_after_the_caller_has_left() -> None:
    one = Client(transport=BusyForOthers([]), retry_for_s=7200)
    outcomes = one.classify_many([b"good", b"a", b"b", b"c"], at_once=2)
    assert next(outcomes).answer
    outcomes.close()  # would take an hour


@pytest.mark.parametrize(
    ("status", "workers"),
    [
        ({"models": [{"name": "a", "workers": 3}, {"name": "b", "workers": 5}]}, {None: 3, "b": 5, "x": 1}),
        ({"models": []}, {None: 1}),
    ],
)
def test_the_number_of_workers_is_what_the_status_says(status: Any, workers: dict[str | None, int]) -> None:
    one, _ = client(Response(200, json.dumps(status).encode()))
    assert {model: one.workers(model) for model in workers} == workers


@pytest.mark.parametrize("url", ["", "host:80", "ftp://host", "http://", "http://host?x=1", "http://host:port", "x y"])
def test_a_url_without_a_scheme_or_host_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"found the URL .*, needed one such as"):
        Client(url, transport=Scripted([]))


# --- Both transports ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_transport_sends_a_file_and_an_empty_one_with_its_length(
    transport: Callable[[], Transport], tmp_path: Path
) -> None:
    for name, data in (("a.jpg", b"x" * 300_000), ("empty.jpg", b"")):
        (tmp_path / name).write_bytes(data)
    with (
        answering({"/predict": (200, GOOD.body), "/status": (302, b""), "/models": (429, b"")}) as server,
        Client(server.endpoint, transport=transport()) as one,
    ):
        one.classify(tmp_path / "a.jpg")
        one.classify(tmp_path / "empty.jpg")
        with pytest.raises(UnexpectedAnswerError):
            one.workers()
        with pytest.raises(QueueFullError):
            one.models()
        assert [len(body) for _, _, body in server.requests[:2]] == [300_000, 0]
        assert [headers["Content-Length"] for _, headers, _ in server.requests[:2]] == ["300000", "0"]
        assert {headers["Transfer-Encoding"] for _, headers, _ in server.requests} == {None}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("raw", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
def test_a_transport_says_that_no_answer_came(transport: Callable[[], Transport], raw: bytes) -> None:
    with (
        answering({"/status": raw}) as server,
        Client(server.endpoint, transport=transport()) as one,
        pytest.raises(UnreachableError),
    ):
        one.workers()
    nowhere = Client(f"http://127.0.0.1:{free_ports(1)}", transport=transport())
    with pytest.raises(UnreachableError):
        nowhere.classify(b"x")
