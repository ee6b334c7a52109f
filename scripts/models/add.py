"""`make model-add`: a model folder from files at hand, made beside its place and moved there once it answers."""

import contextlib
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts._vendor import tomlkit
from scripts.base.console import say
from scripts.base.errors import Refusal
from scripts.cluster.config import ROOT
from scripts.cluster.hardware import read_hardware
from scripts.host.environments import TOOLS, ensure
from scripts.models import store as library
from scripts.models import tools as model_tools

NEW, OLD = ".new", ".old"  # of hidden folders beside the one that is made or replaced
ENDINGS = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Order:
    """What is to be made, and from what; an empty text stands for what was not given."""

    models: Path
    name: str
    source: str
    loader: str = ""
    architecture: str = ""
    labels_en: str = ""
    labels_zh: str = ""
    golden: str = ""
    trust_code: bool = False
    force: bool = False
    templates: str = ""
    prepare: bool = True
    calibration: str = ""  # a folder of pictures
    origin: str = ""  # where the files were fetched from
    channels: str = ""  # a whole number

    @property
    def target(self) -> Path:
        return self.models / self.name


def add(order: Order) -> None:
    """Make the folder that `order` describes; raises Refusal, and then leaves nothing behind."""
    arguments = _arguments(order)
    be_tidy()
    with hidden(order) as folder:
        python = ensure(TOOLS, nvidia=bool(read_hardware().gpus))
        model_tools.run(python, "add", ["--name", order.name, "--out", folder, *arguments])
        if order.prepare:
            prepare(python, folder, order.target, order.calibration)
        put(folder, order.target)
    library.record(order.models, order.target, good=True)
    shown = order.target.relative_to(ROOT) if order.target.is_relative_to(ROOT) else order.target
    say(f"\nadded: {shown}. To serve it, put this into the cluster's file, first to make it the default:\n")
    say(f'  [[models]]\n  name = "{order.name}"\n  folder = {tomlkit.item(str(shown)).as_string()}')


def prepare(python: Path, folder: Path, target: Path, calibration: str) -> None:
    """Prepare `folder`, a draft of `target`, on pictures in `calibration`, "" for generated ones; raises Refusal."""
    pictures = ["--calibration", str(Path(calibration).absolute())] if calibration else []
    model_tools.run(python, "prepare", ["--folder", folder, "--shown", target, *pictures])


def calibration_faults(calibration: str) -> list[str]:
    """What is wrong with the place of the pictures, "" for none."""
    if calibration and not Path(calibration).is_dir():
        return [f"CALIBRATION: {calibration}: no such folder: needed one with pictures"]
    return []


def be_tidy() -> None:
    """Let what is made be read by the account that serves, and let a signal's end clean up as any other does."""
    os.umask(0o022)
    for signum in ENDINGS:
        signal.signal(signum, lambda number, _: sys.exit(128 + number))


def name_faults(order: Order) -> list[str]:
    """What is wrong with the name, and with putting a model in its place."""
    try:
        library.check_name(order.name)
    except Refusal as refusal:
        return list(refusal.lines)
    if order.target.exists() and not order.force:
        return [f"{order.target}: is there already: give another NAME=, or FORCE=1 to replace it"]
    return []


def file_faults(order: Order) -> list[str]:
    """Which of the files that go with the model are not there."""
    given = {name: path for name, path in _files(order).items() if path}
    missing = [f"{variable}: {path}: no such file" for variable, path in given.items() if not Path(path).is_file()]
    return missing + _channels_faults(order.channels) + calibration_faults(order.calibration)


def _channels_faults(channels: str) -> list[str]:
    if not channels or (channels.isdecimal() and int(channels)):
        return []
    return [f"CHANNELS: found {channels!r}, needed how many each picture has: 1 for grey, 3 for RGB, or another number"]


def _files(order: Order) -> dict[str, str]:
    labels = {"LABELS_EN": order.labels_en, "LABELS_ZH": order.labels_zh}
    return labels | {"TEMPLATES": order.templates, "GOLDEN": order.golden}


def _arguments(order: Order) -> list[str]:
    """The tool's arguments, paths absolute; raises Refusal, naming every fault that shows before anything is done."""
    source = []
    if not order.source:
        source = ["SOURCE: found nothing, needed the path of the model's file or folder"]
    elif not Path(order.source).exists():
        source = [f"SOURCE: {order.source}: no such file or folder"]
    if found := name_faults(order) + source + file_faults(order):
        raise Refusal(*found)
    paths = {"SOURCE": order.source, **_files(order)}
    flags = {f"--{name.lower().replace('_', '-')}": str(Path(path).absolute()) for name, path in paths.items() if path}
    flags |= {"--loader": order.loader, "--architecture": order.architecture, "--origin": order.origin}
    flags["--channels"] = order.channels
    given = [part for flag, value in flags.items() if value for part in (flag, value)]
    return [*given, *(["--trust-code"] if order.trust_code else [])]


@contextlib.contextmanager
def hidden(order: Order) -> Iterator[Path]:
    """A new folder beside the target, locked while it is worked in, and gone afterwards unless it was moved."""
    folder = order.models / f".{order.name}{NEW}"
    try:
        order.models.mkdir(parents=True, exist_ok=True)
        _clear(order.models)
        folder.mkdir()
    except OSError as error:
        if folder.is_dir():
            raise Refusal(f"{folder}: another model-add makes this model now: wait for it") from error
        raise Refusal(f"{error.filename}: {error.strerror}: needed a folder to write in, MODELS=") from error
    with locked(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _clear(models: Path) -> None:
    """Undo what a model-add left that was killed outright: its lock died with it."""
    for folder in models.glob(f".*{NEW}"):
        with contextlib.suppress(BlockingIOError), locked(folder):
            shutil.rmtree(folder)
    for folder in models.glob(f".*{OLD}"):
        place = folder.with_name(folder.name.removeprefix(".").removesuffix(OLD))
        if place.exists():
            shutil.rmtree(folder)
        else:
            folder.rename(place)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`; raises BlockingIOError when another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def put(folder: Path, target: Path) -> None:
    """Move the finished folder to its place; what was there goes once the new one stands."""
    old = target.with_name(f".{target.name}{OLD}")
    if target.exists():
        target.rename(old)
    folder.rename(target)
    shutil.rmtree(old, ignore_errors=True)
