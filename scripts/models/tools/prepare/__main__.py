"""`python -m scripts.models.tools.prepare`: prepare a model folder where it stands."""

import sys

from scripts.models.tools import PrepareTask, received, reported
from scripts.models.tools.prepare.preparation import prepare

if __name__ == "__main__":
    folder, task = received(PrepareTask)
    sys.exit(reported(lambda: prepare(folder, task.calibration), folder, task.shown, task.shown))
