"""A real worker whose engine fails, or whose decoder hangs: it says so, and gunicorn starts a new process.

The failures are put in where the engine is loaded, by faulty_worker.py: a file names what each of its inferences does
from then on, or that a decoding does not end.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import folders, images
from tests.local.faulty_worker import ENDLESS_DECODING, write_settings
from tests.local.worker_harness import WorkerProcess, running
from tests.wait import until
from worker.app import BROKEN, STUCK

RED = images.encoded(folders.image(folders.RED), "PNG")
BLACK = images.encoded(folders.image((0, 0, 0)), "PNG")  # the image that always fails under "black"


@dataclass
class Failing:
    """A worker, the file that makes its engine fail, and the size of its log when the test began."""

    process: WorkerProcess
    fault: Path
    logged: int = 0

    def statuses(self, image: bytes, requests: int) -> list[int]:
        return [self.process.predict(image).status for _ in range(requests)]


@pytest.fixture(scope="module")
def fragile(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failing]:
    home = tmp_path_factory.mktemp("fragile")
    config = write_settings(home)
    with running(made / "bright", home / "log", config=str(config), INFERENCE_LIMIT_S=3) as process:
        yield Failing(process, home / "faults/bright-0")


@pytest.fixture
def failing(fragile: Failing) -> Failing:
    """Return the worker with an engine that works; one that an earlier test broke has been replaced."""
    fragile.fault.unlink(missing_ok=True)
    until("the worker is ready", lambda: (found := fragile.process.state()) and found["state"] == "ready")
    fragile.logged = fragile.process.log.stat().st_size
    return fragile


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (
            "raise",
            "3 batches in a row failed (RuntimeError: CUDA error: an illegal memory access was encountered), and then "
            "the golden images: RuntimeError: CUDA error: an illegal memory access was encountered",
        ),
        ("nan", "3 batches in a row failed (OutputError: found NaN in the outputs for 1 inputs, needed numbers"),
        ("shape", "3 batches in a row failed (OutputError: found outputs of shape [1, 1], needed [1, 3]"),
    ],
)
def test_an_engine_that_always_fails_takes_its_worker_out_and_a_new_process_serves(
    failing: Failing, fault: str, reason: str
) -> None:
    process, old = failing.process, failing.process.inner_pid
    failing.fault.write_text(fault)
    assert failing.statuses(RED, 3) == [500] * 3
    state = until("it says so", lambda: (found := process.state()) and found["state"] == "broken" and found)
    assert state
    assert state["reason"].startswith(reason)
    reply = process.predict(RED)
    assert (reply.status, reply.error["code"], reply.header("Retry-After")) == (503, "not_ready", "1")
    assert process.ask("GET", "/readyz").status == 503
    assert (process.ask("GET", "/livez").status, process.ask("GET", "/livez").json) == (503, {"status": "stuck"})
    assert process.ask("GET", "/v2/health/ready").status == 503
    assert process.metric("wanwu_model_ready") == 0
    failing.fault.unlink()
    serves_anew(process, old, state["reason"], logged=failing.logged)


def test_a_decoder_that_hangs_takes_its_worker_out_which_names_its_request_and_a_new_process_serves(
    failing: Failing,
) -> None:
    old = failing.process.inner_pid
    failing.fault.write_text(ENDLESS_DECODING)
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with pytest.raises(ConnectionError):
        failing.process.predict(RED, headers={"X-Request-ID": "the-one", "traceparent": parent})
    failing.fault.unlink()
    reason = "one decoding has not returned within 6 s"
    serves_anew(failing.process, old, reason, STUCK, failing.logged)
    lines = [json.loads(line) for line in failing.process.log.read_bytes()[failing.logged :].decode().splitlines()]
    (left,) = [line for line in lines if line["message"] == "no answer: the process ended"]
    assert {name: left[name] for name in ("request_id", "method", "path", "traceparent", "process")} == {
        "request_id": "the-one", "method": "POST", "path": "/predict", "traceparent": parent, "process": old,
    }  # fmt: skip


def serves_anew(process: WorkerProcess, old: int, reason: str, status: int = BROKEN, logged: int = 0) -> None:
    """Wait for another process than `old`, which ended with `status` and said why after `logged` bytes of its log."""
    until("the old process is gone", lambda: not Path(f"/proc/{old}").exists())
    until("the new process is ready", lambda: (found := process.state()) and found["state"] == "ready")
    assert process.inner_pid != old
    assert process.predict(RED).status == 200
    text = process.log.read_bytes()[logged:].decode()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    critical = [line["message"] for line in lines if line["level"] == "critical"]
    assert critical == [f"broken: {reason}: ending this worker"]
    assert any(str(old) in line["message"] and f"code {status}" in line["message"] for line in lines)


def test_a_worker_whose_answers_turn_wrong_leaves_without_a_failed_request(made: Path, tmp_path: Path) -> None:
    fault, config = tmp_path / "faults/bright-0", write_settings(tmp_path)
    with running(made / "bright", tmp_path / "log", config=str(config), GOLDEN_CHECK_S=1) as process:
        old = process.inner_pid
        fault.write_text("wrong")
        state = until("it says so", lambda: (found := process.state()) and found["state"] == "broken" and found)
        assert state
        assert state["reason"].startswith("golden/")
        assert process.metric('wanwu_golden_checks_total{result="failed"}') == 1
        assert str(made) not in process.predict(RED).error["message"]
        fault.unlink()
        until("the old process is gone", lambda: not Path(f"/proc/{old}").exists())
        until("the new process is ready", lambda: (found := process.state()) and found["state"] == "ready")
        assert process.predict(RED).status == 200
        assert process.metric("wanwu_restarts_total") == 1


def test_the_gate_gets_the_golden_image_and_the_worker_classifies_it(failing: Failing) -> None:
    golden = failing.process.ask("GET", "/golden")
    assert (golden.status, golden.header("Content-Type")) == (200, "image/png")
    assert failing.process.predict(golden.body).status == 200


def test_a_thread_that_ends_takes_its_worker_out(failing: Failing) -> None:
    old = failing.process.inner_pid
    failing.fault.write_text("end")
    assert failing.statuses(RED, 2) == [500, 503]
    failing.fault.unlink()
    reason = "the engine's thread failed: SystemExit: the thread ends"
    serves_anew(failing.process, old, reason, logged=failing.logged)


def test_what_waits_for_a_broken_engine_is_answered_at_once_so_that_another_worker_is_tried(failing: Failing) -> None:
    failing.fault.write_text("raise")
    with ThreadPoolExecutor(32) as pool:
        replies = list(pool.map(failing.process.predict, [RED] * 200))
    statuses = [reply.status for reply in replies]
    assert set(statuses) == {500, 503}
    # Three batches, each of at most the 32 images that were sent at once.
    assert statuses.count(500) <= 3 * 32
    assert {reply.error["code"] for reply in replies if reply.status == 503} == {"not_ready"}
    failing.fault.unlink()


def test_images_that_always_fail_never_take_a_worker_out(failing: Failing) -> None:
    process, pid = failing.process, failing.process.inner_pid
    failing.fault.write_text("black")
    assert failing.statuses(BLACK, 12) == [500] * 12
    alternated = [process.predict(image).status for _ in range(12) for image in (BLACK, RED)]
    assert alternated == [500, 200] * 12
    with ThreadPoolExecutor(8) as pool:
        together = [reply.status for reply in pool.map(process.predict, [BLACK, RED, BLACK] * 12)]
    assert together == [500, 200, 500] * 12
    state = process.state()
    assert state
    assert (state["state"], state["reason"]) == ("ready", None)
    assert process.inner_pid == pid
    assert process.ask("GET", "/livez").status == 200
