"""The metrics: their names, types and units."""

import time
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from worker.contract.toml_reader import ModelError
from worker.process.metrics import create_metrics

RESULTS = ("passed", "failed")

EXPECTED = {
    "wanwu_build_info": "gauge",
    "wanwu_requests": "counter",
    "wanwu_request_duration_seconds": "histogram",
    "wanwu_queue_seconds": "histogram",
    "wanwu_decode_seconds": "histogram",
    "wanwu_inference_seconds": "histogram",
    "wanwu_engine_seconds": "counter",
    "wanwu_batch_size_images": "histogram",
    "wanwu_in_flight_images": "gauge",
    "wanwu_rejected": "counter",
    "wanwu_model_ready": "gauge",
    "wanwu_model_info": "gauge",
    "wanwu_golden_score": "gauge",
    "wanwu_golden_checks": "counter",
    "wanwu_restarts": "counter",
    "wanwu_queued_images": "gauge",
    "wanwu_resident_memory_bytes": "gauge",
    "wanwu_open_files": "gauge",
    "wanwu_start_time_seconds": "gauge",
}


def test_every_metric_has_its_name_and_type() -> None:
    text = create_metrics(lambda: 0, lambda: 0).text().decode()
    families = {family.name: family.type for family in text_string_to_metric_families(text)}
    assert families == EXPECTED


def test_the_gauges_call_their_functions_at_every_scrape() -> None:
    values = {"in_flight": 3.0, "ready": 0.0}
    metrics = create_metrics(lambda: values["in_flight"], lambda: values["ready"])
    for values["in_flight"], values["ready"] in ((3.0, 0.0), (7.0, 1.0)):
        assert metrics.registry.get_sample_value("wanwu_in_flight_images") == values["in_flight"]
        assert metrics.registry.get_sample_value("wanwu_model_ready") == values["ready"]


def test_the_engine_s_seconds_count_also_when_it_fails() -> None:
    metrics, later = create_metrics(lambda: 0, lambda: 0), []

    def infer(batch: list[int]) -> int:
        time.sleep(0.001)
        return 1 // len(batch)

    timed = metrics.timed(infer, lambda *call: later.append(call))
    assert timed([1]) == 1
    with pytest.raises(ZeroDivisionError):
        timed([])
    for function, seconds in later:
        function(seconds)
    assert len(later) == 2
    assert (metrics.registry.get_sample_value("wanwu_engine_seconds_total") or 0) >= 0.002


def test_checks_of_the_golden_images_count_as_they_end() -> None:
    metrics = create_metrics(lambda: 0, lambda: 0)

    def check(fault: Exception | None) -> None:
        metrics.observe_golden("cat.jpg", 0.7)
        if fault:
            raise fault

    metrics.counted(partial(check, None), TimeoutError)()
    for fault in (ModelError("another answer"), RuntimeError("CUDA error"), TimeoutError("no verdict")):
        with pytest.raises(type(fault)):
            metrics.counted(partial(check, fault), TimeoutError)()
    results = {one: metrics.registry.get_sample_value("wanwu_golden_checks_total", {"result": one}) for one in RESULTS}
    assert results == {"passed": 1, "failed": 2}
    assert metrics.registry.get_sample_value("wanwu_golden_score", {"image": "cat.jpg"}) == 0.7


def test_memory_and_open_files_are_those_of_this_process(tmp_path: Path) -> None:
    metrics = create_metrics(lambda: 0, lambda: 0)
    before = metrics.registry.get_sample_value("wanwu_open_files") or 0
    with (tmp_path / "a").open("w"), (tmp_path / "b").open("w"):
        assert metrics.registry.get_sample_value("wanwu_open_files") == before + 2
    assert (metrics.registry.get_sample_value("wanwu_resident_memory_bytes") or 0) > 10**6


def test_two_workers_in_one_process_do_not_share_metrics() -> None:
    one, other = (create_metrics(lambda: 0, lambda: 0) for _ in range(2))
    one.rejected.labels("queue_full").inc()
    assert one.registry.get_sample_value("wanwu_rejected_total", {"reason": "queue_full"}) == 1
    assert other.registry.get_sample_value("wanwu_rejected_total", {"reason": "queue_full"}) is None
