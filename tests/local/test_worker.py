"""A worker as a process: how it starts, what it says of itself, how it refuses, hangs, drains and ends."""

import base64
import json
import mmap
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests import folders, images
from tests.local.gateway_harness import ROOT, Reply
from tests.local.worker_harness import COMMAND, CPU, WorkerProcess, environment, form, running
from tests.processes import stat
from tests.wait import TIMEOUT_S, until
from worker.process.health import shorten_paths

EX_CONFIG, STUCK = 78, 70  # sysexits.h EX_CONFIG; worker.app.STUCK
RED, GREY, WHITE = (images.encoded(folders.image(colour), "PNG") for colour in (folders.RED, folders.GREY, (255,) * 3))
# The slow model needs a third of a second for it on a core of its own, and less than the deadline on a busy one.
FAINT = images.encoded(folders.image((120, 120, 120)), "PNG")


def later(worker: WorkerProcess, *images: bytes) -> "Future[Reply]":
    """Send one request on a thread of its own; returns once its images are inside the worker, next to those before."""
    before = in_flight(worker)
    pool = ThreadPoolExecutor(1)
    body, headers = form(*[("", image) for image in images])
    answer = pool.submit(worker.ask, "POST", "/predict", body, headers)
    pool.shutdown(wait=False)
    until("the images are inside", lambda: in_flight(worker) == before + len(images))
    return answer


def in_flight(worker: WorkerProcess) -> int:
    count: int = worker.ask("GET", "/readyz").json["in_flight"]
    return count


# Starting


