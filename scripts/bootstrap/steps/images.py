"""Load the bundle's images."""

from collections.abc import Iterator
from functools import partial

from scripts.base.errors import CommandError
from scripts.bootstrap.executor import Change, Step
from scripts.bootstrap.machine import ask, docker_answers, must, run, succeeds
from scripts.bootstrap.record import Record
from scripts.bootstrap.server import Image, Server

CONTAINERD_STORE = "io.containerd.snapshotter"


def changes(server: Server) -> Iterator[Change]:
    for image in server.bundle.images:
        if not _is_loaded(image, server.record):
            yield Change(f"load image {image.reference}", partial(_load, server, image))


def _id(reference: str) -> str:
    return ask("docker", "image", "inspect", "--format", "{{.Id}}", reference)


def _is_loaded(image: Image, record: Record) -> bool:
    """containerd's image store gives images other IDs: there, the ID recorded when the file was loaded counts."""
    found = _id(image.reference)
    return bool(found) and (found == image.id or f"{image.reference} {image.id} {found}" in record.of("image"))


def _load(server: Server, image: Image) -> None:
    record = server.record
    if not succeeds("docker", "image", "inspect", image.reference):
        record.remember("loaded", image.reference)
    load = ["docker", "load", "--quiet", "--input", str(server.bundle.folder / image.file)]
    must(f"Docker could not load {image.file}: {{}}", *load)
    found = _id(image.reference)
    if CONTAINERD_STORE in ask("docker", "info", "--format", "{{.DriverStatus}}"):
        record.remember("image", f"{image.reference} {image.id} {found}")
    if not _is_loaded(image, record):
        raise CommandError(
            f"found image {image.reference} with ID {found or 'none'} after loading it, needed {image.id}: "
            "create the bundle again"
        )


def _undo_loaded(_: Record, reference: str) -> None:
    if docker_answers():
        run("docker", "image", "rm", "--force", reference)


def _undo_id(_: Record, __: str) -> None:
    """The entry only tells two IDs of one image apart."""


STEP = Step(changes, {"loaded": _undo_loaded, "image": _undo_id})
