"""`python -m scripts.models.tools.evaluate.compare FOLDER`: write the report on what several models answered."""

import sys
from pathlib import Path

from scripts.base.console import say
from scripts.models.tools import CompareTask, read_arguments, run_and_report
from scripts.models.tools.evaluate import COMPARISON_JSON, COMPARISON_PAGE
from scripts.models.tools.evaluate.comparison import compare, read
from scripts.models.tools.evaluate.comparison_report import shown, to_json, to_page, to_text
from scripts.models.tools.evaluate.thumbnails import data_urls
from worker.models.folder import read_folder


def report(out: Path, task: CompareTask) -> None:
    """Write the report into the folder `out`; raise CommandError, ModelError or OSError."""
    comparison = compare([read(Path(path)) for path in task.answers], str(task.images))
    files = [Path(comparison.models[0].images[name][0]) for name in shown(comparison)]
    page = to_page(comparison, data_urls(files, read_folder(task.model).input.pixels))
    (out / COMPARISON_PAGE).write_text(page, encoding="utf-8")
    (out / COMPARISON_JSON).write_text(to_json(comparison), encoding="utf-8", errors="backslashreplace")
    say(f"\n{to_text(comparison)}")


def main(folder: Path, task: CompareTask) -> int:
    return run_and_report(lambda: report(folder, task), folder, folder, task.images)


if __name__ == "__main__":
    sys.exit(main(*read_arguments(CompareTask)))