def refused(model_dir: Path, **settings: object) -> tuple[int, str]:
    """The exit status and the words of a worker that must not start."""
    done = subprocess.run(
        COMMAND, cwd=ROOT, env=environment(model_dir, 1, **settings), capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stderr


def test_without_the_offline_variables_it_refuses_to_start_and_names_them_and_every_other_fault(made: Path) -> None:
    own = {
        key: value
        for key, value in environment(made / "bright", 1, QUEUE="0", CORES="2").items()
        if "OFFLINE" not in key
    }
    done = subprocess.run(COMMAND, cwd=ROOT, env=own, capture_output=True, text=True, timeout=60)
    assert done.returncode == EX_CONFIG
    lines = done.stderr.splitlines()
    assert lines[:3] == [
        "worker: HF_HUB_OFFLINE: found nothing, needed 1: set what worker/offline.env lists",
        "TRANSFORMERS_OFFLINE: found nothing, needed 1: set what worker/offline.env lists",
        "HF_DATASETS_OFFLINE: found nothing, needed 1: set what worker/offline.env lists",
    ]
    assert lines[3].startswith("WANWU_CORES: found no such setting, needed one of WANWU_BIND, ")
    assert lines[4:] == ["WANWU_QUEUE: found '0', needed a whole number from 1 to 512 (images): correct it"]


def test_a_setting_that_is_not_there_is_named(made: Path) -> None:
    assert refused(made / "bright", SLOT=None) == (
        EX_CONFIG, "worker: WANWU_SLOT: found nothing, needed the name of the slot that it is pinned to: set it\n"
    )  # fmt: skip


def test_cpus_outside_the_affinity_are_refused(made: Path) -> None:
    allowed = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    assert refused(made / "bright", CPUS="4000") == (
        EX_CONFIG,
        f"worker: slot this-cpu0 is CPUs 4000, but this process may use only {allowed}: "
        "run `make up` again so that the plan follows the hardware\n",
    )


def test_every_thread_of_it_runs_on_the_slots_cpus(worker: WorkerProcess) -> None:
    worker.predict(RED)
    tasks = list(Path(f"/proc/{worker.inner_pid}/task").iterdir())
    masks = {re.search(r"Cpus_allowed_list:\s*(\S+)", (task / "status").read_text())[1] for task in tasks}  # type: ignore[index]
    assert len(tasks) > 3
    assert masks == {str(CPU)}


def test_images_are_decoded_in_memory_that_it_kept(worker: WorkerProcess) -> None:
    width, height, requests = 500, 375, 50
    photo = images.encoded(folders.image(folders.RED, (width, height)), "JPEG")

    def page_faults() -> int:
        return int(stat(Path(f"/proc/{worker.inner_pid}"))[7])  # minflt

    def classify() -> None:
        for _ in range(requests):
            assert worker.predict(photo).status == 200

    classify()
    before = page_faults()
    classify()
    pages_of_images = requests * width * height * 4 // mmap.PAGESIZE
    assert page_faults() - before < pages_of_images / 4


def test_its_settings_file_sets_mask_and_thread_counts_before_any_runtime_is_imported(made: Path) -> None:
    code = (
        "import json, os, runpy, sys; runpy.run_path('worker/gunicorn.conf.py');"
        "print(json.dumps([sorted(os.sched_getaffinity(0)), os.environ['OMP_NUM_THREADS'],"
        " sorted({'numpy', 'torch', 'openvino', 'PIL'} & set(sys.modules))]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(made, 1), capture_output=True, check=True
    )
    assert json.loads(done.stdout) == [[CPU], "1", []]


def test_it_is_starting_until_its_golden_image_was_answered(tmp_path: Path) -> None:
    folders.slow_folder(tmp_path / "slow", golden=(124, 124, 124))
    with running(tmp_path / "slow", tmp_path / "log", until="starting") as process:
        assert process.ask("GET", "/livez").status == 200
        assert process.ask("GET", "/v2/health/ready").status == 503
        reply = process.predict(RED)
        assert (reply.status, reply.header("Retry-After"), reply.error["code"]) == (503, "1", "not_ready")
        assert process.metric("wanwu_model_ready") == 0
        process.wait_until("ready")
        assert process.metric("wanwu_model_ready") == 1
        assert process.predict(RED).status == 200


# Broken model folders

CHANGED = "the model, its input settings or its engine changed"


def swap_a_byte(folder: Path) -> str:
    weights = folder / "model.bin"
    data = bytearray(weights.read_bytes())
    before = sha256(data).hexdigest()
    data[-1] ^= 1
    weights.write_bytes(data)
    return f"F/model.bin: sha256 is {sha256(data).hexdigest()}, model.toml says {before}; copy the file again"


def rewrite(folder: Path, old: str, new: str) -> None:
    text = (folder / "model.toml").read_text()
    assert text.count(old) == 1
    (folder / "model.toml").write_text(text.replace(old, new))


def expect_another_answer(folder: Path) -> str:
    rewrite(folder, 'index = 0\nlabel = "cat"', 'index = 1\nlabel = "dog"')
    return f"F/golden/one.png: answered 猫 cat (1.000), expected dog (1.000); {CHANGED}"


# One fault before the network is loaded, one after; all others are found by the same two, and tested in tests/unit.
@pytest.mark.parametrize("spoil", [swap_a_byte, expect_another_answer])
def test_a_spoiled_folder_makes_it_broken_with_the_reason(
    made: Path, tmp_path: Path, spoil: Callable[[Path], str]
) -> None:
    folder = tmp_path / "spoiled"
    shutil.copytree(made / "bright", folder)
    reason = shorten_paths(spoil(folder).replace("F", str(folder), 1))
    with running(folder, tmp_path / "log", until="broken") as process:
        reply = process.ask("GET", "/readyz")
        assert (reply.status, reply.json["state"], reply.json["reason"]) == (503, "broken", reason)
        assert str(tmp_path) not in reason
        refusal = process.predict(RED)
        assert (refusal.status, refusal.header("Retry-After"), refusal.error["code"]) == (503, "1", "not_ready")
        assert reason in refusal.error["message"]
        assert process.ask("GET", "/livez").json == {"status": "alive"}
        assert process.process.poll() is None
        assert process.end() == 0


def test_a_model_folder_that_comes_late_is_served(made: Path, tmp_path: Path) -> None:
    with running(tmp_path / "late", tmp_path / "log", until="broken") as process:
        assert "late: no such model folder" in process.ask("GET", "/readyz").json["reason"]
        shutil.copytree(made / "bright", tmp_path / "copy")
        (tmp_path / "copy").rename(tmp_path / "late")
        until("it is ready", lambda: process.ask("GET", "/readyz").status == 200)
        assert best(process.predict(RED)) == "cat"
        assert (tmp_path / "log").read_text().count('"broken: ') == 1


# What a worker on OpenVINO is made of


def test_on_openvino_no_library_of_torch_is_mapped(worker: WorkerProcess) -> None:
    assert best(worker.predict(RED)) == "cat"
    maps = Path(f"/proc/{worker.inner_pid}/maps").read_text()
    assert "libopenvino" in maps
    assert "libtorch" not in maps
    memory = re.search(r"VmRSS:\s*(\d+) kB", Path(f"/proc/{worker.inner_pid}/status").read_text())
    assert memory
    print(f"resident memory of a worker on a small OpenVINO model: {int(memory[1]) // 1024} MB")


def test_on_openvino_torch_is_not_imported(made: Path) -> None:
    code = (
        "import sys, threading; from worker.app import create_app; app = create_app();"
        "[thread.join() for thread in threading.enumerate() if thread.name == 'loader'];"
        "heavy = {'torch', 'torchvision', 'transformers', 'nncf'} & set(sys.modules);"
        "print(app.extensions['service'].health.state, sorted(heavy))"
    )
    env = environment(made / "bright", 1)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "ready []\n"


def test_on_torch_it_serves_and_drains_as_well(tmp_path: Path) -> None:
    with running(folders.torchvision_folder(tmp_path / "m"), tmp_path / "log") as process:
        assert process.predict(RED).status == 200
        state = process.state()
        assert state
        assert (state["engine"], state["precision"]) == ("torch", "f32")
        assert process.end() == 0
    assert "Warning" not in process.log.read_text()


def best(reply: Reply) -> str:
    label: str = reply.json["predictions"][0]["label_en"]
    return label


# Answers


def test_an_answer_has_the_contracts_form(worker: WorkerProcess) -> None:
    reply = worker.predict(RED, "?top_k=2&labels=zh&model=bright", {"X-Request-ID": "r-1"})
    assert (reply.status, reply.header("Content-Type")) == (200, "application/json")
    answer = reply.json
    assert list(answer) == ["model", "version", "worker", "request_id", "confident", "predictions", "timing_ms"]
    assert [answer[key] for key in ("model", "version", "worker", "request_id")] == ["bright", "1", "bright-0", "r-1"]
    assert list(answer["timing_ms"]) == ["queue", "decode", "inference", "total"]
    assert [list(row) for row in answer["predictions"]] == [["label", "label_en", "label_zh", "index", "score"]] * 2
    first = answer["predictions"][0]
    assert [first[key] for key in ("label", "label_en", "label_zh", "index")] == ["猫", "cat", "猫", 0]
    assert "猫" in reply.body.decode()


def test_clients_are_told_what_the_model_knows_and_get_images_to_try_it_on(tmp_path: Path) -> None:
    manifest = folders.fruit_folder(tmp_path / "fruit") / "model.toml"
    described = 'version = "1"\nlicence = "CC0-1.0"\ndescription = { en = "Fruit", zh = "水果" }'
    text = manifest.read_text().replace('version = "1"', described).replace("[output]", "[output]\nunsure_below = 0.9")
    manifest.write_text(text.replace("[[golden]]", "[[golden]]\nexample = true"))
    with running(tmp_path / "fruit", tmp_path / "log", MODEL="fruit") as process:
        info = process.ask("GET", "/models/fruit").json
        assert process.ask("GET", "/models").json == {"models": [info]}
        assert process.ask("GET", "/readyz").json["model_info"] == info
        (example,) = info.pop("examples")
        image = process.ask("GET", example["path"])
        unknown = process.ask("GET", "/models/fruit/examples/1")
        answer = process.predict(image.body).json
        unsure = process.predict(GREY).json
    assert info == {
        "name": "fruit", "version": "1", "description": {"en": "Fruit", "zh": "水果"}, "licence": "CC0-1.0",
        "languages": ["zh", "en", "ja"], "classes": 7, "zero_shot": False, "unsure_below": 0.9,
        "input": {"height": 32, "width": 32, "channels": 3, "resize": 36, "tiled": False},
        "engine": "openvino", "precision": "f32",
    }  # fmt: skip
    assert image.header("Content-Type") == "image/png"
    assert answer["predictions"][0]["label"] == example["label"]
    assert (answer["confident"], unsure["confident"]) == (True, False)
    assert (unknown.status, unknown.json["error"]["code"]) == (404, "unknown_example")


def test_the_three_ways_to_send_an_image_give_one_answer(worker: WorkerProcess) -> None:
    body, headers = form(("red.png", RED), top_k="2")
    parts = worker.ask("POST", "/predict", body, headers)
    raw = worker.predict(RED, "?top_k=2")
    text = {"inputs": base64.b64encode(RED).decode(), "parameters": {"top_k": 2}}
    coded = worker.ask("POST", "/predict", json.dumps(text).encode(), {"Content-Type": "application/json"})
    assert parts.json["predictions"] == raw.json["predictions"] == coded.json["predictions"]
    assert len(raw.json["predictions"]) == 2


@pytest.mark.parametrize("given", ["abc", "A-1.2_z", "x" * 64])
def test_a_request_id_is_kept(worker: WorkerProcess, given: str) -> None:
    reply = worker.predict(RED, headers={"X-Request-ID": given})
    assert reply.all("X-Request-ID") == [given] == [reply.json["request_id"]]


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'a"b', "a/b", "é"])
def test_a_request_id_that_could_spoil_a_log_is_replaced(worker: WorkerProcess, given: str) -> None:
    reply = worker.predict(RED, headers={"X-Request-ID": given})
    assert re.fullmatch("[0-9a-f]{32}", reply.json["request_id"])
    assert reply.all("X-Request-ID") == [reply.json["request_id"]]


