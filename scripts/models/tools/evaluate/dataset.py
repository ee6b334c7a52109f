"""Read a data set: the images of a folder or a CSV file, and the class of each."""

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from scripts.base.errors import CommandError
from scripts.base.image_files import SUFFIXES
from scripts.models.tools.evaluate.classes import UnknownClass
from worker.contract.litter import is_litter
from worker.decode import sniff

SIGNATURE_BYTES = 32  # enough to recognise an image's format
FILE, LABEL = "file", "label"
# Accepted names of the two columns.
HEADERS = {
    FILE: {FILE, "filename", "file_name", "filepath", "path", "image", "文件", "文件名", "路径", "图片", "图像"},
    LABEL: {LABEL, "class", "category", "标签", "类别", "分类"},
}
DELIMITERS = ",;\t"
NO_CLASS = "in no class folder and without a label"


class Classes(Protocol):
    """Classes by name: `find` returns an index or raises UnknownClass, `synset` the synset in a file's name or ""."""

    def find(self, name: str) -> int: ...
    def synset(self, file_name: str) -> str: ...


@dataclass(frozen=True)
class Image:
    """An image of class `truth`; `name` is its path relative to the folder, or as in the CSV file."""

    path: Path
    name: str
    truth: int


@dataclass(frozen=True)
class SkippedFile:
    """A file that is not evaluated, and why."""

    file: str
    reason: str


@dataclass
class UnknownName:
    """A class name that the model does not have: why, and the number of its images."""

    reason: str
    images: int = 0


@dataclass
class Dataset:
    """The images and all other files; `unknown` is by class name, "" for images without one."""

    images: list[Image] = field(default_factory=list)
    unknown: dict[str, UnknownName] = field(default_factory=dict)
    broken: list[SkippedFile] = field(default_factory=list)
    not_images: list[SkippedFile] = field(default_factory=list)


@dataclass(frozen=True)
class _Labelled:
    path: Path
    name: str
    label: str
    fault: str = ""  # why the file cannot be read


def read(source: Path, classes: Classes) -> Dataset:
    """Return the data set in `source`: a folder with a subfolder for each class, or a CSV file of FILE,LABEL.

    An image directly in the folder has the class of the synset that its name begins with. Raise CommandError if a CSV
    file cannot be read; all other faults are part of the result.
    """
    dataset = Dataset()
    for labelled in _folder(source, classes) if source.is_dir() else _table(source):
        _add(labelled, classes, dataset)
    return dataset


def _add(labelled: _Labelled, classes: Classes, dataset: Dataset) -> None:
    """Add a file to the list of `dataset` where it belongs."""
    if fault := labelled.fault or _fault(labelled.path):
        dataset.broken.append(SkippedFile(labelled.name, fault))
    elif not _is_image(labelled.path):
        dataset.not_images.append(SkippedFile(labelled.name, "neither its name nor its content is that of an image"))
    else:
        try:
            if not labelled.label:
                raise UnknownClass(NO_CLASS)
            dataset.images.append(Image(labelled.path, labelled.name, classes.find(labelled.label)))
        except UnknownClass as error:
            dataset.unknown.setdefault(labelled.label, UnknownName(str(error))).images += 1


def _fault(path: Path) -> str:
    """Return why the file at `path` cannot be read, "" if it can."""
    try:
        if path.is_file():
            path.open("rb").close()
            return ""
        return "not a file" if path.exists() else "no such file"
    except OSError as error:
        return error.strerror or str(error)


def _is_image(path: Path) -> bool:
    """Tell whether the suffix, or else the first bytes, are those of an image."""
    if path.suffix.lower() in SUFFIXES:
        return True
    with path.open("rb") as file:
        return sniff(file.read(SIGNATURE_BYTES)) is not None


def _folder(source: Path, classes: Classes) -> Iterator[_Labelled]:
    for entry in visible(source.iterdir()):
        if entry.is_dir():
            yield from _class_folder(source, entry)
        else:
            yield _Labelled(entry, entry.name, classes.synset(entry.name))


def _class_folder(source: Path, folder: Path) -> Iterator[_Labelled]:
    """Yield every file in `folder` and its subfolders."""
    faults: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=faults.append):
        folders[:] = [path.name for path in visible(Path(parent, name) for name in folders)]
        for path in visible(Path(parent, name) for name in files):
            yield _Labelled(path, str(path.relative_to(source)), folder.name)
    for error in faults:
        name = os.path.relpath(error.filename, source)
        yield _Labelled(Path(error.filename), name, "", error.strerror or str(error))


def visible(paths: Iterator[Path]) -> list[Path]:
    """Return those of `paths` that are neither hidden nor left by a file manager, sorted."""
    return sorted(path for path in paths if not path.name.startswith(".") and not is_litter(path.name))


def _table(source: Path) -> Iterator[_Labelled]:
    """Yield every row of a CSV file; its paths are absolute or relative to its folder."""
    columns: tuple[int, int] | None = None
    for line, row in _rows(source):
        if columns is None:
            header = _header(row)
            columns = header or (0, 1)
            if header:
                continue
        if len(row) <= max(columns):
            reason = f"found {len(row)} {'column' if len(row) == 1 else 'columns'}, needed {FILE},{LABEL}"
            yield _Labelled(source, f"{source.name}, line {line}", "", reason)
            continue
        name, label = (row[column].strip() for column in columns)
        yield _Labelled(_path(source.parent, name), name, label)


def _rows(source: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of each row that is not blank."""
    try:
        text = source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(
            f"IMAGES: {source}: byte {error.start} is not UTF-8: needed a folder, or a CSV file of {FILE},{LABEL} "
            "saved as UTF-8"
        ) from error
    except OSError as error:
        raise CommandError(f"IMAGES: {source}: {error.strerror}: needed permission to read it") from error
    first = text.lstrip().partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter=next((mark for mark in DELIMITERS if mark in first), ","))
    try:
        yield from ((reader.line_num, row) for row in reader if any(cell.strip() for cell in row))
    except csv.Error as error:
        raise CommandError(f"IMAGES: {source}: line {reader.line_num}: {error}: needed {FILE},{LABEL}") from error


def _header(row: list[str]) -> tuple[int, int] | None:
    """Return the columns of the file and the label if `row` is a header with both, else None."""
    names = [cell.strip().casefold() for cell in row]
    file, label = (next((names.index(name) for name in names if name in HEADERS[kind]), None) for kind in (FILE, LABEL))
    return None if file is None or label is None else (file, label)


def _path(folder: Path, name: str) -> Path:
    """Return the path of `name` in `folder`; backslashes are separators unless a file is called so."""
    path = folder / name
    return folder / name.replace("\\", "/") if "\\" in name and not os.path.lexists(path) else path
