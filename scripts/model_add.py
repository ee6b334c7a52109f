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

from scripts import library, model_tools
from scripts.cluster import ROOT
from scripts.console import say
from scripts.environments import TOOLS, ensure
from scripts.hardware import read_hardware
from scripts.refusal import Refusal

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

    @property
    def target(self) -> Path:
        return self.models / self.name


def add(order: Order) -> None:
    """Make the folder that `order` describes; raises Refusal, and then leaves nothing behind."""
    arguments = _arguments(order)
    os.umask(0o022)  # the account that serves must be able to read it, whoever adds it
    for signum in ENDINGS:
        signal.signal(signum, lambda number, _: sys.exit(128 + number))
    with _hidden(order) as folder:
        python = ensure(TOOLS, nvidia=bool(read_hardware().gpus))
        with model_tools.start(python, "add", ["--name", order.name, "--out", folder, *arguments]) as tool:
            try:
                tool.wait()
            except BaseException:
                tool.kill()
                raise
        if tool.returncode < 0:
            raise Refusal(f"killed by signal {-tool.returncode}; is there enough memory?")
        if tool.returncode:
            raise Refusal()  # the tool has said why
        _put(folder, order.target)
    library.record(order.models, order.target, good=True)
    shown = order.target.relative_to(ROOT) if order.target.is_relative_to(ROOT) else order.target
    say(f"\nadded: {shown}. To serve it, put this into the cluster's file, first to make it the default:\n")
    say(f'  [[models]]\n  name = "{order.name}"\n  folder = "{shown}"')


def _arguments(order: Order) -> list[str]:
    """The tool's arguments, paths absolute; raises Refusal, naming every fault that shows before anything is done."""
    faults: list[str] = []
    try:
        library.check_name(order.name)
    except Refusal as refusal:
        faults += refusal.lines
    else:
        if order.target.exists() and not order.force:
            faults.append(f"{order.target}: is there already: give another NAME=, or FORCE=1 to replace it")
    if not order.source:
        faults.append("SOURCE: found nothing, needed the path of the model's file or folder")
    paths = {
        "SOURCE": order.source, "LABELS_EN": order.labels_en, "LABELS_ZH": order.labels_zh, "GOLDEN": order.golden
    }  # fmt: skip
    for variable, path in paths.items():
        if path and not (Path(path).exists() if variable == "SOURCE" else Path(path).is_file()):
            faults.append(f"{variable}: {path}: no such file{' or folder' if variable == 'SOURCE' else ''}")
    if faults:
        raise Refusal(*faults)
    flags = {f"--{name.lower().replace('_', '-')}": str(Path(path).absolute()) for name, path in paths.items() if path}
    flags |= {"--loader": order.loader, "--architecture": order.architecture}
    given = [part for flag, value in flags.items() if value for part in (flag, value)]
    return [*given, *(["--trust-code"] if order.trust_code else [])]


@contextlib.contextmanager
def _hidden(order: Order) -> Iterator[Path]:
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
    with _locked(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _clear(models: Path) -> None:
    """Undo what a model-add left that was killed outright: its lock died with it."""
    for folder in models.glob(f".*{NEW}"):
        with contextlib.suppress(BlockingIOError), _locked(folder):
            shutil.rmtree(folder)
    for folder in models.glob(f".*{OLD}"):
        place = folder.with_name(folder.name.removeprefix(".").removesuffix(OLD))
        if place.exists():
            shutil.rmtree(folder)
        else:
            folder.rename(place)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`; raises BlockingIOError when another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _put(folder: Path, target: Path) -> None:
    """Move the finished folder to its place; what was there goes once the new one stands."""
    old = target.with_name(f".{target.name}{OLD}")
    if target.exists():
        target.rename(old)
    folder.rename(target)
    shutil.rmtree(old, ignore_errors=True)
