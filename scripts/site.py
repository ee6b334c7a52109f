"""One server's cluster, planned: what every runtime on one machine starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from scripts.cluster import Cluster
from scripts.hardware import Hardware, read_hardware
from scripts.models import Served, read_models
from scripts.plan import Plan, plan
from scripts.refusal import Refusal
from scripts.rundir import RunDir

CPU_ONLY = "openvino"  # the engine that needs neither a GPU nor torch


@dataclass(frozen=True)
class Site:
    """A cluster of one server, planned for this machine, and the directory it is run in."""

    cluster: Cluster
    hardware: Hardware
    models: Mapping[str, Served]
    plan: Plan
    run: RunDir

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.cluster.port}"


def prepare(cluster: Cluster, run: RunDir) -> Site:
    """Plan `cluster` for this machine; raises Refusal. Changes nothing."""
    if len(cluster.servers) > 1:
        raise Refusal(
            f"{cluster.source}: found {len(cluster.servers)} servers, this runtime serves on one: "
            "keep one [[servers]] table"
        )
    hardware, models = read_hardware(), read_models(cluster)
    if all(model.engine == CPU_ONLY for model in models.values()):
        # A GPU that no engine here can use must not stand in for the cores.
        hardware = replace(hardware, gpus=())
    return Site(cluster, hardware, models, plan(cluster, {cluster.servers[0].name: hardware}), run)
