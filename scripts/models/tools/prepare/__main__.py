"""`python -m scripts.models.tools.prepare FOLDER`: prepare a model folder in place."""

import sys
from pathlib import Path

from scripts.models.tools import PrepareTask, read_arguments, run_and_report
from scripts.models.tools.prepare.effort import QUICK, THOROUGH
from scripts.models.tools.prepare.preparation import prepare


def main(folder: Path, task: PrepareTask) -> int:
    effort = QUICK if task.quick else THOROUGH
    return run_and_report(
        lambda: prepare(folder, task.calibration, effort), folder, task.display_path, task.display_path
    )


if __name__ == "__main__":
    sys.exit(main(*read_arguments(PrepareTask)))
