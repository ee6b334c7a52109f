"""Container images, tagged with what they were built from, so that nothing is built twice.

A tag is SOURCES-BASE: hashes of the kit's files and of the base image; SOURCES-BASE-TIME, on a base whose packages
`make update` updated. No image is ever replaced or deleted here.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scripts.base.console import step, warn
from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.cluster.models import ModelInfo
from scripts.host import docker
from worker.contract.declarations import BASE_IMAGE, EngineDeclaration
from worker.contract.engines import ENGINES
from worker.contract.version import VERSION

BASE = "debian:bookworm-slim"
BASE_DIGITS = 8  # of its ID, in a tag
SKIPPED_FOLDERS = ("worker/photos/",)  # models are mounted into containers, the embedded one, too
SKIPPED_PARTS = ("__pycache__",)
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
    def digest(self) -> str:
        """Return the revision of the sources."""
        return revision(self.sources, ROOT)

    @property
    def reference(self) -> str:
        """Return repository:tag of the engine's image of these sources, or of the one to build if it has none."""
        return f"{self.repository}:{choose_tag(self.digest, base_tag(), docker.tags(self.repository))}"

    @property
    def is_current(self) -> bool:
        """Return whether the engine has an image of these sources, on its present base if it has one."""
        return bool(docker.image_id(self.reference)) and self.reference.endswith(base_tag())


PROMETHEUS = Image("wanwu-prometheus", "compose/observability/Dockerfile", "prometheus", ("compose/observability",))
UPDATED_BASE = Image("wanwu-base", "scripts/host/updated-base.Dockerfile", "base", ())
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


def choose_tag(sources: str, base: str, tags: Sequence[str]) -> str:
    """Return the tag to run: of those in `tags`, newest first, that of `sources` on `base`, or else on the last base.

    If there is none, return the tag to build.
    """
    wanted = f"{sources}-{base}" if base else sources
    fitting = [tag for tag in tags if tag.startswith(f"{sources}-")]
    if wanted in tags or not fitting:
        return wanted
    return max(fitting, key=lambda tag: tag.split("-")[2:])


def base_tag() -> str:
    """Return the end of the tags of images built now; nothing if the engine has no BASE.

    It is the first digits of BASE's ID and, where `update` updated its packages, when.
    """
    digits = docker.image_id(BASE).removeprefix("sha256:")[:BASE_DIGITS]
    return max([digits, *(tag for tag in docker.tags(UPDATED_BASE.repository) if digits and tag.startswith(digits))])


def ensure(images: Iterable[Image]) -> None:
    """Build the images that the engine lacks, for other sources or another base than before.

    If a build fails, an image of the same sources on an earlier base is still used; raise CommandError without one.
    """
    missing = {image.reference: image for image in images if not image.is_current}
    if missing:
        _require_base(missing)
    for earlier, image in missing.items():
        base = base_tag()
        if build(image, f"{image.digest}-{base}", f"{UPDATED_BASE.repository}:{base}" if "-" in base else BASE):
            continue
        if not docker.image_id(earlier):
            raise CommandError(f"the build of {earlier} failed: see the output above")
        warn(f"the build of {image.repository} on the present {BASE} failed: {earlier} is still used")


def update(images: Iterable[Image]) -> None:
    """Make a base with the newest packages of Debian, and the images on it; raise CommandError if that fails."""
    chosen = list(images)
    _require_base([image.reference for image in chosen])
    digits, time = base_tag().partition("-")[0], f"{datetime.now(UTC):%Y%m%d%H%M%S}"
    if not build(UPDATED_BASE, f"{digits}-{time}"):
        raise CommandError(f"the update of {BASE} failed, and nothing was changed: see the output above")
    ensure(chosen)


def _require_base(needed: Iterable[str]) -> None:
    if base_tag():
        return
    if docker.run_streaming(["pull", "--quiet", BASE]):
        raise CommandError(
            f"found neither {', '.join(needed)} nor {BASE} to build from, and no registry answers: "
            "`docker load` the images, or run `make base-image`"
        )
    docker.forget_images()


def build(image: Image, tag: str, base: str = BASE) -> bool:
    """Return whether the image was built on `base`, and tagged `tag`."""
    step(f"building {image.repository}:{tag}")
    target = ["--file", str(ROOT / image.dockerfile), "--target", image.target, "--tag", f"{image.repository}:{tag}"]
    try:
        return docker.run_streaming(["build", *target, *build_arguments(base), str(ROOT)]) == 0
    finally:
        docker.forget_images()


def build_arguments(base: str = BASE, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the options of `docker build`; the site's proxies and secrets among them stay out of the image."""
    proxies = [part for name in PROXIES if name in environ for part in ("--build-arg", name)]
    secrets = [
        part
        for name, secret in SECRETS.items()
        if environ.get(name)
        for part in ("--secret", f"id={secret},src={environ[name]}")
    ]
    return ["--build-arg", f"BASE={base}", "--build-arg", f"VERSION={VERSION}", *proxies, *secrets]


def revision(folders: Iterable[str], root: Path = ROOT) -> str:
    """Return twelve hex digits of a sha256 over the version and the code in `folders` of the kit in `root`."""
    digest = hashlib.sha256(VERSION.encode())  # a label of the image
    for path in sorted(_files(folders, root)):
        digest.update(f"{path.relative_to(root)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _files(folders: Iterable[str], root: Path) -> Iterator[Path]:
    for folder in folders:
        for path in (root / folder).rglob("*"):
            name = path.relative_to(root).as_posix()
            is_skipped = name.startswith(SKIPPED_FOLDERS) or any(part in SKIPPED_PARTS for part in path.parts)
            if path.is_file() and not is_skipped:
                yield path
