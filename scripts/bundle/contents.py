"""What a bundle is to hold, decided before anything is made: images, models, systems, and how large it gets."""

import platform
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.base.console import say, step, warn
from scripts.base.errors import CommandError
from scripts.bundle import saved, volume
from scripts.bundle.kit import Kit
from scripts.bundle.layout import IMAGES, MODELS, PACKAGES
from scripts.cluster.config import Cluster
from scripts.host import images
from scripts.host.debs import SYSTEMS, Apt, Package
from scripts.host.images import Image, worker_image
from scripts.models.model_store import StoredModel, machine_kind_here, read_summary
from worker.contract.engines import needed_by
from worker.contract.loaders import reads_texts

NONE = "none"  # SYSTEMS=none: no packages, for servers that have Docker
SPARE = 100_000_000


@dataclass(frozen=True)
class Contents:
    """All that goes in; `packages` are by system, each with the apt that fetches them."""

    kit: Kit
    images: tuple[str, ...]
    models: tuple[StoredModel, ...]
    packages: dict[str, tuple[Apt, list[Package]]]

    def sizes(self) -> list[tuple[str, str, int]]:
        """What, how much of it, and about how many bytes it takes."""
        rows = [(IMAGES, f"{len(self.images)}, packed", sum(map(saved.size, self.images)))]
        rows += [(MODELS, ", ".join(entry.folder.name for entry in self.models), volume.size(self.models))]
        rows += [
            (PACKAGES, f"{system}, {len(listed)} packages", sum(package.bytes for package in listed))
            for system, (_, listed) in self.packages.items()
        ]
        return [*rows, ("kit", self.kit.revision[:12], self.kit.bytes)]


def needed_images(entries: Iterable[StoredModel], cluster: Cluster) -> list[Image]:
    """The gateway's, and the workers' for every kind of machine that the models were measured on, and for this one."""
    chosen = [images.GATEWAY]
    for entry in entries:
        facts = read_summary(entry.folder)
        if facts.engine is None:
            raise CommandError(f"{entry.name}: {facts.fault}")
        for machine in {machine_kind_here(), *(row.machine for row in facts.engine.measured)}:
            engine = facts.engine.choose(machine, cluster.engine).engine
            gpu = not machine.startswith(platform.machine())
            chosen.append(worker_image(needed_by(engine, reads_texts(facts.loader)), gpu))
    return list(dict.fromkeys(chosen))


def check_systems(names: Sequence[str]) -> None:
    """Raise CommandError for a system that is not known."""
    if unknown := [name for name in names if name not in (*SYSTEMS, NONE)]:
        raise CommandError(f"SYSTEMS: found {', '.join(unknown)}, needed some of {', '.join(SYSTEMS)}, or {NONE}")


def resolve_packages(names: Sequence[str], work: Path) -> dict[str, tuple[Apt, list[Package]]]:
    """The packages of the systems called `names`, or of all that can be reached; raises CommandError."""
    found = {}
    for name in SYSTEMS if not names else [name for name in names if name != NONE]:
        step(f"resolving packages of {name}")
        try:
            apt = Apt(SYSTEMS[name], work / f"apt-{name}")
            found[name] = (apt, apt.resolve())
        except CommandError as refusal:
            if names:
                raise
            warn(f"left out {refusal}")
    if not found and not names:
        raise CommandError(f"no system's packages can be had, as said above: needed a mirror, or SYSTEMS={NONE}")
    return found


def announce(contents: Contents, bundle: Path) -> None:
    """Print what comes, and how large; raises CommandError when there is no room for what is not there yet."""
    rows = contents.sizes()
    for part, what, size in rows:
        say(f"   {part:<9} {size / 1e6:>8.1f} MB  {what}")
    total = sum(size for _, _, size in rows)
    there = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
    free = shutil.disk_usage(bundle).free
    say(f"   {'in all':<9} {total / 1e6:>8.1f} MB, about; {free / 1e6:.0f} MB are free in {bundle}")
    if free < total - there + SPARE:
        raise CommandError(
            f"{bundle}: found {free / 1e6:.0f} MB free, needed {(total - there + SPARE) / 1e6:.0f} MB more: "
            "make room, or name another place with OUT="
        )
