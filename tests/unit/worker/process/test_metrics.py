"""The metrics: their names, types and units."""

from prometheus_client.parser import text_string_to_metric_families

from worker.process.metrics import create_metrics

EXPECTED = {
    "wanwu_build_info": "gauge",
    "wanwu_requests": "counter",
    "wanwu_request_duration_seconds": "histogram",
    "wanwu_queue_seconds": "histogram",
    "wanwu_decode_seconds": "histogram",
    "wanwu_inference_seconds": "histogram",
    "wanwu_batch_size_images": "histogram",
    "wanwu_in_flight_images": "gauge",
    "wanwu_rejected": "counter",
    "wanwu_model_ready": "gauge",
}


def test_every_metric_has_its_name_and_type() -> None:
    text = create_metrics(lambda: 0, lambda: 0).text().decode()
    families = {family.name: family.type for family in text_string_to_metric_families(text)}
    assert {name: kind for name, kind in families.items() if not name.endswith("_created")} == EXPECTED


def test_the_gauges_call_their_functions_at_every_scrape() -> None:
    values = {"in_flight": 3.0, "ready": 0.0}
    metrics = create_metrics(lambda: values["in_flight"], lambda: values["ready"])
    for values["in_flight"], values["ready"] in ((3.0, 0.0), (7.0, 1.0)):
        assert metrics.registry.get_sample_value("wanwu_in_flight_images") == values["in_flight"]
        assert metrics.registry.get_sample_value("wanwu_model_ready") == values["ready"]


def test_two_workers_in_one_process_do_not_share_metrics() -> None:
    one, other = (create_metrics(lambda: 0, lambda: 0) for _ in range(2))
    one.rejected.labels("queue_full").inc()
    assert one.registry.get_sample_value("wanwu_rejected_total", {"reason": "queue_full"}) == 1
    assert other.registry.get_sample_value("wanwu_rejected_total", {"reason": "queue_full"}) is None
