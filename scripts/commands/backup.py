"""`make backup`: write into one archive what no bundle has: the configuration, keys, models, the state of the swarm."""

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.base.lock import exclusive
from scripts.base.options import Flag
from scripts.bootstrap import archive, swarm_state
from scripts.cluster.config import ROOT
from scripts.cluster.keys import KEYS_FILE, OWN_FILE, keys_locked
from scripts.commands import Command, ServiceOptions
from scripts.host import docker
from scripts.models.model_store import MODELS, children
from scripts.models.verified import RECORDS_FILE
from worker.contract.version import VERSION

BESIDE = (KEYS_FILE, OWN_FILE, "tls", "signers")  # what may lie beside the cluster file


@dataclass(frozen=True)
class Options:
    """Where to write the archive, and which models belong in it."""

    out: Annotated[Path, Flag("the archive")] = ROOT / "wanwu-backup.tar.gz"
    models: Annotated[Path, Flag("the directory of the model folders")] = MODELS


def run(service: ServiceOptions, options: Options) -> None:
    """Write the archive once nothing changes the service, and let nothing change it meanwhile."""
    with exclusive(service.lock, "backup", patient=True), TemporaryDirectory(prefix="wanwu-backup-") as name:
        folders = {archive.CONFIG: _configuration(service.cluster, Path(name)), **_models(options.models)}
        if docker.is_swarm_manager():
            folders[archive.SWARM] = _swarm(Path(name))
        step(f"writing {', '.join(folders)}")
        created = datetime.now(UTC).isoformat(timespec="seconds")
        archive.write(options.out, folders, {"created": created, "version": VERSION})
    say(f"\nbackup: {options.out}, {options.out.stat().st_size / 1e6:.1f} MB; it holds keys: keep it as safe as them")


def _configuration(cluster: Path, work: Path) -> Path:
    """Return a folder with copies of the cluster file, under its usual name, and of what lies beside it."""
    source, target = cluster.resolve(), work / archive.CONFIG
    target.mkdir()
    if not source.is_file():
        raise CommandError(f"{cluster}: found no such file, needed the cluster file: set CLUSTER=")
    with keys_locked(source.parent):
        shutil.copy2(source, target / "cluster.toml")
        for path in (source.parent / name for name in BESIDE):
            if path.is_dir():
                shutil.copytree(path, target / path.name)
            elif path.is_file():
                shutil.copy2(path, target)
    return target


def _models(models: Path) -> dict[str, Path]:
    """Return the finished model folders and their records, by their names in the archive."""
    finished = (path for path in children(models) if not path.name.startswith(".") or path.name == RECORDS_FILE)
    return {f"{archive.MODELS}/{path.name}": path for path in sorted(finished)}


def _swarm(work: Path) -> Path:
    if os.geteuid() != 0:
        raise CommandError("found an account other than root, needed root to read the state of the swarm: use sudo")
    swarm_state.copy(swarm_state.folder(), work / archive.SWARM)
    return work / archive.SWARM


COMMAND = Command("write what no bundle has into one archive: configuration, keys, models, the swarm", Options, run)
