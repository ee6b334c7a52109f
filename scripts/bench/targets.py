"""The axes and the table of targets: how each is started, on which cores, and which loads it gets. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.base.errors import CommandError
from scripts.host.environments import PEERS, SERVE_TORCH

PHOTOS, REFERENCE, SMALL = "photos", "resnet18", "mobilenet_v3_small"
# The model that the baseline serves for each model. `photos` is as accurate as the ResNet that the articles serve.
BASELINES = {PHOTOS: REFERENCE, REFERENCE: REFERENCE, SMALL: SMALL}
SIZES = SMALLEST, MIDDLE, LARGEST = "0.2", "2", "12"  # megapixels
CLIENTS = 8  # unless a load is about the number of clients
OPEN_SHARE = 0.8  # of the rate that the target just reached with CLIENTS clients
IN_PROCESS, WORKER, SERVICE, SERVER, BASELINE = "in-process", "worker", "service", "server", "baseline"
SAME_ENGINE = "mosec-engine"
DOCUMENTED = MOSEC, LITSERVE, BENTOML = "mosec-documented", "litserve-documented", "bentoml-documented"


@dataclass(frozen=True)
class Scale:
    """How much a run does; the statistics of random weights come from `statistics` images."""

    images: Mapping[str, int]
    more_clients: Sequence[int]
    seconds: int
    rounds: int
    statistics: int
    prepare: bool


FULL = Scale({SMALLEST: 80, MIDDLE: 16, LARGEST: 6}, (1, 64), 4, 3, 48, True)
QUICK = Scale({SMALLEST: 2}, (), 1, 1, 4, False)


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
class Target:
    """One thing to measure: IN_PROCESS, one WORKER, the whole SERVICE, or any SERVER that `command` starts.

    In the command, {port} stands for the port, {workers} and {threads} for the number of this service's workers and of
    the threads of each, {half} for half of the cores; `encoding` and `path` are those of its requests.
    """

    name: str
    title: str
    kind: str
    model: str
    loads: Sequence[Load]
    command: Sequence[object] = ()
    encoding: str = "multipart"
    path: str = "/predict"

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
        return PEERS.python in self.command


def all_targets(scale: Scale) -> list[Target]:
    """Return every target.

    Those that are compared with each other are neighbours, so that a drift of the machine changes their ratio little.
    """
    closed, opened = [Load(size) for size in scale.images], [Load(open=True)]
    full = closed + [Load(clients=clients) for clients in scale.more_clients] + opened

    def baseline(model: str) -> Target:
        # gunicorn with its default worker class: none of the source articles sets another.
        command = ["env", "OMP_NUM_THREADS={threads}", SERVE_TORCH.python, "-m", "gunicorn", "--workers", "{workers}"]
        command += [_module("baseline:app"), "--bind", "127.0.0.1:{port}"]
        return Target(f"{BASELINE}-{model}", f"baseline, torch f32: {model}", SERVER, model, full, command)

    def service(model: str) -> Target:
        return Target(f"{SERVICE}-{model}", f"all workers behind Nginx: {model}", SERVICE, model, full)

    def worker(model: str) -> Target:
        # It gets the same bytes as MOSEC with the same engine; the service gets the form that curl and browsers send.
        return Target(f"{WORKER}-{model}", f"one worker: {model}", WORKER, model, closed + opened, (), "raw")

    def peer(name: str, path: str, encoding: str, *command: object) -> Target:
        title = f"{name.partition('-')[0]} as documented, torch f32"
        return Target(name, title, SERVER, REFERENCE, closed, command, encoding, path)

    def mosec(program: str) -> Sequence[object]:
        return (PEERS.python, "-m", _module(program), "--timeout", "30000", "--port", "{port}")

    halves = ("env", "OMP_NUM_THREADS={half}")  # two of MOSEC's processes hold the model
    litserve = (PEERS.python, "-m", _module("litserve_documented"), "{port}")
    bentoml = (PEERS.python, "-m", "bentoml", "serve", _module("bentoml_documented:Classifier"), "--port", "{port}")
    inference = (mosec("mosec_engine"), "raw", "/inference")
    return [
        *(baseline(SMALL), service(SMALL), service(PHOTOS), baseline(REFERENCE), service(REFERENCE)),
        peer(MOSEC, "/inference", "json:image", *halves, *mosec("mosec_documented")),
        peer(LITSERVE, "/predict", "json:image_data", *litserve),
        peer(BENTOML, "/classify", "multipart:images", *bentoml),
        Target(SAME_ENGINE, "one mosec with this engine", SERVER, REFERENCE, closed + opened, *inference),
        worker(REFERENCE),
        Target(f"{IN_PROCESS}-{REFERENCE}", f"in process: {REFERENCE}", IN_PROCESS, REFERENCE, closed),
        worker(PHOTOS),
    ]


def choose(names: Sequence[str], with_peers: bool, scale: Scale) -> list[Target]:
    """Return the targets with these names, or all if there are none; raise CommandError for a name of no target."""
    known = {target.name: target for target in all_targets(scale) if with_peers or not target.is_peer}
    if unknown := [name for name in names if name not in known]:
        raise CommandError(f"TARGETS: found {', '.join(unknown)}, needed some of {','.join(known)}")
    return [target for name, target in known.items() if name in (names or known)]


def _module(name: str) -> str:
    return f"scripts.bench.peers.{name}"
