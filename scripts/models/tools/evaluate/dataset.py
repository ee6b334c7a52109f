"""The images of a folder or of a CSV file, and the class that each of them shows."""

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.models.tools.evaluate.classes import Classes, UnknownClass
from worker.decode import sniff

# What file managers and file systems put beside files; what is hidden is skipped, too.
CLUTTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "lost+found"}
SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif",
}  # fmt: skip
HEAD = 32  # bytes that tell an image's format
FILE, LABEL = "file", "label"
# What else the two columns are called.
HEADERS = {
    FILE: {FILE, "filename", "file_name", "filepath", "path", "image", "文件", "文件名", "路径", "图片", "图像"},
    LABEL: {LABEL, "class", "category", "标签", "类别", "分类"},
}
DELIMITERS = ",;\t"
NO_CLASS = "in no class's folder, and without a label"


@dataclass(frozen=True)
class Image:
    """An image of class `truth`; `name` is its path as the folder or the CSV file has it."""

    path: Path
    name: str
    truth: int


@dataclass(frozen=True)
class LeftOut:
    """A file that is not evaluated, and why."""

    file: str
    reason: str


@dataclass
class Unknown:
    """A class that the model does not have: how many images show it, and why it is none of the model's."""

    reason: str
    images: int = 0


@dataclass
class Dataset:
    """What was found; `unknown` is by class name, "" for images without one."""

    images: list[Image] = field(default_factory=list)
    unknown: dict[str, Unknown] = field(default_factory=dict)
    broken: list[LeftOut] = field(default_factory=list)
    not_images: list[LeftOut] = field(default_factory=list)


@dataclass(frozen=True)
class _Labelled:
    path: Path
    name: str
    label: str
    fault: str = ""  # why there is no such file


def read(place: Path, classes: Classes) -> Dataset:
    """Return the images of `place`: a folder with a folder for each class, or a CSV file of FILE,LABEL.

    Images at a folder's top have the class of the synset that their names begin with. Raise CommandError for a CSV file
    that cannot be read; what else is wrong is part of the result.
    """
    found = Dataset()
    for labelled in _folder(place, classes) if place.is_dir() else _table(place):
        _sort(labelled, classes, found)
    return found


def _sort(labelled: _Labelled, classes: Classes, found: Dataset) -> None:
    """Put one file where it belongs."""
    if fault := labelled.fault or _fault(labelled.path):
        found.broken.append(LeftOut(labelled.name, fault))
    elif not _is_image(labelled.path):
        found.not_images.append(LeftOut(labelled.name, "neither its name nor its bytes are those of an image"))
    else:
        try:
            if not labelled.label:
                raise UnknownClass(NO_CLASS)
            found.images.append(Image(labelled.path, labelled.name, classes.find(labelled.label)))
        except UnknownClass as error:
            found.unknown.setdefault(labelled.label, Unknown(str(error))).images += 1


def _fault(path: Path) -> str:
    """Return why there is no file to read at `path`, "" where there is."""
    try:
        if path.is_file():
            path.open("rb").close()
            return ""
        return "not a file" if path.exists() else "no such file"
    except OSError as error:
        return error.strerror or str(error)


def _is_image(path: Path) -> bool:
    """Tell by the name, or else by the first bytes."""
    if path.suffix.lower() in SUFFIXES:
        return True
    with path.open("rb") as file:
        return sniff(file.read(HEAD)) is not None


def _folder(place: Path, classes: Classes) -> Iterator[_Labelled]:
    for entry in _visible(place.iterdir()):
        if entry.is_dir():
            yield from _class_folder(place, entry)
        else:
            yield _Labelled(entry, entry.name, classes.synset(entry.name))


def _class_folder(place: Path, folder: Path) -> Iterator[_Labelled]:
    """Yield every file in `folder` and below."""
    faults: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=faults.append):
        folders[:] = [path.name for path in _visible(Path(parent, name) for name in folders)]
        for path in _visible(Path(parent, name) for name in files):
            yield _Labelled(path, str(path.relative_to(place)), folder.name)
    for error in faults:
        yield _Labelled(Path(error.filename), os.path.relpath(error.filename, place), "", error.strerror or str(error))


def _visible(paths: Iterator[Path]) -> list[Path]:
    return sorted(path for path in paths if not path.name.startswith(".") and path.name.lower() not in CLUTTER)


def _table(place: Path) -> Iterator[_Labelled]:
    """Yield every row of a CSV file, whose paths are absolute or start at its folder."""
    columns: tuple[int, int] | None = None
    for line, row in _rows(place):
        if columns is None:
            header = _header(row)
            columns = header or (0, 1)
            if header:
                continue
        if len(row) <= max(columns):
            reason = f"found {len(row)} {'column' if len(row) == 1 else 'columns'}, needed {FILE},{LABEL}"
            yield _Labelled(place, f"{place.name}, line {line}", "", reason)
            continue
        name, label = (row[column].strip() for column in columns)
        yield _Labelled(_path(place.parent, name), name, label)


def _rows(place: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the number of its line."""
    try:
        text = place.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(
            f"IMAGES: {place}: byte {error.start} is not UTF-8: needed a folder, or a CSV file of {FILE},{LABEL} "
            "saved as UTF-8"
        ) from error
    except OSError as error:
        raise CommandError(f"IMAGES: {place}: {error.strerror}: needed leave to read it") from error
    first = text.lstrip().partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter=next((mark for mark in DELIMITERS if mark in first), ","))
    try:
        yield from ((reader.line_num, row) for row in reader if any(cell.strip() for cell in row))
    except csv.Error as error:
        raise CommandError(f"IMAGES: {place}: line {reader.line_num}: {error}: needed {FILE},{LABEL}") from error


def _header(row: list[str]) -> tuple[int, int] | None:
    """Return the columns of the file and of the label where `row` names both."""
    names = [cell.strip().casefold() for cell in row]
    places = [next((names.index(name) for name in names if name in HEADERS[kind]), None) for kind in (FILE, LABEL)]
    return (places[0], places[1]) if places[0] is not None and places[1] is not None else None


def _path(folder: Path, name: str) -> Path:
    """Return where `name` lies, written with the separators of another system or not."""
    path = folder / name
    return folder / name.replace("\\", "/") if "\\" in name and not os.path.lexists(path) else path
