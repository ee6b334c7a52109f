"""How long images take to build from a warm wheelhouse, and containers to come up, where there is an engine."""

from functools import partial
from pathlib import Path
from statistics import median

from scripts import docker, images
from scripts.bench.startup import ROUNDS, command, own_service, seconds, timed_up
from scripts.cluster import ROOT
from scripts.console import say, step
from scripts.refusal import Refusal
from scripts.wheelhouse import WHEELHOUSE

BUILT = (images.WORKERS["openvino"], images.GATEWAY)


def measure(cluster_file: Path) -> None:
    """Print the seconds of one build without any cache, and the median of several starts."""
    if fault := docker.engine_fault():
        return say(f"\ncontainers: not measured: {fault}")
    with own_service(cluster_file, "compose") as arguments:
        step("one `make up` in containers first, so that every image is there")
        command("up", arguments)
        command("down", arguments)
        up_s = median(timed_up(arguments) for _ in range(ROUNDS))
    source = "a warm wheelhouse" if any(WHEELHOUSE.glob("*.whl")) else "the package index"
    step(f"building the images anew from {source}")
    build_s = sum(seconds(partial(_build, image)) for image in BUILT)
    say(f"\ncontainers, starts as medians of {ROUNDS} rounds")
    say(f"  make up, images present, to the first answer    {up_s:6.2f} s")
    say(f"  both images, built anew from {source:17}  {build_s:6.2f} s")
    return None


def _build(image: images.Image) -> None:
    """Build `image` without any layer of an earlier build, and without giving it a name."""
    source = ["--file", str(ROOT / image.dockerfile), "--target", image.target]
    build = ["build", "--quiet", "--no-cache", "--output=type=cacheonly", *source]
    if docker.show([*build, *images.build_arguments(), str(ROOT)]):
        raise Refusal(f"the build of {image.repository} failed, as it says above")
