"""The bundle, its kit, and the cluster.toml that sets the gateway's port."""

import filecmp
import json
import os
import tarfile
from pathlib import Path

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.bootstrap import places
from scripts.bootstrap.checks.bundle import check_port, kit_folder
from scripts.bootstrap.machine import run, text_of
from scripts.bootstrap.options import Options
from scripts.bootstrap.server import Bundle, Kit
from scripts.bundle.layout import MANIFEST, SUMS
from scripts.cluster.config import load_cluster, parse_cluster
from scripts.runtimes.choice import RUNTIMES
from scripts.runtimes.side_by_side import SideBySide
from worker.contract.files import sha256

CLUSTER_IN_KIT = "compose/cluster.toml"


def read_bundle(folder: Path) -> Bundle:
    """Return the bundle; raise CommandError if a file of it is damaged or missing."""
    step("checking the bundle's checksums")
    done = run("sh", "-c", f'cd "$0" && exec sha256sum --check --quiet --strict {SUMS}', folder)
    if done.returncode:
        first = (done.stdout + done.stderr).splitlines()[0]
        if "extends" in json.loads(text_of(folder / MANIFEST)):
            raise CommandError(
                f"found a bundle that extends an older one, without that ({first}), needed both: "
                "copy this one over that one, cp -r NEW/. OLD/, and name OLD with --bundle"
            )
        raise CommandError(f"found a damaged bundle ({first}), needed files that match {SUMS}: copy it again")
    return Bundle.read(folder, (folder / MANIFEST).read_text(encoding="utf-8"))


def find_kit(bundle: Bundle) -> Kit:
    """Return the bundle's kit; raise CommandError if this server's cannot be replaced."""
    linked = places.KIT / CLUSTER_IN_KIT
    if not places.KIT.is_symlink():  # unpacked by an early version of this script, with its own run/
        check_not_served(places.KIT / "run")
    elif linked.is_file() and not linked.is_symlink() and not have_same_text(linked, places.CLUSTER_FILE):
        raise CommandError(
            f"found a file {linked} instead of a link to {places.CLUSTER_FILE}, needed the link: "
            "move the file there, or remove it"
        )
    archive_sum = sha256(bundle.kit)
    before = os.readlink(places.KIT) if places.KIT.is_symlink() else ""
    return Kit(kit_folder(bundle.revision, archive_sum), archive_sum, before)


def check_not_served(run_folder: Path) -> None:
    """Raise CommandError if a service runs from the folder, which is about to be replaced or removed."""
    runtime = text_of(run_folder / "runtime").strip()
    if isinstance(RUNTIMES.get(runtime), SideBySide):  # the others' services do not run from a folder of this server
        raise CommandError(
            f"found a service ({runtime}) that runs from {run_folder}, needed none while that folder is replaced or "
            f"removed: cd {places.KIT} && make down"
        )


def cluster_file(options: Options) -> Path | None:
    """Return the operator's cluster.toml; None before there is a kit."""
    candidates = [places.CLUSTER_FILE, places.KIT / CLUSTER_IN_KIT]
    given = [Path(options.cluster)] if options.cluster else []
    return next((file.resolve() for file in given + candidates if file.is_file()), None)


def find_port(options: Options, cluster: Path | None, bundle: Bundle) -> int:
    """Return the port that the gateway will have; raise CommandError with every fault of cluster.toml."""
    given, installed = options.cluster, places.CLUSTER_FILE
    if given and installed.is_file() and not have_same_text(Path(given), installed):
        step(f"the slots and the port come from {given}; {installed} differs from it and is left as it is")
    default = text_in_kit(bundle, CLUSTER_IN_KIT)
    found = load_cluster(cluster) if cluster else parse_cluster(default, "the bundle's cluster.toml")
    return check_port(found.port, found.source)


def text_in_kit(bundle: Bundle, name: str) -> str:
    """Return the text of a file in the kit's archive."""
    with tarfile.open(bundle.kit) as archive:
        return archive.extractfile(name).read().decode()  # type: ignore[union-attr]


def have_same_text(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)
