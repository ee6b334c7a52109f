"""`python -m scripts.models.tools.photos`: fill an empty folder with the embedded model."""

import sys
from pathlib import Path

from scripts.base.console import say, step
from scripts.models.tools import PhotosTask, read_arguments, run_and_report
from scripts.models.tools.photos.differences import differences
from scripts.models.tools.photos.folder import CALIBRATION_CROPS, make
from scripts.models.tools.photos.sources import find


def fill(out: Path, task: PhotosTask) -> None:
    """Fill the folder `out` and print its differences from the earlier one; raise ModelError."""
    make(find(task.wheels, task.lock.read_text(encoding="utf-8")), out, task.crops or CALIBRATION_CROPS)
    step(f"compared with {task.previous}")
    for line in list(differences(task.previous, out)) or ["no differences"]:
        say(f"   {line}")


if __name__ == "__main__":
    folder, task = read_arguments(PhotosTask)
    sys.exit(run_and_report(lambda: fill(folder, task), folder, folder, folder))
