"""`make classify`, the Python client and the examples in other languages, with a real gateway and real workers."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from tritonclient.utils import InferenceServerException

from scripts.__main__ import main
from scripts.client.wanwu_client import (
    Client,
    ImageError,
    KeyRefusedError,
    QueueFullError,
    RequestError,
    UnknownModelError,
)
from scripts.client.wheel import build
from scripts.cluster.keys import OWN_VARIABLE, Key, new_key
from tests import folders, images
from tests.local.gateway_harness import ROOT, Gateway, RealWorker, ask, ask_raw
from tests.local.worker_harness import running
from tests.processes import high_water
from tests.wait import until

EXAMPLES = ROOT / "scripts/client/examples"
RED = images.encoded(folders.image(folders.RED), "PNG")
BLUE = images.encoded(folders.image(folders.BLUE), "PNG")
HOSTILE = ["a.png", "=1+1.png", 'q"uo,te;.png', "line\nbreak.png", "\udcff.png", "中文 图.png", "'a.png", "b\\c.png"]
BARE = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
COUNT = 150  # images, of which a killed run has answered some and has others left
COMMAND = [sys.executable, "-S", "-m", "scripts", "classify"]  # -S: without any package


@contextmanager
def serving(
    home: Path, workers: int = 1, keys: Sequence[Key] = (), key: str = "", **settings: Any
) -> Iterator[Gateway]:
    """Run `workers` real workers of a small model behind a real gateway, which asks for one of `keys` if there are."""
    home.mkdir(exist_ok=True)
    model = folders.openvino_folder(home / "bright")
    (home / "gateway").mkdir()
    with ExitStack() as stack:
        options = {"keys": True} if keys else {}
        gateway = stack.enter_context(Gateway(home / "gateway", {}, options=options, keys=keys, key=key))
        for name in [f"bright-{number}" for number in range(workers)]:
            process = stack.enter_context(running(model, home / f"{name}.log", WORKER=name, **settings))
            gateway.workers[name] = RealWorker(name, "bright", process.port)
            gateway.pools.setdefault("bright", []).append(name)
        gateway.write_members()
        yield gateway.start()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("clients"), workers=2) as found:
        yield found


def url(gateway: Gateway) -> str:
    return f"http://127.0.0.1:{gateway.port}"


def start(gateway: Gateway, *arguments: object, **options: Any) -> "subprocess.Popen[str]":
    command = [*COMMAND, "--url", url(gateway), *map(str, arguments)]
    usual: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": BARE}
    return subprocess.Popen(command, cwd=ROOT, **(usual | options))


def classify(gateway: Gateway, *arguments: object) -> tuple[int, str, str]:
    """Return the command's exit status, standard output and standard error."""
    process = start(gateway, *arguments)
    output, errors = process.communicate()
    return process.returncode, output, errors


