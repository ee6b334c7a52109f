"""`python -m scripts.models.tools.evaluate`: evaluate a model folder on labelled images and write a report."""

import sys
from pathlib import Path

from scripts.base.console import say
from scripts.models.tools import EvaluateTask, read_arguments, run_and_report
from scripts.models.tools.evaluate import JSON, PAGE
from scripts.models.tools.evaluate.evaluation import evaluate
from scripts.models.tools.evaluate.page import page
from scripts.models.tools.evaluate.report import table, to_json
from scripts.models.tools.evaluate.thumbnails import data_urls
from worker.models.folder import read_folder

ESCAPED = "backslashreplace"  # for file names that are not UTF-8; JSON has the same notation


def report(out: Path, task: EvaluateTask) -> None:
    """Write the report of an evaluation into the folder `out`; raise ModelError, CommandError or OSError."""
    evaluation, mistakes = evaluate(task.model, task.images, task.on_gpus)
    pixels = read_folder(task.model).input.pixels
    (out / PAGE).write_text(page(evaluation, data_urls(mistakes, pixels)), encoding="utf-8")
    (out / JSON).write_text(to_json(evaluation), encoding="utf-8", errors=ESCAPED)
    say(f"\n{table(evaluation)}")


def main(folder: Path, task: EvaluateTask) -> int:
    return run_and_report(lambda: report(folder, task), folder, folder, task.images)


if __name__ == "__main__":
    sys.exit(main(*read_arguments(EvaluateTask)))
