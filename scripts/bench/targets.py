"""The axes and targets of the benchmark: how each target is started, on which cores, and which loads it gets. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.host.environments import PEERS, SERVE_TORCH

PHOTOS, REFERENCE, SMALL = "photos", "resnet18", "mobilenet_v3_small"
# The model that the baseline serves for each model. `photos` is as accurate as the ResNet that the articles serve.
BASELINES = {PHOTOS: REFERENCE, REFERENCE: REFERENCE, SMALL: SMALL}
SIZES = SMALLEST, MIDDLE, LARGEST = "0.2", "2", "12"  # megapixels
ALL_CLIENTS, CLIENTS = (1, 8, 64), 8  # every target gets CLIENTS, at every size
OPEN_SHARE = 0.8  # of the rate that the target just reached with CLIENTS clients
IN_PROCESS, WORKER, SERVICE, SERVER, BASELINE = "in-process", "worker", "service", "server", "baseline"
SAME_ENGINE = "mosec-engine"
DOCUMENTED = ("mosec-documented", "litserve-documented", "bentoml-documented")


@dataclass(frozen=True)
class Load:
    """Images of `size` megapixels in a closed loop of `clients`, or in an open loop at OPEN_SHARE if `open`."""

    size: str = SMALLEST
    clients: int = CLIENTS
    open: bool = False

    @property
    def label(self) -> str:
        closed = "1 client" if self.clients == 1 else f"{self.clients} clients"
        return f"open loop, {OPEN_SHARE:.0%}" if self.open else closed


@dataclass(frozen=True)
class Fixtures:
    """The input of every target: model folders and weights by name, folders of images by size, the CPUs of each worker.

    `gpu` is the UUID of the first worker's GPU, or "".
    """

    folders: Mapping[str, Path]
    weights: Mapping[str, Path]
    images: Mapping[str, Path]
    cpus: frozenset[int]
    slots: Sequence[frozenset[int]]
    gpu: str = ""

    def server_cpus(self, target: "Target") -> frozenset[int]:
        return self.slots[0] if target.one_slot else self.cpus

    def client_cpus(self, target: "Target") -> frozenset[int]:
        """Return the CPUs outside the first slot if `target` is pinned to it and leaves any; all of them otherwise."""
        return (target.one_slot and self.cpus - self.slots[0]) or self.cpus


@dataclass(frozen=True)
class Target:
    """One thing to measure: IN_PROCESS, one WORKER, the whole SERVICE, or any SERVER, which needs a `command`.

    `workers` is the number of copies of the model, `threads` those of torch in each (0: torch's default, all cores).
    """

    name: str
    title: str
    kind: str
    model: str
    loads: Sequence[Load]
    encoding: str = "multipart"
    path: str = "/predict"
    command: Sequence[str | Path] = ()
    workers: int = 1
    threads: int = 0

    @property
    def one_slot(self) -> bool:
        """Return whether the server is pinned to the first worker's cores, and the client to the others."""
        return self.kind in (IN_PROCESS, WORKER) or self.name == SAME_ENGINE

    @property
    def has_folder(self) -> bool:
        """Return whether it runs this project's model folder, and not torchvision's network."""
        return self.kind != SERVER or self.name == SAME_ENGINE

    @property
    def is_peer(self) -> bool:
        return self.name in (SAME_ENGINE, *DOCUMENTED)


def all_targets(workers: int, threads: int, cores: int, quick: bool = False) -> list[Target]:
    """Return every target, for `workers` workers of `threads` cores each on a machine of `cores` cores."""
    sizes = (SMALLEST, LARGEST) if quick else SIZES
    closed, opened = [Load(size) for size in sizes], [Load(open=True)]
    full = [Load(size, clients) for size in sizes for clients in ((CLIENTS,) if quick else ALL_CLIENTS)] + opened
    # gunicorn with its default worker class: none of the source articles sets another.
    gunicorn = (SERVE_TORCH.python, "-m", "gunicorn", "--workers", str(workers), _module("baseline:app"), "--bind")
    mosec, litserve, bentoml = DOCUMENTED
    bento = (PEERS.python, "-m", "bentoml", "serve", _module("bentoml_documented:Classifier"), "--port")

    def peer(name: str, path: str, encoding: str, command: Sequence[str | Path], copies: int = 1) -> Target:
        title = f"{name.partition('-')[0]} as documented, torch f32"
        torch_threads = max(1, cores // copies) if copies > 1 else 0
        return Target(name, title, SERVER, REFERENCE, closed, encoding, path, command, copies, torch_threads)

    return [
        *(Target(f"{BASELINE}-{model}", f"baseline: Flask, gunicorn, torch f32: {model}", SERVER, model, full,
                 command=gunicorn, workers=workers, threads=threads) for model in (REFERENCE, SMALL)),
        *(Target(f"{IN_PROCESS}-{model}", f"one slot, in process: {model}", IN_PROCESS, model, closed)
          for model in BASELINES),
        # One worker gets the same bytes as MOSEC with the same engine; the service the form of curl and browsers.
        *(Target(f"{WORKER}-{model}", f"one slot, a worker over HTTP: {model}", WORKER, model, closed + opened, "raw")
          for model in BASELINES),
        *(Target(f"{SERVICE}-{model}", f"all workers behind Nginx: {model}", SERVICE, model, full, workers=workers)
          for model in BASELINES),
        Target(SAME_ENGINE, "one slot, mosec with this project's engine", SERVER, REFERENCE, closed + opened, "raw",
               "/inference", _mosec("mosec_engine")),
        peer(mosec, "/inference", "json:image", _mosec("mosec_documented"), copies=2),
        peer(litserve, "/predict", "json:image_data", (PEERS.python, "-m", _module("litserve_documented"))),
        peer(bentoml, "/classify", "multipart:images", bento),
    ]  # fmt: skip


def require_known(names: Sequence[str], with_peers: bool) -> None:
    """Raise CommandError if one of `names` is the name of no target."""
    known = [target.name for target in all_targets(1, 1, 1) if with_peers or not target.is_peer]
    if unknown := [name for name in names if name not in known]:
        raise CommandError(f"TARGETS: found {', '.join(unknown)}, needed some of {','.join(known)}")


def _module(name: str) -> str:
    return f"scripts.bench.peers.{name}"


def _mosec(name: str) -> Sequence[str | Path]:
    return (PEERS.python, "-m", _module(name), "--timeout", "30000", "--port")
