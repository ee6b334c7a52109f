"""The contents of a bundle, decided before anything is written: images, models, packages and their sizes."""

import platform
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.base.console import say, step, warn
from scripts.base.errors import CommandError
from scripts.bundle import saved, volume, wheels
from scripts.bundle.kit import Kit
from scripts.bundle.layout import IMAGES, MODELS, PACKAGES, WHEELS
from scripts.cluster.config import Cluster
from scripts.host import images
from scripts.host.apt_texts import Package
from scripts.host.debs import Apt
from scripts.host.images import Image, worker_image
from scripts.host.systems import SYSTEMS
from scripts.models.model_store import StoredModel
from scripts.models.summary import machine_kind_here, read_summary
from worker.contract.engines import needed_by
from worker.contract.loaders import reads_texts

NONE = "none"  # SYSTEMS=none: no packages, for servers that have Docker
SPARE_BYTES = 100_000_000


@dataclass(frozen=True)
class Contents:
    """Everything in a bundle; `packages` are by system, each with the apt that fetches them.

    `wheels` are the sets of them, `pythons` the versions that they are for.
    """

    kit: Kit
    images: tuple[str, ...]
    models: tuple[StoredModel, ...]
    packages: dict[str, tuple[Apt, list[Package]]]
    wheels: tuple[str, ...]
    pythons: tuple[str, ...]

    @property
    def for_gpus(self) -> bool:
        """Return whether a model was measured on a GPU, whose workers and tools need other builds."""
        return any(_is_gpu(machine) for model in self.models for machine in _machines(model))

    def sizes(self) -> list[tuple[str, str, int]]:
        """Return a row for each part: its name, its description and its approximate size in bytes."""
        rows = [(IMAGES, f"{len(self.images)}, packed", sum(map(saved.size, self.images)))]
        rows += [(MODELS, ", ".join(model.folder.name for model in self.models), volume.size(self.models))]
        rows += [
            (PACKAGES, f"{system}, {len(packages)} packages", sum(package.bytes for package in packages))
            for system, (_, packages) in self.packages.items()
        ]
        if self.wheels:
            for_pythons = f"{', '.join(self.wheels)}; Python {', '.join(self.pythons)}"
            rows.append((WHEELS, for_pythons, wheels.size(self.wheels, self.pythons)))
        return [*rows, ("kit", self.kit.revision[:12], self.kit.bytes)]


def needed_images(models: Iterable[StoredModel], cluster: Cluster) -> list[Image]:
    """Return the gateway's image and the workers', for this machine and every machine the models were measured on."""
    needed = [images.GATEWAY]
    for model in models:
        summary = read_summary(model.folder)
        if summary.engine is None:
            raise CommandError(f"{model.name}: {summary.fault}")
        for machine in _machines(model):
            engine = summary.engine.choose(machine, cluster.engine).engine
            needed.append(worker_image(needed_by(engine, reads_texts(summary.loader)), _is_gpu(machine)))
    return list(dict.fromkeys(needed))


def _machines(model: StoredModel) -> set[str]:
    """Return the kinds of machines that the model may run on: this one, and every one it was measured on."""
    engine = read_summary(model.folder).engine
    return {machine_kind_here(), *(row.machine for row in engine.measured)} if engine else set()


def _is_gpu(machine: str) -> bool:
    return not machine.startswith(platform.machine())


def check_systems(names: Sequence[str]) -> None:
    """Raise CommandError if one of the systems `names` is unknown."""
    if unknown := [name for name in names if name not in (*SYSTEMS, NONE)]:
        raise CommandError(f"SYSTEMS: found {', '.join(unknown)}, needed some of {', '.join(SYSTEMS)}, or {NONE}")


def resolve_packages(names: Sequence[str], work: Path) -> dict[str, tuple[Apt, list[Package]]]:
    """Return the packages of the systems `names`, or, if there are no names, of every system that can be resolved.

    Raise CommandError if a named system, or every system, fails.
    """
    packages = {}
    for name in SYSTEMS if not names else [name for name in names if name != NONE]:
        step(f"resolving packages of {name}")
        try:
            apt = Apt(SYSTEMS[name], work / f"apt-{name}")
            packages[name] = (apt, apt.resolve())
        except CommandError as error:
            if names:
                raise
            warn(f"skipped: {error}")
    if not packages and not names:
        raise CommandError(
            "found no system whose packages can be downloaded (reasons above), "
            f"needed one: make a package mirror reachable, or set SYSTEMS={NONE}"
        )
    return packages


def check_space(contents: Contents, bundle: Path) -> None:
    """Print every part and its size; raise CommandError if the missing ones do not fit on the disk."""
    rows = contents.sizes()
    for part, description, size in rows:
        say(f"   {part:<9} {size / 1e6:>8.1f} MB  {description}")
    total = sum(size for _, _, size in rows)
    present = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
    needed = total - present + SPARE_BYTES
    free = shutil.disk_usage(bundle).free
    say(f"   {'total':<9} {total / 1e6:>8.1f} MB, approximately; {free / 1e6:.0f} MB are free in {bundle}")
    if free < needed:
        raise CommandError(
            f"{bundle}: found {free / 1e6:.0f} MB free, needed {needed / 1e6:.0f} MB: "
            "free some space, or name another directory with OUT="
        )
