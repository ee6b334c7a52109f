"""From samples to the report and the plot."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.bench.goals import Goal, ServedModel, goals
from scripts.bench.report import Run, markdown
from scripts.bench.summary import Sample, percentile, rows
from scripts.bench.targets import Target, own_targets, peer_targets
from scripts.cluster.config import ROOT

MODEL = ServedModel("openvino", "int8", 0.985, 0.01, 200, 1.234)


def sample(target: str, rate: float, load: str = "closed 16", number: int = 0, p99: float = 30.0) -> Sample:
    return Sample(target, load, number, rate, 10.0, p99, {}, 3.0, 0.05, 200.0, 1.5, 0.01)


def test_percentiles_are_nearest_rank() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile([7.0], 0.99) == 7
    assert percentile([1.0, 2.0], 0.5) == 1
    assert percentile([], 0.5) == 0


def test_rows_hold_medians_over_the_rounds_and_the_sum_of_errors() -> None:
    samples = [sample("a", rate, number=number, p99=rate) for number, rate in enumerate((30.0, 10.0, 20.0))]
    samples[1] = replace(samples[1], errors={"503": 2, "429": 1})
    samples[2] = replace(samples[2], errors={"503": 1})
    one, other = rows([*samples, sample("b", 5.0)])
    assert (one.target, one.rate, one.p99_ms, one.lowest, one.highest, one.errors) == ("a", 20, 20, 10, 30, 4)
    assert (other.target, other.rate, other.errors) == ("b", 5, 0)


def test_rows_keep_the_order_of_the_first_samples() -> None:
    found = rows([sample("a", 1), sample("b", 1), sample("b", 2, number=1), sample("a", 2, number=1)])
    assert [row.target for row in found] == ["a", "b"]


def goals_for(**rates: float) -> dict[str, Goal]:
    """Return the goals by name for the rate of each target."""
    measured = rows(sample(target.replace("_", "-"), rate) for target, rate in rates.items())
    return {goal.name: goal for goal in goals(measured, 2, ["mosec-documented", "litserve-documented"], MODEL)}


def test_goals_are_compared_with_ratios_within_one_run() -> None:
    found = goals_for(
        service=360,
        baseline=60,
        worker=190,
        in_process=200,
        f32=90,
        small=500,
        small_baseline=250,
        mosec_engine=190,
        mosec_documented=40,
        litserve_documented=50,
    )
    assert {name: (round(goal.measured or 0, 3), goal.verdict) for name, goal in found.items()} == {
        "behind Nginx, all workers: times the baseline": (6, "reached"),
        "behind Nginx: times the best peer as documented (litserve)": (7.2, "reached"),
        "one worker: times MOSEC with the same engine, same core": (1, "reached"),
        "one worker: p99, times MOSEC's": (1, "reached"),
        "one worker over HTTP: times in process": (0.95, "reached"),
        "behind Nginx: times 2 workers alone": (0.947, "reached"),
        "f32 only: times the baseline": (1.5, "NOT reached"),
        "MobileNetV3-small: times its baseline": (2, "NOT reached"),
        "top-1 agreement with torch f32": (0.985, "reached"),  # int8: 98% are enough
        "a worker's start until ready, s": (1.234, "reached"),
        "a worker's memory, MB": (200, "reached"),
    }


def test_a_goal_without_its_measurement_is_not_measured() -> None:
    found = goals_for(service=100, worker=60)
    assert found["behind Nginx, all workers: times the baseline"].verdict == "not measured"
    assert found["behind Nginx: times the best peer as documented"].verdict == "not measured"
    assert found["behind Nginx: times 2 workers alone"].verdict == "NOT reached"


def test_99_percent_must_agree_unless_the_network_is_quantised() -> None:
    unquantised = goals([], 2, [], replace(MODEL, precision="bf16"))
    (agreement,) = (goal for goal in unquantised if goal.name.startswith("top-1"))
    assert (agreement.needed, agreement.verdict) == (0.99, "NOT reached")


def test_a_server_that_answered_nothing_counts_as_not_measured() -> None:
    found = goals_for(service=0, baseline=60)
    assert found["behind Nginx, all workers: times the baseline"].verdict == "not measured"


def example_run() -> Run:
    samples = [
        sample("in-process", 200.125, "batches of 1"),
        sample("service", 350, "closed 16"),
        replace(sample("service", 300, "open 80%"), offered=301.4, errors={"503": 2}),
    ]
    measured = rows(samples)
    first_goal = goals(measured, 2, [], MODEL)[:1]
    faults = {"mosec-engine": "it ended\nwith status 1"}
    return Run(["a machine"], own_targets(2, 1) + peer_targets(2), measured, faults, first_goal, ["a note"])


def test_the_report_is_this_exact_text() -> None:
    assert markdown(example_run()) == (Path(__file__).with_name("bench_report.md")).read_text()


@pytest.mark.parametrize("target", own_targets(2, 1) + peer_targets(2), ids=lambda target: target.name)
def test_the_module_of_every_targets_command_exists(target: Target) -> None:
    modules = [str(part).partition(":")[0] for part in target.command if str(part).startswith("scripts.bench.")]
    assert all((ROOT / f"{module.replace('.', '/')}.py").is_file() for module in modules)
    assert bool(modules) == bool(target.command)


def test_every_module_that_the_benchmark_starts_exists() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "scripts/bench").rglob("*.py"))
    modules = {*re.findall(r"scripts\.bench\.\w+(?:\.\w+)*(?=[\"`: ])", sources)}
    assert "scripts.bench.in_process" in modules
    paths = [ROOT / module.replace(".", "/") for module in modules]
    assert [path for path in paths if not path.is_dir() and not path.with_suffix(".py").is_file()] == []
