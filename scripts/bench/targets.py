"""What is measured: each subject with how it is started, on which cores, and the loads it gets. Pure.

One slot: the server is pinned to the first worker's cores (one core on a small machine), the client to the others.
Otherwise servers and client share all cores, so what the client takes is missing elsewhere, for every subject alike.
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
CLIENTS = 16  # of the load that all subjects get
CLOSED = (1, 4, 16, 64)
OPEN_SHARES = (0.5, 0.8, 0.95)  # of the best closed loop's rate, in the same round
DIRECT = "without Nginx"
INSIDE, SERVICE, SERVER = "inside", "service", "server"
DOCUMENTED, ENGINE = "-documented", "-engine"
PEERS_KNOWN = {"mosec": "MOSEC", "litserve": "LitServe", "bentoml": "BentoML"}
COPIES = {"mosec_documented": 2}  # of the model, where it is not one
FORMS = {  # path, form and port's flag of each server, as its documentation has them
    "mosec_documented": ("/inference", "json:image"),
    "mosec_engine": ("/inference", "raw"),
    "litserve_documented": ("/predict", "json:image_data"),
    "litserve_engine": ("/predict", "json:image_data"),
    "bentoml_documented": ("/classify", "multipart"),
    "bentoml_engine": ("/classify", "multipart"),
}


@dataclass(frozen=True)
class Load:
    """A closed loop of `clients`; or an open one at a `share` of the best closed loop's rate; `direct`: no gateway."""

    clients: int = CLIENTS
    share: float | None = None
    direct: bool = False

    @property
    def label(self) -> str:
        if self.share is not None:
            return f"open {self.share:.0%}"
        return f"closed {self.clients}" + (f" {DIRECT}" if self.direct else "")


@dataclass(frozen=True)
class Material:
    """What every subject works on: model folders and weights by name, the images' folder, the machine's slots.

    `cluster` is the file of the service; `slots` are the CPUs of each of its workers; `gpu` the UUID of the first one's
    GPU, or "".
    """

    folders: Mapping[str, Path]
    weights: Mapping[str, Path]
    images: Path
    cluster: Path
    cpus: frozenset[int]
    slots: Sequence[frozenset[int]]
    gpu: str = ""

    @property
    def others(self) -> frozenset[int]:
        """Where the client runs while one slot alone is measured: on what it leaves."""
        return self.cpus - self.slots[0] or self.cpus

    def server_cpus(self, subject: "Subject") -> frozenset[int]:
        return self.slots[0] if subject.one_slot else self.cpus

    def client_cpus(self, subject: "Subject") -> frozenset[int]:
        return self.others if subject.one_slot else self.cpus


@dataclass(frozen=True)
class Subject:
    """One thing that is measured. `kind`: INSIDE, a SERVICE of this project, or any SERVER, which has a `command`.

    A service on one slot is one worker, asked without the gateway. `workers` is how many copies of the model there are.
    """

    name: str
    title: str
    kind: str
    model: str
    loads: Sequence[Load] = (Load(),)
    one_slot: bool = False
    path: str = "/predict"
    form: str = "raw"
    command: Sequence[str | Path] = ()
    workers: int = 1
    threads: int = 0  # of each process's torch, where it is told; otherwise torch takes all cores


def own(workers: int, threads: int) -> list[Subject]:
    """This project's subjects, on so many workers of so many cores, and the articles' way on as many processes."""
    every = [Load(clients) for clients in CLOSED] + [Load(direct=True)] + [Load(share=share) for share in OPEN_SHARES]
    return [
        Subject("client", "the load generator, against a server that does nothing", SERVER, REFERENCE, one_slot=True,
                command=(sys.executable, "-m", "scripts.bench.idle_server")),
        Subject("inside", "one slot: in process, decode and engine", INSIDE, REFERENCE, (), one_slot=True),
        Subject("worker", "one slot: a worker over HTTP", SERVICE, REFERENCE, (Load(1), Load()), one_slot=True),
        Subject("multipart", "one slot: a worker over HTTP, multipart form", SERVICE, REFERENCE, one_slot=True,
                form="multipart"),
        Subject("service", "all workers behind Nginx", SERVICE, REFERENCE, every, workers=workers),
        Subject("article", "the articles' way: Flask, gunicorn, torch f32", SERVER, REFERENCE, form="multipart",
                command=article(workers), workers=workers, threads=threads),
        Subject("f32", "all workers behind Nginx, f32 only", SERVICE, ONLY_F32, workers=workers),
        Subject("small", "all workers behind Nginx, MobileNetV3-small", SERVICE, SMALL, workers=workers),
        Subject("small-article", "the articles' way, MobileNetV3-small", SERVER, SMALL, form="multipart",
                command=article(workers), workers=workers, threads=threads),
    ]  # fmt: skip


def require_known(names: Sequence[str], with_peers: bool) -> None:
    """Raise CommandError where one of `names` is no subject."""
    known = [subject.name for subject in (*own(1, 1), *(peers(1) if with_peers else []))]
    if unknown := [name for name in names if name not in known]:
        raise CommandError(f"SUBJECTS: found {', '.join(unknown)}, needed some of {','.join(known)}")


def models_of(names: Sequence[str]) -> set[str]:
    """Return the names of the models that subjects called `names` are measured with, all for none."""
    used = {subject.model for subject in (*own(1, 1), *peers(1)) if not names or subject.name in names}
    return used | {REFERENCE}  # the one that is compared with torch, and whose worker's start is timed


def article(workers: int) -> Sequence[str | Path]:
    """gunicorn with as many processes as the service has workers, of its ordinary kind: no article sets another."""
    app = "scripts.bench.peers.baseline:app"
    return (SERVE_TORCH.python, "-m", "gunicorn", "--workers", str(workers), app, "--bind")


def peers(cores: int) -> list[Subject]:
    """The other servers, as documented on all cores, and with this project's engine on one slot."""
    return [_peer(name, form, cores) for form in ("documented", "engine") for name in PEERS_KNOWN]


def _peer(name: str, form: str, cores: int) -> Subject:
    one_slot = form == "engine"
    copies = COPIES.get(f"{name}_{form}", 1)
    path, body = FORMS[f"{name}_{form}"]
    known = PEERS_KNOWN[name]
    title = f"one slot: {known}, this project's engine inside" if one_slot else f"{known} as documented, torch f32"
    return Subject(
        f"{name}-{form}", title, SERVER, REFERENCE, one_slot=one_slot, path=path, form=body,
        command=_command(name, f"scripts.bench.peers.{name}_{form}"), workers=copies,
        threads=max(1, cores // copies) if copies > 1 else 0,
    )  # fmt: skip


def _command(name: str, module: str) -> Sequence[str | Path]:
    if name == "mosec":
        return (PEERS.python, "-m", module, "--timeout", "30000", "--port")
    if name == "bentoml":
        return (PEERS.python, "-m", "bentoml", "serve", f"{module}:Classifier", "--port")
    return (PEERS.python, "-m", module)
