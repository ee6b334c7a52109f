"""A worker that serves: where it runs, what it is made of, what it answers, logs and counts."""

import base64
import json
import mmap
import re
from pathlib import Path

import pytest

from tests import folders, images
from tests.local.worker_harness import CPU, GREY, RED, WorkerProcess, best, form, running
from tests.processes import stat
from tests.wait import until


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


def test_on_openvino_no_library_of_torch_is_mapped(worker: WorkerProcess) -> None:
    assert best(worker.predict(RED)) == "cat"
    maps = Path(f"/proc/{worker.inner_pid}/maps").read_text()
    assert "libopenvino" in maps
    assert "libtorch" not in maps
    memory = re.search(r"VmRSS:\s*(\d+) kB", Path(f"/proc/{worker.inner_pid}/status").read_text())
    assert memory
    print(f"resident memory of a worker on a small OpenVINO model: {int(memory[1]) // 1024} MB")


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
