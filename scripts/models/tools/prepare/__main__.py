"""`python -m scripts.models.tools.prepare FOLDER`: prepare a model folder in place."""

import sys

from scripts.models.tools import PrepareTask, received, reported
from scripts.models.tools.prepare.effort import QUICK, WHOLE
from scripts.models.tools.prepare.preparation import prepare

if __name__ == "__main__":
    folder, task = received(PrepareTask)
    effort = QUICK if task.quick else WHOLE
    sys.exit(reported(lambda: prepare(folder, task.calibration, effort), folder, task.shown, task.shown))
