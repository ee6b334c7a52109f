"""From samples to the report: pure functions of data, and the plot that is drawn of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.bench.figures import Figure, Model, figures
from scripts.bench.report import Run, markdown
from scripts.bench.summary import Sample, percentile, rows
from scripts.bench.targets import own, peers
from scripts.cluster.config import ROOT

MODEL = Model("openvino", "int8", 0.985, 0.01, 200, 1.234)


def sample(subject: str, rate: float, load: str = "closed 16", number: int = 0, p99: float = 30.0) -> Sample:
    return Sample(subject, load, number, rate, 10.0, p99, {}, 3.0, 0.05, 200.0, 1.5, 0.01)


def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed() -> None:
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
    assert (one.subject, one.rate, one.p99_ms, one.lowest, one.highest, one.errors) == ("a", 20, 20, 10, 30, 4)
    assert (other.subject, other.rate, other.errors) == ("b", 5, 0)


def test_rows_keep_the_order_of_the_first_samples_though_rounds_go_back_and_forth() -> None:
    found = rows([sample("a", 1), sample("b", 1), sample("b", 2, number=1), sample("a", 2, number=1)])
    assert [row.subject for row in found] == ["a", "b"]


def seen(**rates: float) -> dict[str, Figure]:
    found = rows(sample(subject.replace("_", "-"), rate) for subject, rate in rates.items())
    return {figure.name: figure for figure in figures(found, 2, ["mosec-documented", "litserve-documented"], MODEL)}


def test_figures_are_ratios_of_what_one_run_saw() -> None:
    found = seen(
        service=360, article=60, worker=190, inside=200, f32=90, small=500, small_article=250,
        mosec_engine=190, mosec_documented=40, litserve_documented=50,
    )  # fmt: skip
    told = {name: (round(figure.seen or 0, 3), figure.verdict) for name, figure in found.items()}
    assert told == {
        "behind Nginx, all workers: times the articles' way": (6, "reached"),
        "behind Nginx: times the best peer as documented (litserve)": (7.2, "reached"),
        "one worker: times MOSEC with the same engine, same core": (1, "reached"),
        "one worker: its p99, times MOSEC's": (1, "reached"),
        "one worker over HTTP: times in process": (0.95, "reached"),
        "behind Nginx: times 2 workers alone": (0.947, "reached"),
        "f32 only: times the articles' way": (1.5, "NOT reached"),
        "MobileNetV3-small: times the articles' way": (2, "NOT reached"),
        "top-1 agreement with torch f32": (0.985, "reached"),  # int8: 98% are enough
        "a worker's start until ready, s": (1.234, "reached"),
        "a worker's memory, MB": (200, "reached"),
    }


def test_a_figure_without_its_measurement_is_said_to_be_not_measured() -> None:
    found = seen(service=100, worker=60)
    assert found["behind Nginx, all workers: times the articles' way"].verdict == "not measured"
    assert found["behind Nginx: times the best peer as documented"].verdict == "not measured"
    assert found["behind Nginx: times 2 workers alone"].verdict == "NOT reached"


def test_99_percent_must_agree_unless_the_network_is_quantised() -> None:
    unquantised = figures([], 2, [], replace(MODEL, precision="bf16"))
    (figure,) = (one for one in unquantised if one.name.startswith("top-1"))
    assert (figure.wanted, figure.verdict) == (0.99, "NOT reached")


def test_a_server_that_gave_no_answer_counts_as_not_measured() -> None:
    assert seen(service=0, article=60)["behind Nginx, all workers: times the articles' way"].verdict == "not measured"


def a_run() -> Run:
    samples = [
        sample("inside", 200.125, "batches of 1"), sample("service", 350, "closed 16"),
        replace(sample("service", 300, "open 80%"), offered=301.4, errors={"503": 2}),
    ]  # fmt: skip
    found = rows(samples)
    shown = figures(found, 2, [], MODEL)[:1]
    return Run(["a machine"], own(2, 1) + peers(2), found, {"mosec-engine": "it ended\nwith status 1"}, shown, ["so"])


def test_the_report_says_all_and_reads_as_plain_text() -> None:
    assert markdown(a_run()) == (Path(__file__).with_name("bench_report.md")).read_text()


@pytest.mark.parametrize("subject", own(2, 1) + peers(2), ids=lambda subject: subject.name)
def test_every_program_that_a_subject_names_is_there(subject) -> None:  # type: ignore[no-untyped-def]
    modules = [str(part).partition(":")[0] for part in subject.command if str(part).startswith("scripts.bench.")]
    assert all((ROOT / f"{module.replace('.', '/')}.py").is_file() for module in modules)
    assert bool(modules) == bool(subject.command)
