"""`python -m scripts.models.tools.teach FOLDER`: fill an empty folder with a model that knows new classes."""

import sys
from pathlib import Path

from scripts.models.tools import TeachTask, read_arguments, run_and_report
from scripts.models.tools.teach.teaching import run


def main(out: Path, task: TeachTask) -> int:
    return run_and_report(lambda: run(out, task), out, out.parent / task.name, out.parent)


if __name__ == "__main__":
    sys.exit(main(*read_arguments(TeachTask)))
