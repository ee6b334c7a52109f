"""What several runtimes render alike: addresses, a worker's environment, and how long it may take to stop."""

from collections.abc import Mapping

from scripts.cluster.config import Cluster
from scripts.cluster.plan import Plan, Worker
from scripts.cluster.schema import Model
from worker.contract.cpu_list import format_cpu_list
from worker.contract.settings import to_env

NOTICE = "Rendered from compose/cluster.toml by scripts/render; changes here are lost at the next `make up`."


def addresses(cluster: Cluster, plan: Plan, ports: Mapping[str, int]) -> dict[str, str]:
    """Return each worker's address, HOST:PORT, by worker name; workers share their server's network."""
    hosts = {server.name: server.address for server in cluster.servers}
    return {worker.name: f"{hosts[worker.slot.server]}:{ports[worker.name]}" for worker in plan.workers}


def worker_environment(cluster: Cluster, worker: Worker, bind: str, folder: str | None = None) -> dict[str, str]:
    """Return the WANWU_* variables of a worker that listens at `bind`; `folder` overrides the model folder's path."""
    model = model_of(cluster, worker)
    return to_env(
        model=model.name,
        model_dir=folder or model.folder,
        worker=worker.name,
        slot=worker.slot.name,
        cpus=format_cpu_list(worker.slot.cpus),
        gpu=worker.slot.gpu or "",
        bind=bind,
        **cluster.settings,
    )


def stop_timeout_s(cluster: Cluster) -> int:
    """Return the seconds in which a worker must stop: it drains, then answers the requests in flight."""
    return int(cluster.settings["drain_s"]) + int(cluster.settings["deadline_s"]) + 5


def model_of(cluster: Cluster, worker: Worker) -> Model:
    return next(model for model in cluster.models if model.name == worker.model)
