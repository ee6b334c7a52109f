"""400 workers on 50 loopback addresses: real Nginx, real gate, one process that answers for all workers."""

from pathlib import Path

import pytest

from scripts.bench.growth import FakeWorkers, Gateway, cluster, members_json, status_fields
from scripts.cluster.config import ROOT
from tests.local.gateway_harness import wait_for
from tests.service import free_ports

LONGEST = 64  # characters of a model's name
SERVERS, SLOTS = 50, 8


def test_400_workers_of_one_model_are_watched_by_few_threads_over_kept_connections(tmp_path: Path) -> None:
    workers = cluster(SERVERS * SLOTS, SERVERS, 1, LONGEST, first_port=free_ports(SLOTS))
    gateway = Gateway(tmp_path, ROOT / "nginx", free_ports(1), members_json(workers))
    assert gateway.accepted() is None
    fakes = FakeWorkers(gateway.members)
    try:
        gateway.start()
        wait_for("all are in", lambda: gateway.workers_in() == len(workers))
        assert int(status_fields(gateway.gate.pid)["Threads"]) < 10
        probes = fakes.tell("count")["probes"]
        wait_for("two more rounds of probes", lambda: fakes.tell("count")["probes"] >= probes + 2 * len(workers))
        assert fakes.tell("count")["connections"] == len(workers)
        for worker, command in ((workers[0], "kill"), (workers[-1], "freeze")):
            fakes.tell(f"{command} {worker.name}")
            wait_for(f"it leaves after {command}", lambda worker=worker: not gateway.listed(worker))  # type: ignore[misc]
        wait_for("they are out", lambda: gateway.workers_in() == len(workers) - 2)
        assert all(gateway.listed(worker) for worker in workers[1:-1])
    finally:
        gateway.stop()
        fakes.stop()


@pytest.mark.parametrize("models", [100, 400])
def test_as_many_models_with_the_longest_names_are_accepted(tmp_path: Path, models: int) -> None:
    workers = cluster(SERVERS * SLOTS, SERVERS, models, LONGEST)
    assert Gateway(tmp_path, ROOT / "nginx", free_ports(1), members_json(workers)).accepted() is None
