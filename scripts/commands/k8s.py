"""`make k8s`: write a Kustomize overlay for Kubernetes, without applying it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.options import Flag
from scripts.cluster.config import ROOT, Cluster
from scripts.cluster.models import read_models
from scripts.commands import Command, ServiceOptions
from scripts.host import images
from scripts.render.kubernetes import VOLUME, Pod, render
from scripts.runtimes.preflight import memory_limit
from worker.contract.engines import TORCH_ENGINE
from worker.contract.files import write_atomically


@dataclass(frozen=True)
class Options:
    """Where to write the manifests, and whether workers have GPUs."""

    out: Annotated[Path, Flag("the folder for the manifests")] = ROOT / "k8s"
    gpu: Annotated[bool, Flag("one GPU for every worker")] = False


def run(service: ServiceOptions, options: Options) -> None:
    """Write the overlay."""
    write(service.load_cluster(), options.out, options.gpu)


def write(cluster: Cluster, out: Path, gpu: bool) -> None:
    """Write the overlay to `out`, with a GPU for each worker if `gpu`; raise CommandError if it cannot be written."""
    cores = cluster.servers[0].cores_per_worker or 1
    pods = {}
    for name, model in read_models(cluster).items():
        image = images.worker_image(TORCH_ENGINE if gpu else model.needs, gpu)
        pods[name] = Pod(image.reference, cores, memory_limit(model, cluster.settings), gpu)
    files = render(cluster, pods, images.GATEWAY.reference, out.resolve())
    try:
        for file, text in files.items():
            (out / file).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(out / file, text)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}: set a writable directory with OUT=") from error
    say(f"{out}: {', '.join(files)}")
    required = {images.GATEWAY.reference, *(pod.image for pod in pods.values())}
    say(f"the nodes need: {', '.join(sorted(required))}; and a model volume from `make bundle` at {VOLUME}")
    say(f"apply with: kubectl apply --kustomize {out}")


COMMAND = Command("write Kubernetes manifests", Options, run)