def rows(out: Path) -> list[dict[str, str]]:
    with out.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def predictions(gateway: Gateway) -> int:
    """Return how many images the workers were sent."""
    lines = [
        line for worker in gateway.workers.values() for line in ask(worker.port, "GET", "/metrics").body.splitlines()
    ]
    counted = b'wanwu_requests_total{route="/predict",'
    return sum(int(float(line.rpartition(b" ")[2])) for line in lines if line.startswith(counted))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images with names that break things, and three files that are no images among them."""
    path = tmp_path / "in"
    path.mkdir()
    for name in HOSTILE:
        (path / name).write_bytes(RED)
    (path / "text.jpg").write_bytes(b"no image")
    (path / "json.jpg").write_bytes(b'{"inputs": 1}')
    (path / "cut.png").write_bytes(RED[:200])
    (path / "notes.txt").touch()
    return path


def many(folder: Path, count: int, image: bytes = RED) -> None:
    folder.mkdir()
    (folder.parent / "image").write_bytes(image)
    for number in range(count):
        (folder / f"{number:04}.png").symlink_to(folder.parent / "image")


# --- make classify ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl"])
def test_a_folder_is_classified_and_each_failure_named(gateway: Gateway, folder: Path, suffix: str) -> None:
    out = folder / f"results.{suffix}"  # in the folder itself: it is no image
    status, printed, errors = classify(gateway, "--images", folder, "--out", out, "--top-k", 2)
    assert (status, printed.splitlines()[-1].split(" images, ")[0].strip()) == (1, "11/11")
    assert "passed over 1 file that is no image: " in errors.splitlines()[0]
    codes = {"text.jpg": "unsupported_type", "json.jpg": "unsupported_type", "cut.png": "undecodable"}
    for name, code in codes.items():
        assert re.search(rf"^!! {re.escape(str(folder / name))}: {code}: found .*, needed ", errors, re.MULTILINE)
    assert errors.splitlines()[-1] == f"!! 8 images answered, 3 failed in {out}; RETRY=1 sends the failed ones again"
    if suffix == "csv":
        found = {row["file"]: row["error"] or row["label"] for row in rows(out)}
    else:
        text = out.read_text(encoding="utf-8")
        answers = json.loads(text) if suffix == "json" else [json.loads(line) for line in text.splitlines()]
        found = {row["file"]: row["error"]["code"] if "error" in row else row["predictions"][0]["label"]
                 for row in answers}  # fmt: skip
    names = {name.replace("\\", "\\\\").replace("\udcff", "\\xff"): "猫 cat" for name in HOSTILE}
    assert found == {f"{folder}/{name}": result for name, result in {**names, **codes}.items()}


def test_rows_that_are_there_are_not_asked_again_but_failed_ones_on_demand(gateway: Gateway, folder: Path) -> None:
    out = folder.parent / "results.csv"
    first = classify(gateway, "--images", folder, "--out", out)
    before, asked = out.read_bytes(), predictions(gateway)
    again = classify(gateway, "--images", folder, "--out", out)
    assert (first[0], again[0]) == (1, 1)  # the failures are still there
    assert (out.read_bytes(), predictions(gateway)) == (before, asked)
    assert again[1] == f"11 of 11 images are in {out} already\n"
    (folder / "cut.png").write_bytes(BLUE)
    assert "9 images answered, 2 failed" in classify(gateway, "--images", folder, "--out", out, "--retry")[2]
    assert predictions(gateway) == asked + 3
    assert {row["file"]: row["label"] for row in rows(out)}[f"{folder}/cut.png"] == "茶 tea"


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_a_killed_run_is_continued(gateway: Gateway, tmp_path: Path, suffix: str) -> None:
    many(tmp_path / "in", COUNT)
    out, asked = tmp_path / f"r.{suffix}", predictions(gateway)
    process = start(gateway, "--images", tmp_path / "in", "--out", out)
    until("some rows", lambda: out.exists() and out.read_bytes().count(b".png") > 10)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = out.read_bytes().count(b".png")
    assert 10 < kept < COUNT
    status, printed, errors = classify(gateway, "--images", tmp_path / "in", "--out", out)
    assert (status, errors) == (0, "")
    assert re.match(rf"\d+ of {COUNT} images are in", printed)
    names = [row["file"] for row in (rows(out) if suffix == "csv" else json.loads(out.read_bytes()))]
    assert names == [str(tmp_path / f"in/{number:04}.png") for number in range(COUNT)]
    assert predictions(gateway) - asked <= COUNT + 2 * 4 + 2  # what was in flight is lost with the run


def test_files_globs_and_a_list_are_printed_without_out(gateway: Gateway, folder: Path) -> None:
    assert classify(gateway, "--images", f"{folder}/a.png") == (0, f"{folder}/a.png\t猫 cat\t1.000\n", "")
    assert classify(gateway, "--images", f"{folder}/=*.png '{folder}/中文 图.png'")[1].count("猫 cat") == 2
    process = start(gateway, "--images", "-", "--labels", "en", stdin=subprocess.PIPE)
    output, errors = process.communicate(f"{folder}/a.png\n{folder}/gone.png\n")
    assert (process.returncode, output) == (1, f"{folder}/a.png\tcat\t1.000\n")
    assert f"!! {folder}/gone.png: unreadable: found a file that cannot be read (No such file" in errors


def test_a_huge_file_is_refused_and_the_run_goes_on(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(RED)
    with (tmp_path / "in/huge.jpg").open("wb") as file:
        file.truncate(5 << 30)  # sparse
    (tmp_path / "in/z.png").write_bytes(BLUE)
    out = tmp_path / "r.csv"
    status, _, errors = classify(gateway, "--images", tmp_path / "in", "--out", out)
    assert (status, [row["error"] or row["label"] for row in rows(out)]) == (1, ["猫 cat", "body_too_large", "茶 tea"])
    assert "huge.jpg: body_too_large: found a request larger than 32 MB, needed at most 32 MB" in errors


def test_no_image_stays_in_memory(gateway: Gateway, tmp_path: Path) -> None:
    """12 images of 12 MB: a command that kept them would hold 144 MB."""
    many(tmp_path / "in", 12, images.encoded(images.photo((2000, 2000)), "BMP"))
    out = tmp_path / "r.csv"
    with start(gateway, "--images", tmp_path / "in", "--out", out, "--watch") as process:
        until("all rows", lambda: out.exists() and len(rows(out)) == 12)
        peak = high_water(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.communicate()[1] == ""
    assert {row["error"] for row in rows(out)} == {""}
    assert peak < 60_000_000


@contextmanager
def without_nginx(gateway: Gateway) -> Iterator[None]:
    """Stop Nginx, and start it again at the end."""
    assert gateway.nginx
    gateway.nginx.send_signal(signal.SIGTERM)  # at once, whatever is in flight
    gateway.nginx.wait()
    try:
        yield
    finally:
        gateway.start_nginx()


def test_a_run_waits_for_a_service_that_is_away_or_ends_and_keeps_its_rows(tmp_path: Path) -> None:
    many(tmp_path / "in", COUNT)
    out = tmp_path / "r.csv"
    with serving(tmp_path / "service") as gateway:
        waits = start(gateway, "--images", tmp_path / "in", "--out", tmp_path / "waits.csv")
        ends = start(gateway, "--images", tmp_path / "in", "--out", out, "--wait", 1)
        for file in (out, tmp_path / "waits.csv"):
            until("some rows", lambda file=file: file.exists() and len(rows(file)) > 5)  # type: ignore[misc]
        with without_nginx(gateway):
            errors = ends.communicate()[1]
        assert ends.returncode == 1
        assert f"waited 1 s; the rows so far are in {out}: start the service and run the same command again" in errors
        kept = rows(out)
        assert (len(kept) < COUNT, {row["error"] for row in kept}) == (True, {""})
        assert classify(gateway, "--images", tmp_path / "in", "--out", out)[0] == 0
        output, errors = waits.communicate()
        assert (waits.returncode, errors) == (0, ""), output
    assert rows(out)[: len(kept)] == kept
    assert [row["file"] for row in rows(out)] == [row["file"] for row in rows(tmp_path / "waits.csv")]
    assert Counter(row["label"] for row in rows(tmp_path / "waits.csv")) == {"猫 cat": COUNT}


def test_a_folder_that_fills_up_is_followed(gateway: Gateway, tmp_path: Path) -> None:
    watched, out = tmp_path / "in", tmp_path / "r.csv"
    watched.mkdir()
    with start(gateway, "--images", watched, "--out", out, "--watch") as process:
        with (watched / "slow.png").open("wb") as file:
            file.write(RED[: len(RED) // 2])
            file.flush()
            (watched / "quick.png").write_bytes(BLUE)
            until("the complete one", lambda: out.exists() and rows(out))
            assert [Path(row["file"]).name for row in rows(out)] == ["quick.png"]
            file.write(RED[len(RED) // 2 :])
        until("both", lambda: len(rows(out)) == 2)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert output.splitlines()[-1] == f"2 images answered in {out}"
    assert [row["label"] for row in rows(out)] == ["茶 tea", "猫 cat"]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--images", ""], "IMAGES: found nothing, needed a file, a folder, a glob"),
        (["--images", "/no/where"], "/no/where: found no such file or folder, needed one"),
        (["--images", "scripts/commands"], "found no image but [0-9]+ other files, needed one"),
        (["--images", "worker/photos/golden", "--out", "r.txt"], "OUT: found 'r.txt', needed a name that ends with"),
        (["--images", "worker/photos/golden", "--out", "/no/r.csv"], "/no/r.csv: found No such file.*, needed a file"),
        (["--images", "worker/photos/golden", "--model", "x"], "MODEL: found 'x', needed one that is served: .*bright"),
        (["--images", "worker/photos/golden", "--labels", "xx"], "found labels 'xx', needed one of zh, en, both"),
        (["--images", "worker/photos/golden", "--threshold", "x"], "THRESHOLD: found 'x', needed a score"),
        (["--images", "worker/photos/golden", "--top-k", "0"], "TOP_K: found 0, needed 1 or more"),
        (["--images", "worker/photos/golden", "--wait", "-1"], "WAIT: found -1, needed 0 or more"),
        (["--images", "worker/photos/golden", "--url", "localhost:1"], "URL: found the URL 'localhost:1', needed one"),
        (["--images", "worker/photos/golden", "--url", "http://127.0.0.1:9"], r"127.0.0.1:9 \(Connection refused\)"),
        (["--images", "worker/photos/golden/cat.jpg", "--watch"], "found a file, needed a folder to watch"),
    ],
)
def test_a_wrong_command_is_one_line(
    gateway: Gateway,
    arguments: list[str],
    fault: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    status = main(["classify", "--url", url(gateway), *arguments])
    output, errors = capsys.readouterr()
    assert (status, output) == (1, "")
    (line,) = errors.splitlines()
    assert re.search(f"^!! .*{fault}", line), line


def test_a_worker_or_another_server_is_not_taken_for_the_service(gateway: Gateway) -> None:
    worker = next(iter(gateway.workers.values()))
    status, _, errors = classify(
        gateway, "--images", "worker/photos/golden", "--url", f"http://127.0.0.1:{worker.port}"
    )
    assert status == 1
    assert "found something other than this service" in errors


# --- The client -----------------------------------------------------------------------------------------------------


def test_the_client_classifies_and_says_what_is_served(gateway: Gateway) -> None:
    with Client(url(gateway)) as client:
        answer = client.classify(folders.image(folders.RED), top_k=1, heat_map=True)
        assert answer.best is not None
        assert (answer.best.label, answer.best.label_zh, answer.model) == ("猫 cat", "猫", "bright")
        assert (answer.heat_map or b"")[:4] == b"\x89PNG"
        assert client.classify(RED, threshold=0.9, labels="zh").predictions[0].label == "猫"
        (model,) = client.models()
        assert (model.name, model.ready, model.classes) == ("bright", True, 3)
        assert client.model("bright").languages == model.languages == ("zh", "en")
        assert (client.workers(), client.is_ready(), client.is_ready("nobody")) == (2, True, False)
        found = list(client.classify_many([RED, b"text", BLUE], top_k=1))
        assert [outcome.answer and outcome.answer.predictions[0].label_en for outcome in found] == ["cat", None, "tea"]


def test_the_client_s_errors_have_the_service_s_code(gateway: Gateway) -> None:
    cases: list[tuple[type[RequestError], str, bytes, Any]] = [
        (ImageError, "unsupported_type", b"text", {}),
        (ImageError, "undecodable", RED[:200], {}),
        (ImageError, "body_too_large", bytes(33 << 20), {}),
        (RequestError, "bad_parameter", RED, {"top_k": 0}),
        (RequestError, "empty_image", b"", {}),
        (UnknownModelError, "unknown_model", RED, {"model": "nobody"}),
    ]
    with Client(url(gateway)) as client:
        for kind, code, image, parameters in cases:
            with pytest.raises(kind, match=r"found .* needed ") as caught:
                client.classify(image, **parameters)
            assert (caught.value.code, bool(caught.value.request_id)) == (code, True)


def test_the_client_waits_where_the_queue_is_full(tmp_path: Path) -> None:
    with serving(tmp_path, QUEUE=1, MAX_IMAGES=1) as gateway:
        with Client(url(gateway), retry_for_s=0) as client:
            refused = [outcome.error for outcome in client.classify_many([RED] * 40, at_once=16) if outcome.error]
        assert {type(error) for error in refused} == {QueueFullError}
        with Client(url(gateway)) as client:
            answers = [outcome.answer for outcome in client.classify_many([RED] * 24, at_once=6)]
    assert None not in answers


# --- Examples -------------------------------------------------------------------------------------------------------


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


# --- Keys ---------------------------------------------------------------------------------------------------------

CLIENT, ADMIN = new_key("line-3", "client", ("bright",)), new_key("boss", "admin", ())
WRONG = new_key("line-3", "client", ())[0]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("guarded"), keys=[CLIENT[1], ADMIN[1]], key=ADMIN[0]) as found:
        yield found


def test_classify_takes_a_key_from_the_environment(guarded: Gateway, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(RED)
    for variable, options in ((OWN_VARIABLE, []), ("KEY", ["--key-variable", "KEY"])):
        process = start(guarded, "--images", tmp_path / "a.png", *options, env=BARE | {variable: CLIENT[0]})
        assert process.communicate()[1] == ""
        assert process.returncode == 0
        assert CLIENT[0] not in str(process.args)
    for key, said in (
        ("", "found no key that is known here"),
        (WRONG, "found no key that is known"),
        ("a b", "KEY: found"),
    ):
        process = start(guarded, "--images", tmp_path / "a.png", env=BARE | {OWN_VARIABLE: key})
        errors = process.communicate()[1]
        assert process.returncode == 1
        assert said in errors
        assert WRONG not in errors


def test_the_client_sends_its_key_and_needs_no_status(guarded: Gateway) -> None:
    for key in (CLIENT[0], ADMIN[0]):
        with Client(url(guarded), key=key) as one:
            assert one.classify(RED).predictions[0].label == "猫 cat"
            assert [outcome.error for outcome in one.classify_many([RED, BLUE])] == [None, None]
            assert (one.workers(), one.workers("bright"), one.is_ready()) == (1, 1, True)
    for key in ("", WRONG):
        with Client(url(guarded), key=key) as one, pytest.raises(KeyRefusedError, match="unauthorized"):
            one.classify(RED)
    with pytest.raises(ValueError, match="found a key with spaces") as error:
        Client(url(guarded), key="se\ncret")
    assert "cret" not in str(error.value)


def test_the_hub_s_and_triton_s_clients_send_a_key(guarded: Gateway) -> None:
    model = f"{url(guarded)}/models/bright"
    assert InferenceClient(token=CLIENT[0]).image_classification(RED, model=model)[0].label == "猫 cat"
    with pytest.raises(HfHubHTTPError, match="401"):
        InferenceClient(token=WRONG).image_classification(RED, model=model)
    image = triton.InferInput("image", [1], "BYTES")
    image.set_data_from_numpy(np.array([RED], dtype=object))
    with triton.InferenceServerClient(f"127.0.0.1:{guarded.port}") as client:
        for headers in ({"Authorization": f"Bearer {CLIENT[0]}"}, {"X-API-Key": CLIENT[0]}):
            assert client.get_model_repository_index(headers=headers)[0]["name"] == "bright"
            assert client.infer("bright", [image], headers=headers).as_numpy("scores") is not None
        with pytest.raises(InferenceServerException, match="found no key"):
            client.infer("bright", [image])
