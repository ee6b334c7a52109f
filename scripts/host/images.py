"""The images: named after their content, so that a tag says what is inside and nothing is built twice."""

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
SKIPPED_FOLDERS = ("worker/photos/",)  # models are mounted, the embedded one as any other
SKIPPED_PARTS = ("__pycache__",)
PREPARED = BASE_IMAGE.target
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
# A private package index, certificate authority and Debian mirror: variable -> the secret's name in the Dockerfiles.
SECRETS = {
    "PIP_CONFIG_FILE": "pip.conf",
    "PIP_CERT": "ca-certificates.crt",
    "WANWU_DEBIAN_SOURCES": "debian.sources",
}


@dataclass(frozen=True)
class Image:
    """One image: its repository, and the Dockerfile, target and folders that it is built from."""

    repository: str
    dockerfile: str
    target: str
    sources: tuple[str, ...]

    @property
    def reference(self) -> str:
        """Return repository:tag, the tag being twelve hex digits of a sha256: of the version and the sources."""
        digest = hashlib.sha256(VERSION.encode())  # which a label of the image states
        for path in sorted(_files(self.sources)):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
        return f"{self.repository}:{digest.hexdigest()[:12]}"


GATEWAY = Image("wanwu-gateway", "nginx/Dockerfile", "gateway", ("nginx",))
DECLARED = tuple(
    dict.fromkeys([BASE_IMAGE, *(image for engine in ENGINES.values() for image in (engine.image, engine.gpu_image))])
)
WORKERS = {
    image.target: Image(f"wanwu-worker-{image.target}", "worker/Dockerfile", image.target, ("worker",))
    for image in DECLARED
}


def worker_image(engine: EngineDeclaration, gpu: bool) -> Image:
    """Return the image of a worker that needs what `engine` does, on a GPU or not."""
    return WORKERS[(engine.gpu_image if gpu else engine.image).target]


def worker_images(models: Mapping[str, ModelInfo], gpu: bool) -> dict[str, Image]:
    """Return the image of each model's workers, by the model's name."""
    return {name: worker_image(model.needs, gpu) for name, model in models.items()}


def ensure(images: Iterable[Image]) -> None:
    """Build what the engine lacks; raises CommandError when the base cannot be had or a build fails."""
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
            raise CommandError(f"the build of {reference} failed, as it says above")


def build_arguments(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the base, the version, and the site's own ways of reaching packages, which become part of no image."""
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
            skipped = name.startswith(SKIPPED_FOLDERS) or any(part in SKIPPED_PARTS for part in path.parts)
            if path.is_file() and not skipped:
                yield path
