"""What the gate counts and says of itself."""

from prometheus_client.parser import text_string_to_metric_families

from nginx.gate.exchange import parse_exchange
from nginx.gate.exposition import parse_worker
from nginx.gate.metrics import BOUNDS_S, COUNTER, METRICS, PREFIX, Histogram
from nginx.gate.observed import Observed
from tests.unit.nginx.peers import A, B
from tests.unit.nginx.test_exchange import TAG, framed

STATUS = {
    "workers": [
        {"model": "photos", "worker": "photos-0", "slot": "this-cpu0", "in": True, "state": "ready"},
        {"model": "photos", "worker": "photos-1", "slot": "this-cpu1", "in": False, "state": "broken"},
    ],
    "models": [{"name": "photos", "ready": True}],
}
VALUES = {"list_refused": 0.0, "certificate_end_timestamp_seconds": None}


def observed() -> Observed:
    found = Observed()
    found.follow({A: (A.address, "photos-0"), B: (B.address, "photos-1")})
    found.publish(STATUS, VALUES)
    return found


def values(found: Observed, metric: str) -> dict[tuple[str, ...], float]:
    """Return the samples of one of the gate's metrics, by their labels' values."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(found.text().decode())
        for sample in family.samples
        if sample.name == PREFIX + metric
    }


def count(found: Observed, *lines: str) -> None:
    for line in lines:
        exchange = parse_exchange(framed(line), TAG)
        assert exchange
        found.count_exchange(exchange)


def test_requests_count_by_model_worker_and_status_and_retries_by_the_worker_that_failed() -> None:
    found = observed()
    count(
        found,
        *[f"{A.address}|200|0.010|9|9|200|0.020|3 0 1 2"] * 2,
        f"{A.address}, {B.address}|502, 200|-, 0.010|0, 9|9|200|2.000, 0.010|5 0 1 4",
        "pool_photos|502|-|0||503|0.000|5 0 1 4",
        "bypass1_pool_photos|502|-|0||503|0.000|5 0 1 4",
        "-|-|-|-||401|-|5 0 1 4",
        "10.0.0.9:1|200|0.010|9|9|200|0.010|7 1 2 4",
    )
    assert values(found, "requests_total") == {
        ("photos", "photos-0", "200"): 2, ("photos", "photos-1", "200"): 1, ("photos", "", "503"): 2,
        ("", "", "401"): 1, ("", "", "200"): 1,
    }  # fmt: skip
    assert values(found, "retries_total") == {("photos", "photos-0"): 1, ("photos", "photos-1"): 0}
    buckets = values(found, "first_byte_seconds_bucket")
    assert [buckets["photos", bound] for bound in ("0.005", "0.01", "2.5", "+Inf")] == [0, 2, 3, 3]
    assert values(found, "first_byte_seconds_sum")["photos",] == 0.01 + 0.01 + 2.01
    assert values(found, "connections") == {("active",): 7, ("reading",): 1, ("writing",): 2, ("waiting",): 4}


def test_the_state_of_every_worker_and_model_is_told_and_what_is_not_there_is_left_out() -> None:
    found = observed()
    workers = [("photos", "photos-0", "this-cpu0"), ("photos", "photos-1", "this-cpu1")]
    assert values(found, "worker_in") == {workers[0]: 1, workers[1]: 0}
    assert values(found, "worker_state") == {(*workers[0], "ready"): 1, (*workers[1], "broken"): 1}
    assert values(found, "model_ready") == {("photos",): 1}
    assert values(found, "certificate_end_timestamp_seconds") == {}


def test_a_worker_that_is_gone_is_forgotten_with_what_it_said() -> None:
    found = observed()
    found.count("ejections_total", "photos", "photos-1")
    found.collect(A, parse_worker(b"# TYPE wanwu_a gauge\nwanwu_a 1\n", 'worker="photos-0"'))
    found.collect(B, parse_worker(b"# TYPE wanwu_a gauge\nwanwu_a 2\n", 'worker="photos-1"'))
    assert found.text().count(b"wanwu_a{") == 2
    other = observed()
    other.count("ejections_total", "photos", "photos-1")
    other.collect(B, parse_worker(b"# TYPE wanwu_a gauge\nwanwu_a 2\n", 'worker="photos-1"'))
    other.collect(A, None)
    other.follow({A: (A.address, "photos-0")})
    assert b"wanwu_a{" not in other.text()
    assert values(other, "ejections_total") == {("photos", "photos-0"): 0}


def test_a_text_serves_for_a_while_and_says_that_somebody_asks() -> None:
    found = observed()
    assert not found.is_asked()
    text = found.text()
    found.count("lists_refused_total")
    assert found.text() is text
    assert found.is_asked()


def test_a_histogram_counts_a_bound_with_what_is_below_it() -> None:
    histogram = Histogram()
    for value in (BOUNDS_S[0], BOUNDS_S[0] * 1.01, BOUNDS_S[-1] * 2):
        histogram.add(value)
    assert [histogram.counts[0], histogram.counts[1], histogram.counts[-1]] == [1, 1, 1]


def test_names_follow_the_rules_of_prometheus() -> None:
    for metric in METRICS.values():
        assert (metric.kind == COUNTER) == metric.name.endswith("_total")
        assert metric.help.endswith(".")
