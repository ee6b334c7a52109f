"""Compute the features of images on all cores, and keep them in a file, so that no image is computed twice."""

import fcntl
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from scripts.base.errors import CommandError
from scripts.base.progress import Progress
from scripts.models.tools.evaluate.dataset import SkippedFile
from scripts.models.tools.evaluate.run import results, value_or_fault
from scripts.models.tools.prepare.isolated import Placement
from scripts.models.tools.teach.images import Example
from scripts.models.tools.teach.views import views
from worker.decode import Bounds
from worker.models.input import Infer, Input

FINGERPRINT_SIDE = 16  # of the grid of grey levels whose differences are an image's fingerprint
FINGERPRINT_BYTES = FINGERPRINT_SIDE**2 // 8
STORED = "features of views 1"  # changes with what the file of features holds


@dataclass(frozen=True)
class Seen:
    """An image as a network sees it: the features of its views, float32 [V, D], the first being the image as it is.

    `fingerprint` is uint8 [FINGERPRINT_BYTES].
    """

    views: np.ndarray
    fingerprint: np.ndarray

    @property
    def features(self) -> np.ndarray:
        """Return the features of the image as it is, float32 [D]."""
        first: np.ndarray = self.views[0]
        return first


@dataclass(frozen=True)
class Look:
    """The image at `path`, to be seen in so many views."""

    path: Path
    views: int


def see(
    network: Path,
    model_input: Input,
    examples: Sequence[Example],
    count: int,
    cache: Path,
    placements: Sequence[Placement],
) -> tuple[dict[str, Seen], list[SkippedFile]]:
    """Return each image in `count` views by its digest, and the images that cannot be decoded. Held-out ones have one.

    `network` computes the features; those that the file `cache` has are taken from there, others are added to it.
    """
    missing = {example.digest: example for example in examples}
    with opened(cache) as store:
        wanted = {digest: 1 if one.held_out else count for digest, one in missing.items()}
        seen = {digest: one for digest, one in store.read(wanted) if len(one.views) == wanted[digest]}
        todo = [example for digest, example in missing.items() if digest not in seen]
        if not todo:
            return seen, []
        work = partial(compute_all, network=network, model_input=model_input)
        jobs = [Look(one.path, wanted[one.digest]) for one in todo]
        progress, skipped = Progress(len(todo)), list[SkippedFile]()
        try:
            for position, result in results(work, jobs, placements, progress.start):
                progress.advance()
                if isinstance(result, str):
                    skipped.append(SkippedFile(todo[position].name, result))
                else:
                    seen[todo[position].digest] = result
                    store.add(todo[position].digest, result)
        finally:
            progress.clear()
        return seen, skipped


def compute_all(images: Connection, network: Path, model_input: Input, threads: int, gpu: str) -> None:
    """Send None once `network` is ready, then for every path received a Seen, or a text that says why there is none.

    The engine is imported here because this process must be pinned first.
    """
    from scripts.models.tools.teach.network import open_network

    infer = open_network(network, model_input, threads)
    images.send(None)
    while True:
        images.send(_see(infer, model_input, images.recv()))


def _see(infer: Infer, model_input: Input, look: Look) -> Seen | str:
    def compute(data: bytes) -> Seen:
        (pixels,) = model_input.inputs(model_input.open(data, Bounds()))
        return Seen(np.stack([infer(one[np.newaxis])[0] for one in views(pixels, look.views)]), fingerprint(pixels))

    seen = value_or_fault(look.path, compute)
    if isinstance(seen, Seen) and not np.isfinite(seen.views).all():
        return "the network returned features that are not finite numbers"
    return seen


def fingerprint(pixels: np.ndarray) -> np.ndarray:
    """Return which grey levels of a coarse grid are above their left neighbour's, uint8 [FINGERPRINT_BYTES].

    Copies of an image in other sizes and qualities differ in a few of the bits alone (N. Krawetz, "Kind of like that",
    2013). `pixels` are uint8 [H, W, C].
    """
    grey = Image.fromarray(pixels.mean(axis=2).astype(np.uint8))
    levels = np.asarray(grey.resize((FINGERPRINT_SIDE + 1, FINGERPRINT_SIDE), Image.Resampling.BOX), np.int16)
    return np.packbits(np.diff(levels, axis=1) > 0)


def cache_key(*parts: object) -> str:
    """Return a name for the features of one network: they depend on all `parts`."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


class _Store:
    """Records of a digest, a fingerprint and the features of one view, one after the other in a file.

    The last one may be incomplete, if a process was killed while it wrote; a checksum tells which are whole.
    """

    def __init__(self, file: BinaryIO, width: int) -> None:
        self._file = file
        self._type = np.dtype(
            [
                ("digest", "S64"),
                ("view", "u1"),
                ("sum", "S8"),
                ("fingerprint", "u1", FINGERPRINT_BYTES),
                ("features", "<f4", width),
            ]
        )

    def read(self, wanted: Mapping[str, int]) -> Iterator[tuple[str, Seen]]:
        """Yield each image of `wanted`, digests with a number of views, in as many of these as there are.

        Remove what is behind the last complete record.
        """
        self._file.seek(0)
        data = self._file.read()
        count = len(data) // self._type.itemsize
        self._file.truncate(count * self._type.itemsize)
        found: dict[str, dict[int, np.void]] = {}
        for row in np.frombuffer(data, self._type, count):
            digest = row["digest"].decode("ascii", "replace")
            if row["view"] < wanted.get(digest, 0) and _checksum(row["features"], row["fingerprint"]) == row["sum"]:
                found.setdefault(digest, {})[int(row["view"])] = row
        for digest, rows in found.items():
            if {*range(len(rows))} == rows.keys():
                yield digest, Seen(np.stack([rows[view]["features"] for view in sorted(rows)]), rows[0]["fingerprint"])

    def add(self, digest: str, seen: Seen) -> None:
        """Append a record for each view."""
        rows = [
            (digest, view, _checksum(values, seen.fingerprint), seen.fingerprint, values)
            for view, values in enumerate(seen.views)
        ]
        self._file.seek(0, 2)
        self._file.write(np.array(rows, self._type).tobytes())
        self._file.flush()


def _checksum(features: np.ndarray, fingerprint: np.ndarray) -> bytes:
    return hashlib.sha256(features.tobytes() + fingerprint.tobytes()).hexdigest()[:8].encode()


@contextmanager
def opened(cache: Path) -> Iterator[_Store]:
    """Yield the store in the file `cache`, whose suffix is the number of features; raise CommandError if in use."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    with cache.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(f"{cache.parent}: another command is teaching this model: wait for it to end") from None
        yield _Store(file, int(cache.suffix[1:]))
