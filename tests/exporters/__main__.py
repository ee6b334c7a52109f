"""`python -m tests.exporters`: write the networks in this folder's archives again, each with its own library."""

import json
import subprocess
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from scripts.host.environments import EXPORTERS
from scripts.host.venv import ensure
from tests.exporters import LIBRARIES, PIXELS, PROVENANCE, SIDE, archive, provenance, script

SEED = 5


def write(library: str, folder: Path) -> None:
    """Let `library` write its networks and their answers into `folder`."""
    rng = np.random.default_rng(SEED)
    noise = rng.normal(0, 60, (4, SIDE, SIDE, 3)) + rng.uniform(40, 215, (4, 1, 1, 3))
    np.save(folder / PIXELS, np.clip(noise, 0, 255).astype(np.uint8))
    subprocess.run([ensure(EXPORTERS, nvidia=False), script(library), folder], check=True)
    (folder / PROVENANCE).write_text(json.dumps(provenance(library), indent=1) + "\n")


def pack(folder: Path, target: Path) -> None:
    """Write the files in `folder` to the archive `target`, without their times."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            file.writestr(zipfile.ZipInfo(str(path.relative_to(folder))), path.read_bytes(), zipfile.ZIP_DEFLATED)


def main() -> None:
    for library in LIBRARIES:
        with tempfile.TemporaryDirectory() as name:
            write(library, Path(name))
            pack(Path(name), archive(library))


if __name__ == "__main__":
    main()
