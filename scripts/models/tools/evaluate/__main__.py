"""`python -m scripts.models.tools.evaluate`: evaluate a model folder on labelled images and write a report."""

import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.base.console import say
from scripts.models.tools import EvaluateTask, read_arguments, run_and_report
from scripts.models.tools.evaluate import JSON, PAGE
from scripts.models.tools.evaluate.comparison import Answered, write
from scripts.models.tools.evaluate.dataset import Image
from scripts.models.tools.evaluate.evaluation import evaluate
from scripts.models.tools.evaluate.page import page
from scripts.models.tools.evaluate.report import Evaluation, table, to_json
from scripts.models.tools.evaluate.run import Answer
from scripts.models.tools.evaluate.thumbnails import data_urls
from worker.models.folder import read_folder

ESCAPED = "backslashreplace"  # for file names that are not UTF-8; JSON has the same notation


def report(out: Path, task: EvaluateTask) -> None:
    """Write the report of an evaluation into the folder `out`, or the answers alone to the file that `task` names.

    Raise ModelError, CommandError or OSError.
    """
    evaluation, answered = evaluate(task.model, task.images, task.on_gpus)
    if task.answers:
        write(task.answers, _answers(task.model.name, evaluation, answered))
        return
    mistakes = [answered[position][0].path for position in evaluation.metrics.mistakes]
    pixels = read_folder(task.model).input.pixels
    (out / PAGE).write_text(page(evaluation, data_urls(mistakes, pixels)), encoding="utf-8")
    (out / JSON).write_text(to_json(evaluation), encoding="utf-8", errors=ESCAPED)
    say(f"\n{table(evaluation)}")


def _answers(name: str, evaluation: Evaluation, answered: Sequence[tuple[Image, Answer]]) -> Answered:
    """Return the answers of the model folder `name` as they are compared."""
    runs = f"{evaluation.engine} {evaluation.precision}"
    images = {
        image.name: (str(image.path), image.truth, answer.best[0], round(answer.score, 6)) for image, answer in answered
    }
    return Answered(name, evaluation.version, runs, evaluation.labels.names, images)


def main(folder: Path, task: EvaluateTask) -> int:
    return run_and_report(lambda: report(folder, task), folder, folder, task.images)


if __name__ == "__main__":
    sys.exit(main(*read_arguments(EvaluateTask)))
