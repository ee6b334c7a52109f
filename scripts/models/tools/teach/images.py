"""Read a folder of images to teach: its classes, the split into images to learn from and held-out ones."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.base.console import printable
from scripts.base.errors import CommandError
from scripts.models.tools.evaluate import dataset
from scripts.models.tools.evaluate.classes import UnknownClass
from scripts.models.tools.evaluate.dataset import Dataset, SkippedFile
from scripts.models.tools.evaluate.report import abbreviated, count_images
from scripts.models.tools.teach import HELD_OUT, LEARNED
from scripts.models.tools.teach.names import composed, labels_of
from worker.contract.files import sha256
from worker.models.labels import Labels

MIN_CLASSES, MIN_IMAGES = 2, 2  # images of each class: one to learn from, another to check it on
MAX_NAMED = 10  # files in an error's message
HIDDEN = "its name begins with a dot: not a class"
NEEDED = f"needed a folder for each class, with at least {MIN_IMAGES} images in each"


@dataclass(frozen=True)
class Example:
    """An image of class `truth`; `name` is its path inside the folder, `digest` the sha256 of the file.

    One that was taught earlier may not be `present`: the file is gone or another one.
    """

    path: Path
    name: str
    truth: int
    digest: str
    held_out: bool = False
    present: bool = True


@dataclass
class Lesson:
    """What is taught: the labels of the classes, and their images.

    `folders` are the names of the classes' folders, `skipped` files that cannot be used, and why, `copies` those that
    are the same as others.
    """

    labels: Labels
    examples: list[Example]
    folders: list[str] = field(default_factory=list)
    skipped: list[SkippedFile] = field(default_factory=list)
    copies: list[SkippedFile] = field(default_factory=list)

    def name(self, index: int) -> str:
        """Return the label of class `index` in all languages."""
        return self.labels.name(index, "both")

    def require_enough(self, source: Path) -> None:
        """Raise CommandError unless there is enough to learn; `source` is the folder that the images come from."""
        names = [self.name(index) for index in range(self.labels.count)]
        require_enough(source, names, self.examples, self.skipped)

    def keep(
        self, kept: Sequence[Example], skipped: Iterable[SkippedFile] = (), copies: Iterable[SkippedFile] = ()
    ) -> None:
        """Leave out all images but `kept`, for the reasons `skipped` and `copies`."""
        self.examples = list(kept)
        self.copies = sorted([*self.copies, *copies], key=lambda one: one.file)
        self.skipped = sorted([*self.skipped, *skipped], key=lambda one: one.file)


class _NewClasses:
    """Give each folder's name a class, in order of appearance, or only known ones."""

    def __init__(self, known: Sequence[str]) -> None:
        self._indices = {name: index for index, name in enumerate(known)}
        self.closed = False

    @property
    def names(self) -> list[str]:
        return list(self._indices)

    def find(self, name: str) -> int:
        name = composed(name)
        if name not in self._indices and self.closed:
            raise UnknownClass(f"there is no such folder in {LEARNED}")
        return self._indices.setdefault(name, len(self._indices))

    def synset(self, file_name: str) -> str:
        return ""


def read(source: Path, folders: Sequence[str] = (), labels: Labels | None = None) -> Lesson:
    """Return what the folder `source` teaches; raise CommandError if that has faults, with a line for each.

    `folders` and `labels` are those of classes that are known already.
    """
    classes, held_out = _NewClasses(folders), list(_held_out(source))
    parts = [(source / LEARNED, False), *((path, True) for path in held_out)] if held_out else [(source, False)]
    examples: list[Example] = []
    skipped: list[SkippedFile] = []
    for path, is_held_out in parts:
        data = dataset.read(path, classes)
        classes.closed = True
        prefix = f"{path.name}/" if held_out else ""
        examples += _examples(data, prefix, is_held_out, skipped)
        skipped += [SkippedFile(prefix + name, HIDDEN) for name in _hidden(path)]
        skipped += [SkippedFile(prefix + one.file, one.reason) for one in data.broken]
        skipped += [SkippedFile(f"{prefix}{name or '.'}", f"{count_images(one.images)}: {one.reason}")
                    for name, one in data.unknown.items()]  # fmt: skip
    if not folders:
        require_enough(source, classes.names, examples, skipped)
    elif not examples:
        raise CommandError(f"ADD: {source}: found no image, needed a folder with a folder of images for each class")
    faults = _empty_folders(parts[0][0], classes.names)
    labels, label_faults = labels_of(source, classes.names, labels)
    if faults := [*faults, *label_faults]:
        raise CommandError(*faults)
    return Lesson(labels, examples, classes.names, skipped)


def require_enough(
    source: Path, names: Sequence[str], examples: Sequence[Example], skipped: Sequence[SkippedFile] = ()
) -> None:
    """Raise CommandError unless there are MIN_CLASSES classes, and MIN_IMAGES images to learn of each.

    It also names the first of the files that were `skipped`.
    """
    if len(names) < MIN_CLASSES:
        found = f"only the class {printable(names[0])}" if names else "no folder with images"
        raise CommandError(f"IMAGES: {source}: found {found}, {NEEDED}, and at least {MIN_CLASSES} classes")
    counts = [0] * len(names)
    for example in examples:
        counts[example.truth] += not example.held_out
    few = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count < MIN_IMAGES]
    if few:
        raise CommandError(
            f"IMAGES: {source}: found too few different images that can be read in {abbreviated(few)}, needed at least "
            f"{MIN_IMAGES} in each class: add images, or remove the folder",
            *(f"{printable(one.file)}: {printable(one.reason)}" for one in skipped[:MAX_NAMED]),
        )


def _held_out(source: Path) -> Iterator[Path]:
    """Yield the folders of held-out images if `source` is split: LEARNED and some of HELD_OUT, with classes inside."""
    folders = {path.name: path for path in source.iterdir() if path.is_dir() and not path.name.startswith(".")}
    known = folders.keys() <= {LEARNED, *HELD_OUT} and len(folders) > 1 and LEARNED in folders
    if known and all(any(inner.is_dir() for inner in path.iterdir()) for path in folders.values()):
        yield from (folders[name] for name in HELD_OUT if name in folders)


def _examples(data: Dataset, prefix: str, held_out: bool, skipped: list[SkippedFile]) -> Iterator[Example]:
    """Yield the images of `data`; add to `skipped` those that cannot be read."""
    for image in data.images:
        try:
            yield Example(image.path, prefix + image.name, image.truth, sha256(image.path), held_out)
        except OSError as error:
            skipped.append(SkippedFile(prefix + image.name, error.strerror or str(error)))


def _hidden(source: Path) -> list[str]:
    """Return the names of the folders in `source` that begin with a dot."""
    return sorted(path.name for path in source.iterdir() if path.name.startswith(".") and path.is_dir())


def _empty_folders(source: Path, names: Sequence[str]) -> list[str]:
    """Return a fault for the folders in `source` that have no images."""
    folders = {composed(path.name) for path in dataset.visible(source.iterdir()) if path.is_dir()}
    if empty := sorted(folders - {*names}):
        return [f"IMAGES: {source}: found no image in {abbreviated(empty)}, {NEEDED}: add images, or remove the folder"]
    return []
