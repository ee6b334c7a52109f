"""One server's cluster, planned: what every runtime on one machine starts from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from scripts.base.errors import Refusal
from scripts.cluster.config import Cluster
from scripts.cluster.cores import best
from scripts.cluster.hardware import Hardware, read_hardware
from scripts.cluster.models import Served, read_models
from scripts.cluster.plan import Plan, Worker, plan
from scripts.runtimes.preflight import port_faults
from scripts.runtimes.run_directory import RunDir
from worker.contract.engines import ENGINES
from worker.contract.machine import kind


@dataclass(frozen=True)
class Site:
    """A cluster of one server, planned for this machine, and the directory it is run in."""

    cluster: Cluster
    hardware: Hardware
    models: Mapping[str, Served]
    plan: Plan
    run: RunDir

    @property
    def cores(self) -> int | None:
        """How many cores a CPU worker serves best with, as far as it was measured."""
        measured = [(model.share, self.models[model.name].scaling) for model in self.cluster.models]
        return best(self.cluster.profile, measured)

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
    hardware = read_hardware()
    models = read_models(cluster, [*dict.fromkeys(gpu.name for gpu in hardware.gpus), kind()])
    if not any(ENGINES[model.engine].gpu for model in models.values()):
        # A GPU that no engine here can use must not stand in for the cores.
        hardware, models = replace(hardware, gpus=()), read_models(cluster)
    site = afresh(Site(cluster, hardware, models, Plan(()), run))
    return replace(site, plan=keep_ports(site.plan, run.ports, lambda port: not port_faults([port])))


def afresh(site: Site) -> Site:
    """`site` with the ports that its workers have where nothing runs yet; raises Refusal."""
    server = site.cluster.servers[0].name
    return replace(site, plan=plan(site.cluster, {server: site.hardware}, cores={server: site.cores}))


def keep_ports(planned: Plan, known: Mapping[str, int], is_free: Callable[[int], bool]) -> Plan:
    """The plan with the ports of workers that run already, by name; beside those the others take the next free ones.

    Raises Refusal when there are none left.
    """
    if not known:
        return planned
    first = min(worker.port for worker in planned.workers)
    rest = (port for port in range(first, 65536) if port not in known.values() and is_free(port))

    def kept(worker: Worker) -> Worker:
        port = known[worker.name] if worker.name in known else next(rest, None)
        if port is None:
            raise Refusal(f"port: found no free one above {first - 1} for {worker.name}: choose a lower port")
        return replace(worker, port=port)

    return Plan(tuple(map(kept, planned.workers)))
