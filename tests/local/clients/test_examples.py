"""The examples: those that can be run here are, of the others what they send."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.client.wheel import build
from tests.local.clients.service import BARE, RED, url
from tests.local.gateway_harness import ROOT, Gateway, ask_raw

EXAMPLES = ROOT / "scripts/client/examples"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel as a user would, without a network."""
    home = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--target", str(home / "site")]
    subprocess.run([*command, str(build(home))], check=True, capture_output=True)
    return home / "site"


RUN: Mapping[str, list[str]] = {
    "curl.sh": [],
    "with_requests.py": [sys.executable],
    "with_client.py": [sys.executable],
    "with_huggingface_hub.py": [sys.executable],
    "with_tritonclient.py": [sys.executable],
    "fetch.mjs": ["node"],
}
SENT = {"Classify.java", "Classify.cs"}


def test_every_example_is_run_or_sent() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == {*RUN, *SENT}


@pytest.mark.parametrize("name", RUN)
def test_an_example_prints_the_label(gateway: Gateway, installed: Path, tmp_path: Path, name: str) -> None:
    image = tmp_path / "中文 图.png"
    image.write_bytes(RED)
    result = subprocess.run(
        [*RUN[name], EXAMPLES / name, url(gateway), image],
        capture_output=True,
        text=True,
        env=BARE | {"PYTHONPATH": str(installed)},
    )
    assert (result.returncode, result.stderr) == (0, "")
    if name == "curl.sh":
        assert json.loads(result.stdout)["predictions"][0]["label"] == "猫 cat"
    else:
        assert result.stdout == "猫 cat\t1.000\n"


# What the examples in Java and C# send: recorded from Java 17, and of .NET as MultipartFormDataContent documents it.
JAVA = (
    (
        "POST /predict?top_k=1 HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: {length}\r\n"
        "Host: 127.0.0.1\r\nHTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\nUpgrade: h2c\r\n"
        "User-Agent: Java-http-client/17.0.15\r\n"
        "Content-Type: multipart/form-data; boundary=wanwu-58980767467515\r\n\r\n"
    ),
    '--wanwu-58980767467515\r\nContent-Disposition: form-data; name="image"; filename="中文 图.png"\r\n'
    "Content-Type: application/octet-stream\r\n\r\n",
    "\r\n--wanwu-58980767467515--\r\n",
)
DOTNET = (
    (
        "POST /predict?top_k=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        'Content-Type: multipart/form-data; boundary="b1c1a4a0-1f0e-4a57-9f0e-0f5e8f7f6a11"\r\n'
        "Content-Length: {length}\r\n\r\n"
    ),
    "--b1c1a4a0-1f0e-4a57-9f0e-0f5e8f7f6a11\r\nContent-Disposition: form-data; name=image; "
    "filename=\"=?utf-8?B?5Lit5paHIOWbvi5wbmc=?=\"; filename*=utf-8''%E4%B8%AD%E6%96%87%20%E5%9B%BE.png\r\n\r\n",
    "\r\n--b1c1a4a0-1f0e-4a57-9f0e-0f5e8f7f6a11--\r\n",
)


@pytest.mark.parametrize("parts", [JAVA, DOTNET], ids=["Java", "C#"])
def test_what_java_and_c_sharp_send_is_answered(gateway: Gateway, parts: tuple[str, str, str]) -> None:
    head, before, after = parts
    body = before.encode() + RED + after.encode()
    reply = ask_raw(gateway.port, head.format(length=len(body)).encode() + body)
    assert (reply.status, reply.json["predictions"][0]["label"]) == (200, "猫 cat"), reply.body
