"""`make bench` as one run: targets of every kind started, loaded and stopped, and the results written."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.bench.fixtures import Fixtures
from scripts.bench.runner import Runner
from scripts.bench.targets import IN_PROCESS, PHOTOS, Load, Target
from scripts.cluster.config import ROOT
from tests.service import bare_environment

# One target of each kind that needs neither a peer nor `make model-add`, which takes as long as all of these.
TARGETS = ("service-photos", "baseline-resnet18", "worker-photos")
CPUS = frozenset([max(os.sched_getaffinity(0))])  # one is enough for one of everything


@dataclass(frozen=True)
class Done:
    """What one run printed and wrote."""

    printed: str
    out: Path
    results: dict[str, Any]


def make(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a make target on one core."""
    options: dict[str, Any] = {"cwd": ROOT, "env": bare_environment(), "capture_output": True, "text": True}
    options |= {"preexec_fn": lambda: os.sched_setaffinity(0, CPUS)}
    return subprocess.run(["make", "--no-print-directory", *arguments], **options)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    out = tmp_path_factory.mktemp("bench")
    run = make("bench", "QUICK=1", f"OUT={out}", f"TARGETS={','.join(TARGETS)}")
    assert run.returncode == 0, run.stdout + run.stderr
    return Done(run.stdout, out, json.loads((out / "results.json").read_text()))


def test_every_target_was_started_and_answered_every_request_right(done: Done) -> None:
    assert done.results["faults"] == {}
    loads = {
        name: [(one["load"]["size"], one["load"]["open"]) for one in done.results["samples"] if one["target"] == name]
        for name in TARGETS
    }
    assert loads == {name: [("0.2", False), ("0.2", True)] for name in TARGETS}
    # On a busy machine a probe may be late, and the reload of Nginx that follows closes kept connections.
    other = [one["errors"] for one in done.results["samples"] if one["errors"].keys() - {"connection"}]
    assert other == []
    assert all(one["rate"] > 0 for one in done.results["samples"])


def test_the_samples_hold_what_the_processes_used(done: Done) -> None:
    samples = done.results["samples"]
    assert all(one["cpu_ms"] > 0 and one["loaded"]["peak"] > 10 and one["at_rest"]["rss"] > 10 for one in samples)


def test_decoding_and_the_engine_are_measured_in_process_too(done: Done) -> None:
    images = {"0.2": done.out / "material-quick/images/0.2"}
    fixtures = Fixtures({PHOTOS: ROOT / "worker/photos"}, {}, images, CPUS, [CPUS])
    target = Target("in-process", "in process: photos", IN_PROCESS, PHOTOS, [Load()])
    (sample,), faults = Runner(fixtures, {}, done.out, 0).run([target], 1)
    assert faults == {}
    assert min(sample.rate, sample.cpu_ms, sample.engine_ms, sample.jpeg_ms) > 0


def test_the_report_is_printed_and_written_with_a_verdict_on_every_goal(done: Done) -> None:
    report = (done.out / "report.md").read_text()
    assert report in done.printed
    assert report.startswith("# Benchmark results\n\n- processor: ")
    assert "peers are left out: `make bench-peers` installs" in report
    verdicts = report.partition("## Goals")[2]
    assert all(goal["name"] in verdicts for goal in done.results["goals"])
    measured = {goal["name"] for goal in done.results["goals"] if goal["measured"] is not None}
    assert "photos behind Nginx, 0.2 MP: times the baseline's resnet18" in measured


def test_nothing_that_was_started_is_left_running(done: Done) -> None:
    assert [pid for pid, text in environments() if str(done.out).encode() in text] == []


def environments() -> Iterator[tuple[int, bytes]]:
    """Every process with its environment, as far as it may be read."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            yield int(path.parent.name), path.read_bytes()
        except OSError:
            continue


def test_what_cannot_be_measured_is_refused_before_anything_is(tmp_path: Path) -> None:
    run = make("bench", "QUICK=1", f"OUT={tmp_path}", "PHOTOS=/no/photos")
    assert run.returncode == 2
    assert run.stderr.splitlines()[0].startswith("!! PHOTOS: /no/photos: found no images, needed ")
    assert os.listdir(tmp_path) == []
