"""Make labels in several languages from the names of folders. Pure, but for reading the file that may state them."""

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from scripts.base.console import printable
from scripts.base.errors import CommandError
from scripts.models.tools.evaluate.report import abbreviated
from worker.contract.languages import is_language
from worker.models.labels import Labels

LABELS_FILE = "labels.csv"  # in the folder of images: two columns, the label in Chinese and in English
CHINESE, ENGLISH = "zh", "en"
HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
JOINERS = "\u200c\u200d"
MAX_CHARACTERS = 200  # of a label


def labels_of(source: Path, names: Sequence[str], known: Labels | None = None) -> tuple[Labels, list[str]]:
    """Return the labels of the classes whose folders are called `names`, and the faults of these.

    Those of the first classes are `known`.
    LABELS_FILE in `source` states them; else a name is a label, and `猫_cat` is one in Chinese and in English. Raise
    CommandError if LABELS_FILE cannot be read.
    """
    stated = _stated(source / LABELS_FILE)
    columns = zip(*known.names.values(), strict=True) if known else ()
    rows = [dict(zip(known.names, texts, strict=True)) for texts in columns] if known else []
    rows += [stated.get(name) or _from_name(name) for name in names[len(rows) :]]
    languages = sorted({language for row in rows for language in row}, key=(CHINESE, ENGLISH).index)
    texts = {each: tuple(_text(row.get(each) or next(iter(row.values()))) for row in rows) for each in languages}
    faults = [fault for lines in texts.values() for fault in _faults(source, lines)]
    return Labels(texts), list(dict.fromkeys(faults))


def _from_name(name: str) -> dict[str, str]:
    """Return the label in each language that the folder's `name` has."""
    first, _, second = name.partition("_")
    if first.strip() and second.strip() and bool(HAN.search(first)) != bool(HAN.search(second)):
        return {_language(first): first, _language(second): second}
    return {_language(name): name}


def _language(text: str) -> str:
    return CHINESE if HAN.search(text) else ENGLISH


def _stated(path: Path) -> dict[str, dict[str, str]]:
    """Return the labels in the file at `path` by each of them; {} if there is no such file. A header is passed over."""
    try:
        rows = list(csv.reader(composed(path.read_text(encoding="utf-8-sig")).splitlines()))
    except FileNotFoundError:
        return {}
    except (UnicodeDecodeError, csv.Error) as error:
        raise CommandError(f"{path}: {error}: needed two columns, {CHINESE},{ENGLISH}, saved as UTF-8") from error
    stated: dict[str, dict[str, str]] = {}
    for number, cells in enumerate(rows, 1):
        row = [cell.strip() for cell in cells]
        if not any(row) or (number == 1 and all(map(is_language, row)) and {*row} == {CHINESE, ENGLISH}):
            continue
        if len(row) != len((CHINESE, ENGLISH)) or not all(row):
            raise CommandError(
                f"{path}, line {number}: found {row}, needed two columns: the label in Chinese and English"
            )
        first, second = row if not (HAN.search(row[1]) and not HAN.search(row[0])) else reversed(row)
        stated |= {key: {CHINESE: first, ENGLISH: second} for key in (first, second, f"{first}_{second}")}
    return stated


def _text(name: str) -> str:
    """Return `name` in one line."""
    return " ".join(composed(name).split())


def composed(text: str) -> str:
    """Return `text` with composed characters: macOS writes an accent in a file's name as a character of its own."""
    return unicodedata.normalize("NFC", text)


def _is_shown(line: str) -> bool:
    """Return whether every character of `line` is printable, or joins others as in Persian, Indic scripts and emoji."""
    return all(char.isprintable() or char in JOINERS for char in line)


def _faults(source: Path, lines: Sequence[str]) -> list[str]:
    faults = []
    for line in lines:
        if not line or not _is_shown(line):
            faults.append(
                f"IMAGES: {source}: found the class '{printable(line)}', needed printable characters: rename it"
            )
        elif len(line) > MAX_CHARACTERS:
            faults.append(
                f"IMAGES: {source}: found a class name of {len(line)} characters, {line[:40]}..., needed at most "
                f"{MAX_CHARACTERS}: rename the folder, or state its labels in {LABELS_FILE}"
            )
    counts = Counter(line.casefold() for line in lines)
    if repeated := list(dict.fromkeys(line for line in lines if counts[line.casefold()] > 1)):
        shown = abbreviated(repeated)
        faults.append(
            f"IMAGES: {source}: found several classes called {shown}, needed names that differ in more than upper and "
            "lower case: rename them"
        )
    return faults
