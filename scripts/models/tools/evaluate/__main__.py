"""`python -m scripts.models.tools.evaluate`: evaluates a model folder on labelled images, and reports."""

import argparse
import sys
from pathlib import Path

from scripts.base.console import say, warn
from scripts.base.errors import Refusal
from scripts.models.tools.evaluate import JSON, PAGE
from scripts.models.tools.evaluate.evaluation import evaluate
from scripts.models.tools.evaluate.page import page
from scripts.models.tools.evaluate.report import table, to_json
from scripts.models.tools.evaluate.thumbnails import data_urls
from worker.contract.fields import ModelError
from worker.models.folder import read_folder

ESCAPED = "backslashreplace"  # file names may hold bytes that are no text; in JSON this is its own notation


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the model folder")
    parser.add_argument("--images", type=Path, required=True, help="a folder of classes, or a CSV file of file,label")
    parser.add_argument("--out", type=Path, required=True, help="an empty folder for the report")
    parser.add_argument("--gpus", action="store_true", help="run on the GPUs of this machine")
    options = parser.parse_args(arguments)
    try:
        found, wrong = evaluate(options.folder, options.images, options.gpus)
        pixels = read_folder(options.folder).input.pixels
        (options.out / PAGE).write_text(page(found, data_urls(wrong, pixels)), encoding="utf-8")
        (options.out / JSON).write_text(to_json(found), encoding="utf-8", errors=ESCAPED)
        say(f"\n{table(found)}")
    except (ModelError, Refusal) as error:
        for line in str(error).splitlines():
            warn(line)
        return 1
    except OSError as error:
        warn(f"{error.filename or options.images}: {error.strerror}: needed room, and leave to read and write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