def test_every_line_of_the_log_is_json_and_requests_are_found_by_their_id(worker: WorkerProcess) -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    worker.predict(RED, headers={"X-Request-ID": "find-me", "traceparent": parent})
    worker.ask("GET", "/models", headers={"X-Request-ID": "another", "traceparent": f"{parent} and more"})
    worker.predict(b"text", headers={"X-Request-ID": "find-me-too"})
    until("both are in the log", lambda: "find-me-too" in worker.log.read_text())
    lines = [json.loads(line) for line in worker.log.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    met = {line["request_id"]: line for line in lines if line["logger"] == "worker.access"}
    for request_id, status in {"find-me": 200, "find-me-too": 415}.items():
        found = met[request_id]
        assert [found[key] for key in ("worker", "method", "path", "status")] == [
            "bright-0",
            "POST",
            "/predict",
            status,
        ]
        assert found["seconds"] >= 0
    assert (met["find-me"]["traceparent"], "traceparent" in met["another"]) == (parent, False)
    assert not {"/livez", "/readyz", "/metrics"} & {line["path"] for line in met.values()}


COUNTED = {  # a sample of /metrics, and by how much two good images and one refusal move it
    'wanwu_requests_total{route="/predict",status="200"}': 1,
    'wanwu_requests_total{route="/predict",status="400"}': 1,
    'wanwu_request_duration_seconds_count{route="/predict"}': 2,
    "wanwu_queue_seconds_count": 2,
    "wanwu_decode_seconds_count": 2,
    "wanwu_inference_seconds_count": 2,
    "wanwu_batch_size_images_sum": 2,
    'wanwu_rejected_total{reason="bad_parameter"}': 1,
}


def test_every_metric_moves_with_the_requests(worker: WorkerProcess) -> None:
    before = {sample: worker.metric(sample) for sample in COUNTED}
    engine = worker.metric("wanwu_engine_seconds_total")
    body, headers = form(("a.png", RED), ("b.png", RED))
    assert worker.ask("POST", "/predict", body, headers).status == 200
    assert worker.predict(RED, "?top_k=0").status == 400
    assert {sample: worker.metric(sample) - before[sample] for sample in COUNTED} == COUNTED
    assert worker.metric("wanwu_engine_seconds_total") > engine
    assert (worker.metric("wanwu_in_flight_images"), worker.metric("wanwu_model_ready")) == (0, 1)
    assert (worker.metric("wanwu_queued_images"), worker.metric("wanwu_restarts_total")) == (0, 0)
    assert worker.metric('wanwu_golden_checks_total{result="passed"}') >= 1
    lines = worker.ask("GET", "/metrics").body.decode()
    assert re.search(
        r'^wanwu_model_info\{digest="[0-9a-f]{12}",engine="openvino",precision="f32",version="1"\} 1.0$', lines, re.M
    )
    assert worker.metric('wanwu_golden_score{image="one.png"}') > 0.5
    assert worker.ask("GET", "/metrics").header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"


# Overload


def test_a_full_queue_refuses_at_once_while_probes_are_answered(made: Path, tmp_path: Path) -> None:
    with running(made / "slow", tmp_path / "log", QUEUE=1, MAX_IMAGES=1) as process:
        first = later(process, FAINT)
        reply = process.predict(RED, headers={"X-Request-ID": "late"})
        assert not first.done()
        assert (reply.status, reply.header("Retry-After")) == (429, "1")
        assert (reply.error["code"], reply.error["request_id"]) == ("queue_full", "late")
        assert process.ask("GET", "/livez").status == 200
        state = process.state()
        assert state
        assert (state["state"], state["in_flight"]) == ("ready", 1)
        assert process.metric("wanwu_in_flight_images") == 1
        assert process.metric('wanwu_rejected_total{reason="queue_full"}') == 1
        assert not first.done()
        assert first.result().status == 200
        assert process.predict(RED).status == 200


def test_past_its_deadline_a_request_is_504_and_leaves_the_worker(made: Path, tmp_path: Path) -> None:
    with running(made / "slow", tmp_path / "log", DEADLINE_S=1) as process:
        with ThreadPoolExecutor(2) as pool:
            replies = list(pool.map(process.predict, [WHITE, WHITE]))
        for reply in replies:
            assert (reply.status, reply.error["code"]) == (504, "deadline")
        state = process.state()
        assert state
        assert (state["state"], state["in_flight"]) == ("ready", 0)


def test_an_inference_above_its_limit_ends_the_process_and_a_new_one_serves(made: Path, tmp_path: Path) -> None:
    with running(made / "slow", tmp_path / "log", INFERENCE_LIMIT_S=1) as process:
        stuck = process.inner_pid
        with pytest.raises(ConnectionError):
            process.predict(WHITE)
        until("a new process", lambda: children(process) not in ([], [stuck]))
        process.wait_until("ready")
        assert process.predict(RED).status == 200
        lines = [json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{")]
        assert [line["message"] for line in lines if line["level"] == "critical"] == [
            "broken: one inference has not returned within 1 s: ending this worker"
        ]
        assert any(str(stuck) in line["message"] and f"code {STUCK}" in line["message"] for line in lines)


def children(worker: WorkerProcess) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()]


# Ending


def test_while_it_drains_it_says_so_and_answers_and_then_ends(made: Path, tmp_path: Path) -> None:
    with running(made / "bright", tmp_path / "log", DRAIN_S=8) as process:
        process.process.terminate()
        process.wait_until("draining")
        assert process.ask("GET", "/readyz").status == 503
        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(process.predict, [RED] * 24))
        assert [reply.status for reply in replies] == [200] * 24
        draining: dict[str, Any] | None = process.state()
        assert draining
        assert draining["state"] == "draining"
        assert process.process.wait(TIMEOUT_S) == 0


def test_what_is_inside_when_it_is_told_to_end_once_or_twice_is_answered_first(made: Path, tmp_path: Path) -> None:
    with running(made / "slow", tmp_path / "log", DRAIN_S=0) as process:
        answers = [later(process, FAINT), later(process, RED, RED)]
        assert not any(answer.done() for answer in answers)
        process.process.terminate()
        process.wait_until("draining")
        assert process.end() == 0  # a second signal does not cut the drain short
        assert [answer.result(0).status for answer in answers] == [200, 200]


def test_a_worker_that_is_still_starting_ends_at_once(tmp_path: Path) -> None:
    folders.slow_folder(tmp_path / "slow", golden=(255, 255, 255))
    with running(tmp_path / "slow", tmp_path / "log", until="starting") as process:
        assert process.end() == 0
