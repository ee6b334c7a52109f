"""Keep in a model's folder what it was taught, so that images and classes can be added later.

The features are kept, not the images alone: these may be gone by then, and the network is the same, so that only what
is added has to be computed. The paths are kept for thumbnails and checks, which do without the images that are gone.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from scripts.base.errors import CommandError
from scripts.models.tools.evaluate.dataset import SkippedFile
from scripts.models.tools.teach import KEPT
from scripts.models.tools.teach.features import Seen
from scripts.models.tools.teach.images import Example, Lesson
from worker.contract.files import sha256
from worker.models.folder import ModelFolder
from worker.models.labels import Labels

TEXTS = ("base", "folders", "names", "paths", "digests")


@dataclass(frozen=True)
class Kept:
    """What the model `base` was taught: the names of the classes' folders, their labels, the images as seen."""

    base: str = ""
    folders: Sequence[str] = ()
    labels: Labels | None = None
    examples: Sequence[Example] = ()
    seen: Mapping[str, Seen] = field(default_factory=dict)

    @property
    def views(self) -> int | None:
        """The number of views in which all learned images were seen; None without images."""
        return min((len(self.seen[one.digest].views) for one in self.examples if not one.held_out), default=None)


def write(path: Path, base: str, folders: Sequence[str], examples: Sequence[Example], seen: Mapping[str, Seen]) -> None:
    """Write the file KEPT into the folder `path`."""
    images = [seen[one.digest] for one in examples]
    with (path / KEPT).open("wb") as file:
        np.savez(
            file,
            base=_lines([base]),
            folders=_lines(folders),
            names=_lines([one.name for one in examples]),
            paths=_lines([str(one.path) for one in examples]),
            digests=_lines([one.digest for one in examples]),
            truth=np.array([one.truth for one in examples], np.int32),
            held_out=np.array([one.held_out for one in examples], bool),
            fingerprints=np.stack([one.fingerprint for one in images]),
            views=np.array([len(one.views) for one in images], np.uint8),
            features=np.concatenate([one.views for one in images]),
        )


def read(folder: ModelFolder) -> Kept:
    """Return what the model `folder` was taught; raise CommandError if it was not."""
    try:
        with np.load(folder.path / KEPT, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        (base,), folders, names, paths, digests = map(_texts, (arrays[name] for name in TEXTS))
        ends = np.cumsum(arrays["views"].astype(int))
        views = np.split(arrays["features"], ends[:-1])
        seen = {digest: Seen(*each) for digest, *each in zip(digests, views, arrays["fingerprints"], strict=True)}
        examples = [
            Example(Path(path), name, int(truth), digest, bool(held_out), _is_still(Path(path), digest))
            for path, name, truth, digest, held_out in zip(
                paths, names, arrays["truth"], digests, arrays["held_out"], strict=True
            )
        ]
    except FileNotFoundError:
        raise CommandError(f"{folder.path}: found no {KEPT}, needed a model made by `make teach`") from None
    except (ValueError, KeyError, EOFError) as error:
        raise CommandError(f"{folder.path / KEPT}: {error}: teach the model again with IMAGES=") from error
    return Kept(base, folders, folder.output.labels, examples, seen)


def learned(path: Path) -> set[str]:
    """Return the digests of the images that the model folder at `path` learned; {} if that is not known."""
    try:
        with np.load(path / KEPT, allow_pickle=False) as file:
            digests, held_out = _texts(file["digests"]), file["held_out"].tolist()
    except (OSError, ValueError, KeyError, EOFError):
        return set()
    return {digest for digest, out in zip(digests, held_out, strict=True) if not out}


def add(lesson: Lesson, kept: Kept, added: str) -> None:
    """Put the images in `kept` before those of `lesson`, which come from the folder called `added`.

    An image that is in another class now leaves its old one.
    """
    names = {one.name for one in kept.examples}
    prefix, number = "", 1
    while any(prefix + one.name in names for one in lesson.examples):
        prefix, number = f"{added} ({number})/" if number > 1 else f"{added}/", number + 1
    new = [replace(one, name=prefix + one.name) for one in lesson.examples]
    truth = {one.digest: one.truth for one in new}
    moved = [one for one in kept.examples if truth.get(one.digest, one.truth) != one.truth]
    copies = [SkippedFile(one.name, f"is in the class {lesson.name(truth[one.digest])} now") for one in moved]
    lesson.keep([*(one for one in kept.examples if one not in moved), *new], copies=copies)


def _is_still(path: Path, digest: str) -> bool:
    """Return whether the image is where it was."""
    try:
        return sha256(path) == digest
    except OSError:
        return False


def _lines(texts: Sequence[str]) -> np.ndarray:
    """Return `texts` as bytes, uint8 [N]; a name may have bytes that are not UTF-8."""
    return np.frombuffer(b"\0".join(map(os.fsencode, texts)), np.uint8)


def _texts(lines: np.ndarray) -> list[str]:
    return [os.fsdecode(line) for line in lines.tobytes().split(b"\0")]
