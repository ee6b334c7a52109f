"""`make restore`: put back what `make backup` wrote; on a new server, the state of the swarm, too."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.base.options import Flag
from scripts.bootstrap import archive, swarm_state
from scripts.cluster.config import ROOT
from scripts.commands import Command, ServiceOptions
from scripts.models.model_store import MODELS


@dataclass(frozen=True)
class Options:
    """Which archive to put back where."""

    file: Annotated[Path, Flag("the archive that `make backup` wrote")] = ROOT / "wanwu-backup.tar.gz"
    models: Annotated[Path, Flag("the directory of the model folders")] = MODELS
    address: Annotated[str, Flag("this server's address in the swarm, if it has several")] = ""


def run(service: ServiceOptions, options: Options) -> None:
    """Put everything back; nothing is changed unless the whole archive can be read."""
    with archive.unpacked(options.file) as (folder, about):
        swarm = folder / archive.SWARM
        if swarm.is_dir():
            if os.geteuid() != 0:
                raise CommandError("found an account other than root, needed root to restore the swarm: use sudo")
            swarm_state.require_no_swarm()
        step(f"restoring what version {about['version']} had on {about['created']}")
        for part, target in ((archive.CONFIG, service.cluster.resolve().parent), (archive.MODELS, options.models)):
            if (folder / part).is_dir():
                changed = archive.put_back(folder / part, target)
                say(f"   {part}: {len(changed)} files changed in {target}")
        if swarm.is_dir():
            step("restarting Docker with the state of the swarm")
            swarm_state.restore(swarm, options.address)
            say("   this server is the swarm's one manager; the others may join again: `make init` with all of them")
    say("\nrestored: `make model-verify` checks every model, `make up` starts the service")


COMMAND = Command("put back what `make backup` wrote; on a new server, the swarm, too", Options, run, exclusive=True)
