"""400 workers on 50 loopback addresses: real Nginx, real gate, one process that answers for all workers.

`make test TESTS="-s tests/local/test_growth.py"` prints what they cost the gate, too.
"""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.bench import procfs
from tests.local.growth_harness import FakeWorkers, Gateway, cluster
from tests.service import free_ports
from tests.wait import until

LONGEST = 64  # characters of a model's name
SERVERS, SLOTS = 50, 8


def test_400_workers_of_one_model_are_watched_by_few_threads_over_kept_connections(tmp_path: Path) -> None:
    workers = cluster(SERVERS * SLOTS, SERVERS, free_ports(SLOTS))
    gateway = Gateway(tmp_path, free_ports(1), workers)
    assert gateway.fault() == ""
    fakes = FakeWorkers(workers)
    with gateway.running() as (_, gate):
        until("all are in", lambda: gateway.workers_in() == len(workers))
        assert procfs.status(gate)["Threads"] < 10
        probes, connections, cpu = fakes.probes, fakes.connections, procfs.cpu_s([gate])
        until("two more rounds of probes", lambda: fakes.probes >= probes + 2 * len(workers))
        # A probe that times out on a busy machine gives up its connection; the others keep theirs.
        assert fakes.connections - connections < (fakes.probes - probes) / 2
        cpu_ms = 1000 * (procfs.cpu_s([gate]) - cpu) / (fakes.probes - probes)
        memory = procfs.memory([gate]).rss
        assert memory < 100  # MB
        print(f"\nthe gate: {cpu_ms:.2f} ms of CPU a probe, {memory:.0f} MB")
        for worker, action in ((workers[0], fakes.kill), (workers[-1], fakes.freeze)):
            action(worker)
            started = time.monotonic()
            until(f"it leaves after {action.__name__}", lambda worker=worker: not gateway.listed(worker))  # type: ignore[misc]
            print(f"out {time.monotonic() - started:.1f} s after {action.__name__}")
        until("they are out", lambda: gateway.workers_in() == len(workers) - 2)
        assert all(gateway.listed(worker) for worker in workers[1:-1])
    fakes.stop()


@pytest.mark.parametrize("models", [100, 400])
def test_as_many_models_with_the_longest_names_are_accepted(tmp_path: Path, models: int) -> None:
    # The workers of one model are on several servers.
    workers = [
        replace(
            worker, name=f"worker-{number}".ljust(LONGEST, "x"), model=f"model-{number % models}".ljust(LONGEST, "x")
        )
        for number, worker in enumerate(cluster(SERVERS * SLOTS, SERVERS + 1, 8081))
    ]
    assert Gateway(tmp_path, free_ports(1), workers).fault() == ""
