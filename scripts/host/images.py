"""Container images, tagged with a hash of their content, so that nothing is built twice."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.cluster.models import ModelInfo
from scripts.host import docker
from worker.contract.declarations import BASE_IMAGE, EngineDeclaration
from worker.contract.engines import ENGINES
from worker.contract.version import VERSION

BASE = "debian:bookworm-slim"
SKIPPED_FOLDERS = ("worker/photos/",)  # models are mounted into containers, the embedded one, too
SKIPPED_PARTS = ("__pycache__",)
PREPARED = BASE_IMAGE.target
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
# A private package index, certificate authority and Debian mirror: variable -> name of the secret in the Dockerfiles.
SECRETS = {
    "PIP_CONFIG_FILE": "pip.conf",
    "PIP_CERT": "ca-certificates.crt",
    "WANWU_DEBIAN_SOURCES": "debian.sources",
}


@dataclass(frozen=True)
class Image:
    """A container image: its repository, and the Dockerfile, target and folders that it is built from."""

    repository: str
    dockerfile: str
    target: str
    sources: tuple[str, ...]

    @property
    def reference(self) -> str:
        """Return repository:tag; the tag is twelve hex digits of a sha256 over the version and the sources."""
        digest = hashlib.sha256(VERSION.encode())  # a label of the image
        for path in sorted(_files(self.sources)):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
        return f"{self.repository}:{digest.hexdigest()[:12]}"


PROMETHEUS = Image("wanwu-prometheus", "compose/observability/Dockerfile", "prometheus", ("compose/observability",))
GATEWAY = Image("wanwu-gateway", "nginx/Dockerfile", "gateway", ("nginx",))
DECLARED = tuple(
    dict.fromkeys([BASE_IMAGE, *(image for engine in ENGINES.values() for image in (engine.image, engine.gpu_image))])
)
WORKERS = {
    image.target: Image(f"wanwu-worker-{image.target}", "worker/Dockerfile", image.target, ("worker",))
    for image in DECLARED
}


def worker_image(engine: EngineDeclaration, gpu: bool) -> Image:
    """Return the image of workers that run `engine`, on a GPU or not."""
    return WORKERS[(engine.gpu_image if gpu else engine.image).target]


def worker_images(models: Mapping[str, ModelInfo], gpu: bool) -> dict[str, Image]:
    """Return model name -> image of its workers."""
    return {name: worker_image(model.needs, gpu) for name, model in models.items()}


def ensure(images: Iterable[Image]) -> None:
    """Build the images that the engine lacks; raise CommandError if BASE is unavailable or a build fails."""
    missing = {image.reference: image for image in images if not docker.image_exists(image.reference)}
    if missing and not docker.image_exists(BASE) and docker.run_streaming(["pull", "--quiet", BASE]):
        raise CommandError(
            f"found neither {', '.join(missing)} nor {BASE} to build from, and no registry answers: "
            "`docker load` the images, or run `make base-image`"
        )
    for reference, image in missing.items():
        step(f"building {reference}")
        command = ["build", "--file", str(ROOT / image.dockerfile), "--target", image.target, "--tag", reference]
        if docker.run_streaming([*command, *build_arguments(), str(ROOT)]):
            raise CommandError(f"the build of {reference} failed: see the output above")


def build_arguments(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the options of `docker build`; the site's proxies and secrets among them stay out of the image."""
    proxies = [part for name in PROXIES if name in environ for part in ("--build-arg", name)]
    secrets = [
        part
        for name, secret in SECRETS.items()
        if environ.get(name)
        for part in ("--secret", f"id={secret},src={environ[name]}")
    ]
    return ["--build-arg", f"BASE={BASE}", "--build-arg", f"VERSION={VERSION}", *proxies, *secrets]


def _files(folders: Iterable[str]) -> Iterator[Path]:
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            name = path.relative_to(ROOT).as_posix()
            is_skipped = name.startswith(SKIPPED_FOLDERS) or any(part in SKIPPED_PARTS for part in path.parts)
            if path.is_file() and not is_skipped:
                yield path
