"""`make classify`: what it sends, keeps, waits for and refuses."""

import csv
import json
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.__main__ import main
from tests import images
from tests.local.clients.service import BLUE, RED, serving, start, url
from tests.local.gateway_harness import ROOT, Gateway, ask
from tests.processes import high_water
from tests.wait import until

HOSTILE = ["a.png", "=1+1.png", 'q"uo,te;.png', "line\nbreak.png", "\udcff.png", "中文 图.png", "'a.png", "b\\c.png"]
COUNT = 150  # images, of which a killed run has answered some and has others left


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
