"""The stack: its images, the files that describe it, and handing them to the swarm."""

import os
from collections.abc import Mapping

from scripts.cluster.config import ROOT
from scripts.cluster.keys import gate_keys, keys_locked
from scripts.host import certificates, images, offline
from scripts.host.images import Image
from scripts.render import swarm as render_swarm
from scripts.runtimes.preflight import memory_limit
from scripts.runtimes.swarm import consensus
from scripts.runtimes.swarm.deployment import SwarmDeployment
from scripts.runtimes.swarm.nodes import STACK

NAME = "swarm"
MEMBERS, KEYS, WORKERS = "members.json", "keys.json", "stack-workers.yaml"


def images_of(deployment: SwarmDeployment) -> list[Image]:
    """Return the images of the stack's tasks."""
    return [images.GATEWAY, *images.worker_images(deployment.models, deployment.has_gpus).values()]


def render(deployment: SwarmDeployment) -> dict[str, str]:
    """Return path -> text for the files in the run directory, without writing them."""
    worker_images = images.worker_images(deployment.models, deployment.has_gpus)
    pools = {
        model.name: render_swarm.Pool(
            deployment.replicas[model.name],
            worker_images[model.name].reference,
            memory_limit(deployment.models[model.name], deployment.cluster.settings),
            deployment.volumes[model.name],
            deployment.has_gpus,
        )
        for model in deployment.cluster.models
    }
    certificate = certificates.served(deployment.cluster)
    secret = next(((str(deployment.run.path / path), text) for path, text in certificate.items()), None)
    return {
        "runtime": f"{NAME}\n",
        KEYS: gate_keys(deployment.cluster),
        MEMBERS: render_swarm.members(deployment.cluster, STACK),
        WORKERS: render_swarm.workers(deployment.cluster, pools, offline.variables(), monitor(), secret),
        **certificate,
    }


def deploy(deployment: SwarmDeployment) -> None:
    """Write the files and have the swarm run them, to which it goes over by itself.

    Meanwhile no key is revoked, which would be deployed as if it were not.
    """
    with keys_locked(deployment.cluster.folder):
        files = render(deployment)
        deployment.run.write(files)
        _deploy(deployment, files)


def _deploy(deployment: SwarmDeployment, files: Mapping[str, str]) -> None:
    variables = render_swarm.environment(
        deployment.cluster, images.GATEWAY.reference, str(deployment.run.path / MEMBERS), files[MEMBERS], monitor()
    ) | render_swarm.keys_environment(str(deployment.run.path / KEYS), files[KEYS])
    file_options = [f"--compose-file={file}" for file in (ROOT / "compose/stack.yaml", deployment.run.path / WORKERS)]
    # No registry is needed: every server has the images, under tags that identify their content.
    options = ["--detach=true", "--prune", "--resolve-image=never"]
    consensus.run(["stack", "deploy", *options, *file_options, STACK], {**os.environ, **variables})


def monitor() -> str:
    """Return how long Swarm monitors an update; WANWU_MONITOR overrides the default."""
    return os.environ.get("WANWU_MONITOR", render_swarm.MONITOR)
