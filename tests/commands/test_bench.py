"""`make bench` as one run: targets of every kind started, loaded and stopped, and the results written."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scripts.cluster.config import ROOT
from tests.service import bare_environment

# One target of each kind, and what each is served with: the others differ from these in a model or an encoding alone.
TARGETS = ("client", "in-process", "worker", "service", "baseline")


@dataclass(frozen=True)
class Done:
    """What one run printed and wrote."""

    printed: str
    out: Path
    results: dict[str, Any]


def make(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=bare_environment())


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    out = tmp_path_factory.mktemp("bench")
    run = make("bench", "QUICK=1", f"OUT={out}", f"TARGETS={','.join(TARGETS)}")
    assert run.returncode == 0, run.stdout + run.stderr
    return Done(run.stdout, out, json.loads((out / "results.json").read_text()))


def test_every_target_was_started_and_answered_every_request(done: Done) -> None:
    assert done.results["faults"] == {}
    assert {row["target"] for row in done.results["rows"]} == set(TARGETS)
    failed = [(row["target"], row["load"], row["errors"]) for row in done.results["rows"] if row["errors"]]
    assert failed == []


def test_the_service_was_loaded_in_closed_and_open_loops_with_and_without_its_gateway(done: Done) -> None:
    loads = [row["load"] for row in done.results["rows"] if row["target"] == "service"]
    assert loads == [
        "closed 1", "closed 4", "closed 16", "closed 64", "closed 16 without Nginx", "open 50%", "open 80%", "open 95%",
    ]  # fmt: skip


def test_the_raw_samples_are_what_the_medians_are_of(done: Done) -> None:
    (sample,) = (one for one in done.results["samples"] if one["target"] == "client")
    (row,) = (one for one in done.results["rows"] if one["target"] == "client")
    assert len(sample["latencies_ms"]) > 100
    assert row["rate"] == sample["rate"]
    served = [one for one in done.results["samples"] if one["target"] not in ("client", "in-process")]
    assert all(one["cpu_ms"] > 0 and one["memory_mb"] > 10 and one["startup_s"] > 0 for one in served)


def test_the_report_is_printed_and_written_with_a_verdict_on_every_goal(done: Done) -> None:
    report = (done.out / "report.md").read_text()
    assert report in done.printed
    assert "peers are left out: `make bench-peers` installs MOSEC, LitServe and BentoML" in report
    assert "`make up` of cluster.toml" in report
    verdicts = report.partition("## Goals")[2]
    assert all(goal["name"] in verdicts for goal in done.results["goals"])
    agreement = next(goal for goal in done.results["goals"] if goal["name"].startswith("top-1 agreement"))
    assert agreement["measured"] == 1  # nothing is prepared: torch in f32 serves


def test_the_plot_is_a_png(done: Done) -> None:
    with Image.open(done.out / "plot.png") as image:
        assert image.format == "PNG"


def test_nothing_that_was_started_is_left_running(done: Done) -> None:
    assert [pid for pid, text in environments() if str(done.out).encode() in text] == []


def environments() -> Iterator[tuple[int, bytes]]:
    """Every process with its environment, as far as it may be read."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            yield int(path.parent.name), path.read_bytes()
        except OSError:
            continue


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("PHOTOS=/no/photos", "PHOTOS: /no/photos: found no such folder, needed a folder of images: correct the path"),
        (
            "TARGETS=worker,docker,nginx",
            "TARGETS: found docker, nginx, needed some of "
            "client,in-process,worker,multipart,service,baseline,f32,small,small-baseline",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(tmp_path: Path, argument: str, said: str) -> None:
    run = make("bench", "QUICK=1", f"OUT={tmp_path}", argument)
    assert run.returncode == 2
    assert run.stderr.splitlines()[0] == f"!! {said}"
    assert os.listdir(tmp_path) == []
