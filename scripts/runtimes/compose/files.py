"""What Compose and the gateway read in a run directory: rendered for a deployment, or as another kit left it."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from scripts.cluster.config import ROOT
from scripts.cluster.models import content_hash
from scripts.host import docker, images, offline
from scripts.host.certificates import SERVED
from scripts.host.images import Image
from scripts.host.names import own_names
from scripts.render import compose as render
from scripts.render.gateway import METRICS_IN_CONTAINER, members
from scripts.runtimes.compose import gateway
from scripts.runtimes.compose.containers import COMPOSE, ENVIRONMENT, WORKERS
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.preflight import memory_limit
from scripts.runtimes.run_directory import RunDir

MEMBERS = "members/members.json"


def rendered(deployment: Deployment) -> dict[str, str]:
    """Return path -> text for the files of `deployment`, but for secrets."""
    cluster, plan, run, models = deployment.cluster, deployment.plan, deployment.run, deployment.models
    references = {name: image.reference for name, image in _worker_images(deployment).items()}
    memory = {name: memory_limit(model, cluster.settings) for name, model in models.items()}
    hashes = {model.name: content_hash(model.folder) for model in cluster.models}
    addresses = {worker.name: f"{worker.name}:{render.PORT}" for worker in plan.workers}
    base = run.path / worker_file()[0]
    folder = (run.path / MEMBERS).parent
    # Another folder without TLS, so that Compose replaces the gateway when TLS is turned on or off.
    tls = (run.path / SERVED).parent if cluster.tls.enabled else folder
    listed = members(cluster, plan, addresses, own_names(), METRICS_IN_CONTAINER)
    reference = images.GATEWAY.reference
    return {
        ENVIRONMENT: render.environment(cluster, reference, _entrance_image(run) or reference, folder, tls),
        COMPOSE: (ROOT / "compose/compose.yaml").read_text(),
        MEMBERS: gateway.for_former(listed) if gateway.is_former(run) else listed,
        WORKERS: render.workers(cluster, plan, references, memory, hashes, offline.variables(), base),
    }


def running(run: RunDir, paths: Iterable[str]) -> dict[str, str]:
    """Return path -> text for `paths`; where a kit had none of its own, what this one would run in their place."""
    files = {path: run.text(path) for path in paths}
    if not files.get(COMPOSE):
        reference = images.GATEWAY.reference
        files |= {COMPOSE: (ROOT / "compose/compose.yaml").read_text()}
        files |= {ENVIRONMENT: render.with_images(run.text(ENVIRONMENT), reference, reference)}
    return files


def adopt(run: RunDir) -> None:
    """Give a service of release 0.1.0, which had no compose.yaml of its own, what it needs for this kit's commands."""
    if run.runtime and not run.text(COMPOSE):
        run.write(running(run, [COMPOSE, ENVIRONMENT]))


def worker_file() -> tuple[str, str]:
    """Return the name and text of the file that workers extend: by its digest, beside those of workers from before."""
    text = (ROOT / "compose/worker.yaml").read_text()
    return f"worker-{hashlib.sha256(text.encode()).hexdigest()[:12]}.yaml", text


def images_of(deployment: Deployment) -> list[Image]:
    return [images.GATEWAY, *_worker_images(deployment).values()]


def images_in(files: Mapping[str, str]) -> list[str]:
    """Return the references of the images that `files` name."""
    workers = [json.loads(text)["image"] for text in render.worker_texts(files[WORKERS]).values()]
    return list(dict.fromkeys([*render.images(files[ENVIRONMENT]), *workers]))


def _entrance_image(run: RunDir) -> str:
    """Return the image of the entrance that runs, which stays as it is; nothing if there is none."""
    image = render.entrance_image(run.text(ENVIRONMENT))
    return image if image and docker.image_id(image) else ""


def _worker_images(deployment: Deployment) -> dict[str, Image]:
    return images.worker_images(deployment.models, gpu=bool(deployment.hardware.gpus))
