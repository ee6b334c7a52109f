"""The workers' metrics as the gate hands them on: nothing that a worker answers spoils the text of all."""

from collections.abc import Iterable

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from nginx.gate.exposition import MAX_FAMILIES, MAX_SAMPLES, labels, merge, parse_worker, render
from worker.process.metrics import create_metrics

IDENTITY = labels({"worker": "photos-0", "slot": "this-cpu0", "model": "photos"})
GOOD = '# HELP wanwu_a_total A.\n# TYPE wanwu_a_total counter\nwanwu_a_total{x="1"} 2.5\n'


def samples(body: str) -> list[str]:
    """Return the samples of all families that a worker's answer yields, without the identity."""
    found = parse_worker(body.encode(), IDENTITY)
    return "".join(family.samples for family in found.values()).replace(IDENTITY, "I").splitlines()


def test_a_sample_gets_the_worker_s_labels_before_its_own() -> None:
    assert samples(GOOD) == ['wanwu_a_total{I,x="1"} 2.5']
    assert samples("# TYPE wanwu_b gauge\nwanwu_b -1e+06\nwanwu_b NaN\n") == ["wanwu_b{I} NaN"]


@pytest.mark.parametrize(
    "line",
    [
        "wanwu_a_total", "wanwu_a_total x", 'wanwu_a_total{x="1} 1', 'wanwu_a_total{x="\\"} 1', "wanwu_a_total 1 2 3",
        'wanwu_a_total{x="1",x="2"} 1', 'wanwu_a_total{worker="other"} 1', 'wanwu_a_total{model="m",x="1"} 1',
        "wanwu_other 1", "go_gc 1", "wanwu_a_total_sum 1", "wanwu_a_total 1_0", "wanwu_a_total nan", "\udcff",
        "# TYPE wanwu_gateway_a gauge\nwanwu_gateway_a 1", "# TYPE wanwu_b summary\nwanwu_b 1",
    ],
)  # fmt: skip
def test_a_line_that_is_not_right_is_left_out_alone(line: str) -> None:
    body = GOOD.encode() + line.encode(errors="surrogateescape") + b"\n" + GOOD.replace("_a_", "_c_").encode()
    found = render(parse_worker(body, IDENTITY))
    assert [name for name in found.splitlines() if not name.startswith("#")] == [
        f'wanwu_{name}_total{{{IDENTITY},x="1"}} 2.5' for name in "ac"
    ]


def test_an_endless_answer_yields_so_much_and_no_more() -> None:
    many = "".join(f'wanwu_a_total{{x="{number}"}} 1\n' for number in range(2 * MAX_SAMPLES))
    assert len(samples("# TYPE wanwu_a_total counter\n" + many)) == MAX_SAMPLES
    kinds = "".join(f"# TYPE wanwu_m{number} gauge\nwanwu_m{number} 1\n" for number in range(2 * MAX_FAMILIES))
    assert len(samples(kinds)) == MAX_FAMILIES


def test_the_same_metric_of_several_workers_is_one_family_and_another_type_is_left_out() -> None:
    workers = [
        parse_worker(body.encode(), labels({"worker": name}))
        for name, body in (("a", GOOD), ("b", GOOD), ("c", GOOD.replace("counter", "gauge")))
    ]
    (family,) = text_string_to_metric_families(render(merge(workers)))
    assert (family.name, family.type) == ("wanwu_a", "counter")
    assert [sample.labels["worker"] for sample in family.samples] == ["a", "b"]


def test_a_name_may_hold_anything() -> None:
    text = render(parse_worker(GOOD.encode(), labels({"worker": 'a"b\\c\nd', "slot": "狗" * 200})))
    (family,) = text_string_to_metric_families(text)
    assert family.samples[0].labels == {"worker": 'a"b\\c\nd', "slot": "狗" * 100, "x": "1"}


def rows(families: Iterable[Metric], **more: str) -> set[tuple[str, frozenset[tuple[str, str]], float]]:
    """Return every sample, with `more` labels."""
    return {
        (sample.name, frozenset({**sample.labels, **more}.items()), sample.value)
        for family in families
        for sample in family.samples
    }


def test_everything_that_a_worker_exports_is_handed_on() -> None:
    metrics = create_metrics(lambda: 0, lambda: 0)
    metrics.requests.labels("/v1/models/<name>:predict", 200).inc()
    metrics.duration.labels("/predict").observe(0.1)
    metrics.rejected.labels("queue_full").inc()
    exported = metrics.text()
    handed_on = list(text_string_to_metric_families(render(parse_worker(exported, IDENTITY))))
    families = list(text_string_to_metric_families(exported.decode()))
    assert {family.name: (family.type, family.documentation) for family in handed_on} == {
        family.name: (family.type, family.documentation) for family in families if family.samples
    }
    assert rows(handed_on) == rows(families, worker="photos-0", slot="this-cpu0", model="photos")
