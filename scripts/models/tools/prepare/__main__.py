"""`python -m scripts.models.tools.prepare FOLDER`: prepare a model folder in place."""

import sys

from scripts.models.tools import PrepareTask, read_arguments, run_and_report
from scripts.models.tools.prepare.effort import QUICK, THOROUGH
from scripts.models.tools.prepare.preparation import prepare

if __name__ == "__main__":
    folder, task = read_arguments(PrepareTask)
    effort = QUICK if task.quick else THOROUGH
    sys.exit(
        run_and_report(lambda: prepare(folder, task.calibration, effort), folder, task.display_path, task.display_path)
    )
