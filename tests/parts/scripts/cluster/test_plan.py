import os

from scripts.cluster.config import ROOT, load_cluster
from scripts.cluster.hardware import read_hardware
from scripts.cluster.plan import plan


def test_the_committed_cluster_is_planned_on_the_real_machine() -> None:
    workers = plan(load_cluster(ROOT / "compose" / "cluster.toml"), {"this": read_hardware()}).workers
    used = [cpu for worker in workers for cpu in worker.slot.cpus]
    assert used
    assert len(used) == len(set(used))
    assert set(used) <= os.sched_getaffinity(0)
