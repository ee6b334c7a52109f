"""The targets of the benchmark: how each is started, on which cores it runs, and which loads it gets. Pure.

On one slot, the server is pinned to the first worker's cores (one core on a small machine) and the client to the
others. Otherwise servers and client share all cores, so that the client costs every target the same.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.host.environments import PEERS, SERVE_TORCH

REFERENCE = "resnet18"
SMALL = "mobilenet_v3_small"
ONLY_F32 = f"{REFERENCE}-f32"
CLIENTS = 16  # of the load that all targets get
CLOSED_CLIENTS = (1, 4, 16, 64)
OPEN_SHARES = (0.5, 0.8, 0.95)  # of the best closed loop's rate in the same round
DIRECT = "without Nginx"
IN_PROCESS, SERVICE, SERVER = "in-process", "service", "server"
DOCUMENTED, ENGINE = "-documented", "-engine"
PEER_TITLES = {"mosec": "MOSEC", "litserve": "LitServe", "bentoml": "BentoML"}
COPIES = {"mosec_documented": 2}  # of the model, for servers that load it more than once
PEER_REQUESTS = {  # path and encoding, from each server's documentation
    "mosec_documented": ("/inference", "json:image"),
    "mosec_engine": ("/inference", "raw"),
    "litserve_documented": ("/predict", "json:image_data"),
    "litserve_engine": ("/predict", "json:image_data"),
    "bentoml_documented": ("/classify", "multipart"),
    "bentoml_engine": ("/classify", "multipart"),
}


@dataclass(frozen=True)
class Load:
    """A closed loop of `clients`, or an open loop at `share` of the best closed loop's rate; `direct`: no gateway."""

    clients: int = CLIENTS
    share: float | None = None
    direct: bool = False

    @property
    def label(self) -> str:
        if self.share is not None:
            return f"open {self.share:.0%}"
        return f"closed {self.clients}" + (f" {DIRECT}" if self.direct else "")


@dataclass(frozen=True)
class Fixtures:
    """The input of every target: model folders and weights by name, the folder of images, the machine's slots.

    `cluster` is the path of the service's cluster.toml, `slots` the CPUs of each of its workers, and `gpu` the UUID of
    the first worker's GPU, or "".
    """

    folders: Mapping[str, Path]
    weights: Mapping[str, Path]
    images: Path
    cluster: Path
    cpus: frozenset[int]
    slots: Sequence[frozenset[int]]
    gpu: str = ""

    @property
    def remaining_cpus(self) -> frozenset[int]:
        """Return the CPUs outside the first slot, for the client; all of them if the slot has every CPU."""
        return self.cpus - self.slots[0] or self.cpus

    def server_cpus(self, target: "Target") -> frozenset[int]:
        return self.slots[0] if target.one_slot else self.cpus

    def client_cpus(self, target: "Target") -> frozenset[int]:
        return self.remaining_cpus if target.one_slot else self.cpus


@dataclass(frozen=True)
class Target:
    """One thing to measure. `kind`: IN_PROCESS, a SERVICE of this project, or any SERVER, which needs a `command`.

    A service on one slot is one worker, reached without the gateway. `workers` is the number of copies of the model.
    """

    name: str
    title: str
    kind: str
    model: str
    loads: Sequence[Load] = (Load(),)
    one_slot: bool = False
    path: str = "/predict"
    encoding: str = "raw"
    command: Sequence[str | Path] = ()
    workers: int = 1
    threads: int = 0  # of torch in each process; 0: torch's default, all cores


def own_targets(workers: int, threads: int) -> list[Target]:
    """Return this project's targets, with `workers` workers of `threads` cores, and the baseline of the same size."""
    loads = (
        [Load(clients) for clients in CLOSED_CLIENTS]
        + [Load(direct=True)]
        + [Load(share=share) for share in OPEN_SHARES]
    )
    idle_server = (sys.executable, "-m", "scripts.bench.idle_server")
    return [
        Target("client", "the load generator, against an idle server", SERVER, REFERENCE, one_slot=True,
               command=idle_server),
        Target("in-process", "one slot: in process, decode and engine", IN_PROCESS, REFERENCE, (), one_slot=True),
        Target("worker", "one slot: a worker over HTTP", SERVICE, REFERENCE, (Load(1), Load()), one_slot=True),
        Target("multipart", "one slot: a worker over HTTP, multipart form", SERVICE, REFERENCE, one_slot=True,
               encoding="multipart"),
        Target("service", "all workers behind Nginx", SERVICE, REFERENCE, loads, workers=workers),
        _baseline("baseline", "baseline: Flask, gunicorn, torch f32", REFERENCE, workers, threads),
        Target("f32", "all workers behind Nginx, f32 only", SERVICE, ONLY_F32, workers=workers),
        Target("small", "all workers behind Nginx, MobileNetV3-small", SERVICE, SMALL, workers=workers),
        _baseline("small-baseline", "baseline, MobileNetV3-small", SMALL, workers, threads),
    ]  # fmt: skip


def require_known(names: Sequence[str], with_peers: bool) -> None:
    """Raise CommandError if one of `names` is the name of no target."""
    known = [target.name for target in (*own_targets(1, 1), *(peer_targets(1) if with_peers else []))]
    if unknown := [name for name in names if name not in known]:
        raise CommandError(f"TARGETS: found {', '.join(unknown)}, needed some of {','.join(known)}")


def models_of(names: Sequence[str]) -> set[str]:
    """Return the names of the models that the targets called `names` use, or all targets if there are no names."""
    used = {target.model for target in (*own_targets(1, 1), *peer_targets(1)) if not names or target.name in names}
    return used | {REFERENCE}  # the one that is compared with torch, and whose worker's start is timed


def _baseline(name: str, title: str, model: str, workers: int, threads: int) -> Target:
    """Return the baseline with gunicorn's default worker class: none of the source articles sets another."""
    app = "scripts.bench.peers.baseline:app"
    command = (SERVE_TORCH.python, "-m", "gunicorn", "--workers", str(workers), app, "--bind")
    return Target(name, title, SERVER, model, encoding="multipart", command=command, workers=workers, threads=threads)


def peer_targets(cores: int) -> list[Target]:
    """Return the other model servers: as documented on all cores, and with this project's engine on one slot."""
    return [_peer(name, variant, cores) for variant in ("documented", "engine") for name in PEER_TITLES]


def _peer(name: str, variant: str, cores: int) -> Target:
    one_slot = variant == "engine"
    copies = COPIES.get(f"{name}_{variant}", 1)
    path, encoding = PEER_REQUESTS[f"{name}_{variant}"]
    peer = PEER_TITLES[name]
    return Target(
        name=f"{name}-{variant}",
        title=f"one slot: {peer}, this project's engine inside" if one_slot else f"{peer} as documented, torch f32",
        kind=SERVER,
        model=REFERENCE,
        one_slot=one_slot,
        path=path,
        encoding=encoding,
        command=_peer_command(name, f"scripts.bench.peers.{name}_{variant}"),
        workers=copies,
        threads=max(1, cores // copies) if copies > 1 else 0,
    )


def _peer_command(name: str, module: str) -> Sequence[str | Path]:
    if name == "mosec":
        return (PEERS.python, "-m", module, "--timeout", "30000", "--port")
    if name == "bentoml":
        return (PEERS.python, "-m", "bentoml", "serve", f"{module}:Classifier", "--port")
    return (PEERS.python, "-m", module)
