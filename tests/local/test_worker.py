"""A worker as a process: how it starts, refuses, hangs, drains and ends."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests import folders
from tests.local.gateway_harness import ROOT
from tests.local.worker_harness import COMMAND, CPU, FAINT, RED, WHITE, WorkerProcess, best, environment, later, running
from tests.wait import TIMEOUT_S, until
from worker.process.health import shorten_paths

EX_CONFIG, STUCK = 78, 70  # sysexits.h EX_CONFIG; worker.app.STUCK


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
