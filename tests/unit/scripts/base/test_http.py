import json
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.base.http import get, show_answer
from tests.answers import answering
from tests.service import free_ports

READY = {"state": "ready", "in_flight": 0}
ROW = {"score": 0.98765, "label": "狗", "label_zh": "狗", "label_en": "dog", "index": 1}
ANSWER = {
    "worker": "photos-1",
    "predictions": [
        ROW,
        ROW | {"score": 0.012, "label_zh": "猫", "label_en": None},
        {"score": 0.011, "label": "兎", "label_zh": None, "label_en": None, "label_ja": "兎", "index": 2},
    ],
    "timing_ms": {"queue": 0.1, "decode": 2.0, "inference": 3.0, "total": 5.25},
}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "狗 1.png"
    path.write_bytes(b"\x89PNG")
    return path


def refused(endpoint: str, image: Path) -> tuple[str, ...]:
    with pytest.raises(CommandError) as refusal:
        show_answer(endpoint, image)
    return refusal.value.lines


@pytest.mark.parametrize(
    ("answer", "understood"),
    [
        ((200, json.dumps(READY).encode()), (200, READY)),
        ((503, json.dumps(READY | {"state": "starting"}).encode()), (503, READY | {"state": "starting"})),
        ((200, b"<html>"), (200, {})),
        ((200, b"[1]"), (200, {})),
        ((200, b""), (200, {})),
        ((200, b"\xff"), (200, {})),
        ((502, b"bad gateway"), (502, {})),
        (b"SSH-2.0-OpenSSH_9.2\r\n", (0, {})),
        (b"", (0, {})),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", (0, {})),
    ],
)
def test_get_tells_status_and_object_of_whatever_answers(
    answer: tuple[int, bytes] | bytes, understood: tuple[int, dict[str, object]]
) -> None:
    with answering({"/readyz": answer}) as server:
        assert get(f"{server.endpoint}/readyz") == understood


def test_nothing_that_answers_is_status_0() -> None:
    assert get(f"http://127.0.0.1:{free_ports(1)}/readyz") == (0, {})


def test_the_answer_is_shown_with_the_curl_line_that_gives_it(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with answering({"/predict?top_k=3": (200, json.dumps(ANSWER).encode())}) as server:
        show_answer(server.endpoint, image)
    ((asked, headers, body),) = server.requests
    assert (asked, headers["Content-Type"], body) == ("POST /predict?top_k=3", "application/octet-stream", b"\x89PNG")
    assert capsys.readouterr().out == (
        "\n"
        f"  curl -F 'image=@{image}' {server.endpoint}/predict\n"
        "\n"
        "    98.8%  狗  dog\n"
        "     1.2%  猫\n"
        "     1.1%  兎\n"
        "\n"
        "  answered by photos-1 in 5.2 ms\n"
    )


def test_an_image_below_the_current_directory_is_named_from_there(
    image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = image.rename(image.with_name("dog.png"))
    monkeypatch.chdir(plain.parent.parent)
    with answering({"/predict?top_k=3": (200, json.dumps(ANSWER).encode())}) as server:
        show_answer(server.endpoint, plain)
    assert f"  curl -F image=@{plain.parent.name}/dog.png {server.endpoint}/predict\n" in capsys.readouterr().out


def test_an_error_is_refused_with_its_status_and_body(image: Path) -> None:
    body = '{"error": {"code": "undecodable", "message": "坏了"}}'
    with answering({"/predict?top_k=3": (422, body.encode())}) as server:
        assert refused(server.endpoint, image) == (f"{server.endpoint}/predict answered 422: {body}",)


def test_no_answer_is_refused_with_the_reason(image: Path) -> None:
    endpoint = f"http://127.0.0.1:{free_ports(1)}"
    assert refused(endpoint, image) == (
        f"{endpoint}/predict: no answer: <urlopen error [Errno 111] Connection refused>",
    )
    with answering({"/predict?top_k=3": b"SSH-2.0\r\n"}) as server:
        assert refused(server.endpoint, image) == (f"{server.endpoint}/predict: no answer: SSH-2.0",)
    with answering({"/predict?top_k=3": (200, b"<html>")}) as server:
        assert refused(server.endpoint, image) == (
            f"{server.endpoint}/predict: no answer: Expecting value: line 1 column 1 (char 0)",
        )
