"""The axes and the table of targets: how each is started, on which cores, and which loads it gets. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scripts.base.errors import CommandError
from scripts.host.environments import PEERS, SERVE_TORCH

# Both have the baseline with ResNet-18, which the articles serve: `photos` is as accurate.
PHOTOS, REFERENCE = "photos", "resnet18"
SIZES = SMALLEST, MIDDLE, LARGEST = "0.2", "2", "12"  # megapixels
CLIENTS = 8
OPEN_SHARE = 0.8  # of the rate that the target just reached with CLIENTS clients
IN_PROCESS, WORKER, SERVICE, SERVER = "in-process", "worker", "service", "server"
BASELINE, SAME_ENGINE, GROWTH = "baseline-resnet18", "mosec-engine", "growth"
DOCUMENTED = MOSEC, LITSERVE, BENTOML = "mosec-documented", "litserve-documented", "bentoml-documented"


IMAGES = {SMALLEST: 80, MIDDLE: 16, LARGEST: 6}
QUICK = {SMALLEST: 4, LARGEST: 1}


@dataclass(frozen=True)
class Load:
    """Images of `size` megapixels in closed loops of CLIENTS, or in an open loop at OPEN_SHARE if `open`."""

    size: str = SMALLEST
    open: bool = False

    @property
    def label(self) -> str:
        return f"open loop, {OPEN_SHARE:.0%}" if self.open else f"{CLIENTS} clients"


@dataclass(frozen=True)
class Target:
    """One thing to measure: IN_PROCESS, one WORKER, the whole SERVICE, or any SERVER that `command` starts.

    `{port}` in the command stands for the port; `encoding` and `path` are those of its requests.
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


def all_targets(sizes: Iterable[str], workers: int = 1, threads: int = 1, cores: int = 1) -> list[Target]:
    """Return every target, for `workers` workers of `threads` cores each on a machine of `cores` cores.

    Those that are compared with each other are neighbours, so that a drift of the machine changes their ratio little.
    """
    closed = [Load(size) for size in sizes]
    loads = [*closed, Load(open=True)]

    def service(model: str) -> Target:
        return Target(f"{SERVICE}-{model}", f"all workers behind Nginx: {model}", SERVICE, model, loads)

    def worker(model: str) -> Target:
        # It gets the same bytes as MOSEC with the same engine; the service gets the form that curl and browsers send.
        return Target(f"{WORKER}-{model}", f"one worker: {model}", WORKER, model, loads, (), "raw")

    def server(name: str, loads: Sequence[Load], path: str, encoding: str, *command: object) -> Target:
        title = {BASELINE: "baseline, torch f32: resnet18", SAME_ENGINE: "one mosec with this engine"}
        documented = f"{name.partition('-')[0]} as documented, torch f32"
        return Target(name, title.get(name, documented), SERVER, REFERENCE, loads, command, encoding, path)

    peers, port = "scripts.bench.peers", ("--port", "{port}")
    # gunicorn with its default worker class: none of the source articles sets another.
    gunicorn = ("env", f"OMP_NUM_THREADS={threads}", SERVE_TORCH.python, "-m", "gunicorn", "--bind", "127.0.0.1:{port}")
    halves = ("env", f"OMP_NUM_THREADS={max(1, cores // 2)}")  # two of MOSEC's processes hold the model
    python, mosec = (PEERS.python, "-m"), ("--timeout", "30000", *port)
    return [
        service(PHOTOS),
        server(BASELINE, loads, "/predict", "multipart", *gunicorn, "--workers", workers, f"{peers}.baseline:app"),
        service(REFERENCE),
        server(MOSEC, closed, "/inference", "json:image", *halves, *python, f"{peers}.mosec_documented", *mosec),
        server(LITSERVE, closed, "/predict", "json:image_data", *python, f"{peers}.litserve_documented", "{port}"),
        server(
            *(BENTOML, closed, "/classify", "multipart:images", *python),
            *("bentoml", "serve", f"{peers}.bentoml_documented:Classifier", *port),
        ),
        server(SAME_ENGINE, loads, "/inference", "raw", *python, f"{peers}.mosec_engine", *mosec),
        worker(REFERENCE),
        Target(f"{IN_PROCESS}-{REFERENCE}", f"in process: {REFERENCE}", IN_PROCESS, REFERENCE, closed),
        worker(PHOTOS),
    ]


def choose(names: Sequence[str], with_peers: bool) -> list[str]:
    """Return `names`, or those of all targets if there are none; raise CommandError for a name of no target."""
    targets = [one for one in all_targets(QUICK) if with_peers or PEERS.python not in one.command]
    known = [*(target.name for target in targets), GROWTH]
    if unknown := [name for name in names if name not in known]:
        raise CommandError(f"TARGETS: found {', '.join(unknown)}, needed some of {','.join(known)}")
    return [*names] or known
