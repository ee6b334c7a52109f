"""Measure how long the images take to build from a warm wheelhouse and the containers to start, if Docker runs."""

from functools import partial
from pathlib import Path
from statistics import median

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.bench.commands import run_command
from scripts.bench.startup import duration_s, separate_service, timed_up
from scripts.cluster.config import ROOT
from scripts.host import docker, images
from scripts.host.wheelhouse import WHEELHOUSE

BUILT = (images.WORKERS[images.PREPARED], images.GATEWAY)


def measure(cluster_file: Path, rounds: int) -> list[str]:
    """Return lines with the duration of one build without cache and the median of `rounds` starts."""
    if fault := docker.engine_fault():
        return [f"containers: not measured: {fault}"]
    with separate_service(cluster_file, "compose") as arguments:
        step("one `make up` in containers first, so that every image exists")
        run_command("up", arguments)
        run_command("down", arguments)
        up_s = median(timed_up(arguments) for _ in range(rounds))
    source = "a warm wheelhouse" if any(WHEELHOUSE.glob("*.whl")) else "the package index"
    step(f"building the images without cache from {source}")
    build_s = sum(duration_s(partial(_build, image)) for image in BUILT)
    return [
        f"`make up` in containers, images present, to its first answer: {up_s:.2f} s",
        f"both images, built without cache from {source}: {build_s:.0f} s",
    ]


def _build(image: images.Image) -> None:
    """Build `image` without cached layers and without a tag."""
    source = ["--file", str(ROOT / image.dockerfile), "--target", image.target]
    build = ["build", "--quiet", "--no-cache", "--output=type=cacheonly", *source]
    if docker.run_streaming([*build, *images.build_arguments(), str(ROOT)]):
        raise CommandError(f"the build of {image.repository} failed: see its output above")
