"""How long images take to build from a warm wheelhouse, and containers to come up, where there is an engine."""

from functools import partial
from pathlib import Path
from statistics import median

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.bench.commands import command
from scripts.bench.startup import own_service, seconds, timed_up
from scripts.cluster.config import ROOT
from scripts.host import docker, images
from scripts.host.wheelhouse import WHEELHOUSE

BUILT = (images.WORKERS[images.PREPARED], images.GATEWAY)


def measure(cluster_file: Path, rounds: int) -> list[str]:
    """What one build without any cache took, and the median of so many starts."""
    if fault := docker.engine_fault():
        return [f"containers: not measured: {fault}"]
    with own_service(cluster_file, "compose") as arguments:
        step("one `make up` in containers first, so that every image is there")
        command("up", arguments)
        command("down", arguments)
        up_s = median(timed_up(arguments) for _ in range(rounds))
    source = "a warm wheelhouse" if any(WHEELHOUSE.glob("*.whl")) else "the package index"
    step(f"building the images anew from {source}")
    build_s = sum(seconds(partial(_build, image)) for image in BUILT)
    return [
        f"`make up` in containers, images present, to its first answer: {up_s:.2f} s",
        f"both images, built anew from {source}: {build_s:.0f} s",
    ]


def _build(image: images.Image) -> None:
    """Build `image` without any layer of an earlier build, and without giving it a name."""
    source = ["--file", str(ROOT / image.dockerfile), "--target", image.target]
    build = ["build", "--quiet", "--no-cache", "--output=type=cacheonly", *source]
    if docker.run_streaming([*build, *images.build_arguments(), str(ROOT)]):
        raise CommandError(f"the build of {image.repository} failed, as it says above")
