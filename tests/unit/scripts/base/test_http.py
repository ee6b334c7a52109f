import json
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.base.http import get, print_prediction
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


def error_lines(endpoint: str, image: Path) -> tuple[str, ...]:
    with pytest.raises(CommandError) as error:
        print_prediction(endpoint, image)
    return error.value.lines


@pytest.mark.parametrize(
    ("answer", "expected"),
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
def test_get_returns_the_status_and_the_json_object_of_any_server(
    answer: tuple[int, bytes] | bytes, expected: tuple[int, dict[str, object]]
) -> None:
    with answering({"/readyz": answer}) as server:
        assert get(f"{server.endpoint}/readyz") == expected


def test_get_returns_status_0_if_nothing_answers() -> None:
    assert get(f"http://127.0.0.1:{free_ports(1)}/readyz") == (0, {})


def test_a_busy_service_is_no_error(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with answering({"/predict?top_k=3": (429, b"{}")}) as server:
        print_prediction(server.endpoint, image)
    assert capsys.readouterr().out == "busy with the requests of its clients: no prediction to show\n"


def test_the_prediction_is_printed_with_the_equivalent_curl_command(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering({"/predict?top_k=3": (200, json.dumps(ANSWER).encode())}) as server:
        print_prediction(server.endpoint, image)
    ((request, headers, body),) = server.requests
    assert (request, headers["Content-Type"], body) == ("POST /predict?top_k=3", "application/octet-stream", b"\x89PNG")
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


@pytest.mark.parametrize(
    ("variables", "option"),
    [
        ({"http_proxy": "http://proxy:3128"}, "--noproxy '*' "),
        ({"all_proxy": "socks5://proxy"}, "--noproxy '*' "),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "localhost,127.0.0.1"}, ""),
        ({"https_proxy": "http://proxy:3128"}, ""),
    ],
)
def test_the_printed_command_does_not_ask_a_proxy(
    image: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    option: str,
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with answering({"/predict?top_k=3": (200, json.dumps(ANSWER).encode())}) as server:
        print_prediction(server.endpoint, image)
    assert f"\n  curl {option}-F " in capsys.readouterr().out


def test_an_image_below_the_current_directory_is_shown_as_a_relative_path(
    image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = image.rename(image.with_name("dog.png"))
    monkeypatch.chdir(renamed.parent.parent)
    with answering({"/predict?top_k=3": (200, json.dumps(ANSWER).encode())}) as server:
        print_prediction(server.endpoint, renamed)
    assert f"  curl -F image=@{renamed.parent.name}/dog.png {server.endpoint}/predict\n" in capsys.readouterr().out


def test_an_error_response_is_reported_with_its_status_and_body(image: Path) -> None:
    body = '{"error": {"code": "undecodable", "message": "坏了"}}'
    with answering({"/predict?top_k=3": (422, body.encode())}) as server:
        assert error_lines(server.endpoint, image) == (f"{server.endpoint}/predict answered 422: {body}",)


def test_a_missing_or_invalid_response_is_reported_with_the_reason(image: Path) -> None:
    endpoint = f"http://127.0.0.1:{free_ports(1)}"
    assert error_lines(endpoint, image) == (
        f"{endpoint}/predict: no answer: <urlopen error [Errno 111] Connection refused>",
    )
    with answering({"/predict?top_k=3": b"SSH-2.0\r\n"}) as server:
        assert error_lines(server.endpoint, image) == (f"{server.endpoint}/predict: no answer: SSH-2.0",)
    with answering({"/predict?top_k=3": (200, b"<html>")}) as server:
        assert error_lines(server.endpoint, image) == (
            f"{server.endpoint}/predict: no answer: Expecting value: line 1 column 1 (char 0)",
        )
