"""`python -m scripts.models.tools.teach FOLDER`: fill an empty folder with a model that knows new classes."""

import ctypes
import signal
import sys
from pathlib import Path

from scripts.models.tools import TeachTask, read_arguments, run_and_report
from scripts.models.tools.teach.teaching import run

PR_SET_PDEATHSIG = 1  # https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html


def main(out: Path, task: TeachTask) -> int:
    _end_with_parent()
    return run_and_report(lambda: run(out, task), out, out.parent / task.name, out.parent)


def _end_with_parent() -> None:
    """End when the command that started this process is killed, or the next one would find the features in use."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(*read_arguments(TeachTask)))
