"""How the gate adds up what the workers have answered over the last minutes."""

import json
from typing import Any

import pytest

from nginx.gate.rates import SLOT_S, SLOTS, Rate, Totals, parse_totals
from nginx.gate.rules import Probe, next_state, parse_readyz
from tests.unit.nginx.peers import AT, IN, A
from worker.process.statistics import Statistics

NOTHING = {"images_per_s": 0, "p50_ms": None, "p99_ms": None, "step_s": SLOT_S, "images": [0] * SLOTS}


def test_a_workers_statistics_are_what_the_gate_reads() -> None:
    statistics = Statistics()
    for seconds in (0.0001, 0.001, 0.00105, 0.1, 20.0):
        statistics.record(True, seconds, 0.0)
    statistics.record(False, 5.0, 0.0)
    totals = parse_totals({"images": 7, "durations_ms": statistics.durations_ms()})
    assert totals == Totals(7, {"1": 2, "1.091": 1, "107.6": 1, "2.125e+04": 1})


def test_a_bucket_holds_what_takes_at_most_its_bound_and_9_percent_less() -> None:
    for tenths in range(10, 200_000, 77):
        statistics = Statistics()
        statistics.record(True, tenths / 10_000, 0.0)
        ((bound, count),) = statistics.durations_ms().items()
        assert count == 1
        assert 0.999 * tenths / 10 <= float(bound) <= 1.092 * tenths / 10


@pytest.mark.parametrize(
    "answered",
    [
        None, 7, [], {}, {"images": 1}, {"images": "1", "durations_ms": {}}, {"images": -1, "durations_ms": {}},
        {"images": True, "durations_ms": {}}, {"images": 1, "durations_ms": []},
        {"images": 1, "durations_ms": {"x": 1}},
        {"images": 1, "durations_ms": {"nan": 1}}, {"images": 1, "durations_ms": {"inf": 1}},
        {"images": 1, "durations_ms": {"-1": 1}}, {"images": 1, "durations_ms": {"1": 0.5}},
        {"images": 1, "durations_ms": {"1": None}}, {"images": 1, "durations_ms": {str(n + 1): 1 for n in range(201)}},
    ],
)  # fmt: skip
def test_what_is_no_count_is_not_counted(answered: Any) -> None:
    assert parse_totals(answered) is None


def test_a_peer_keeps_the_totals_of_the_last_probe_that_had_some() -> None:
    answer: dict[str, Any] = {"state": "ready", "worker": A.worker, "model": A.model}
    answer |= {"answered": {"images": 3, "durations_ms": {"8": 2}}}
    peer = next_state(IN, parse_readyz(A, 200, json.dumps(answer).encode(), AT))
    assert peer.totals == Totals(3, {"8": 2})
    assert next_state(peer, Probe("unreachable", "refused", AT)).totals == peer.totals


def test_what_was_added_since_a_probe_and_since_a_restart() -> None:
    before = Totals(10, {"4": 5, "8": 5})
    assert Totals(13, {"4": 5, "8": 6, "16": 2}).since(before) == Totals(3, {"8": 1, "16": 2})
    assert before.since(before) == Totals(0, {})
    assert Totals(2, {"4": 2}).since(before) == Totals(2, {"4": 2})
    assert Totals(12, {"4": 12}).since(Totals(11, {"8": 11})) == Totals(1, {"4": 12})
    assert Totals(12, {"4": 1, "8": 12}).since(before) == Totals(12, {"4": 1, "8": 12}), "started again, and busy since"


def test_rate_and_percentiles_over_the_last_minutes() -> None:
    rate = Rate()
    assert rate.describe(1000.0) == NOTHING
    for second in range(100):
        rate.add(Totals(20, {"8": 9, "64": 1}), 1000.0 + second)
    found = rate.describe(1099.9)
    assert (found["p50_ms"], found["p99_ms"]) == (8, 64)
    assert found["images_per_s"] == pytest.approx(20, rel=0.01)
    assert found["images"] == [0] * 40 + [100] * 20
    later = rate.describe(1099.9 + SLOT_S * (SLOTS - 1))
    assert (later["images_per_s"], later["images"][0], sum(later["images"])) == (0, 100, 100)
    assert rate.describe(1099.9 + SLOT_S * SLOTS) == NOTHING


def test_of_one_request_both_percentiles_are_its_own() -> None:
    rate = Rate()
    rate.add(Totals(1, {"8": 1}), 7.0)
    assert [rate.describe(8.0)[name] for name in ("p50_ms", "p99_ms")] == [8, 8]
