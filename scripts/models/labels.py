"""Parse `LABELS=zh:FILE,en:FILE`, the label files by language, for `model-add` and `model-fetch`."""

import re
from collections.abc import Mapping
from pathlib import Path

from worker.contract.languages import FORM, canonical, is_language

EXAMPLE = "zh:FILE,en:FILE"
RETIRED_SEPARATOR = re.compile(r"\s+(?=LABELS_\w+=)")
SEPARATOR = re.compile(r",(?=[^,:/]*:)")  # a comma before the next language, not a comma in a file name


def read_labels(text: str) -> tuple[dict[str, str], list[str]]:
    """Return the label files in `text` by language, and a line for each fault."""
    files: dict[str, str] = {}
    faults = []
    for part in SEPARATOR.split(text) if text else ():
        code, colon, path = part.partition(":")
        code = code.strip()
        language = canonical(code)
        if not colon or not path or "/" in code:
            faults.append(f"LABELS: found {part!r}, needed LANGUAGE:FILE, one or several such as {EXAMPLE}")
        elif not is_language(code):
            faults.append(f"LABELS: found {code!r}, needed {FORM}")
        elif language in files:
            faults.append(f"LABELS: found {language} twice, needed each language once: keep one of its files")
        else:
            files[language] = path
    return files, faults


def file_faults(files: Mapping[str, str]) -> list[str]:
    """Return a line for each of `files` (by language) that is missing or empty."""
    faults = []
    for language, path in files.items():
        prefix = f"LABELS: {language}: {path}"
        if not Path(path).is_file():
            faults.append(f"{prefix}: no such file")
        elif not Path(path).read_bytes().strip():
            faults.append(f"{prefix}: found an empty file, needed one label a line")
    return faults


def retired_faults(variables: str) -> list[str]:
    """Return a line with the remedy if `variables` ("NAME=FILE ...") has any retired LABELS_<language> variable."""
    files = dict(variable.split("=", 1) for variable in sorted(RETIRED_SEPARATOR.split(variables.strip())) if variable)
    labels = ",".join(f"{canonical(name.removeprefix('LABELS_'))}:{path}" for name, path in files.items())
    return [f"{', '.join(files)}: no longer supported: set LABELS={labels}"] if files else []
