"""`make model-add`: build a model folder from local files in a staging folder, and install it once it answers."""

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from scripts._vendor import tomlkit
from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.lock import exclusive, locked
from scripts.cluster.config import ROOT
from scripts.cluster.hardware import read_hardware
from scripts.host.environments import TOOLS
from scripts.host.venv import ensure
from scripts.models import model_store
from scripts.models import tools as model_tools
from scripts.models.input_options import input_values
from scripts.models.labels import file_faults as label_file_faults
from scripts.models.labels import read_labels, retired_faults
from scripts.models.options import AddModelOptions, TeachOptions
from scripts.models.tools import PrepareTask
from scripts.models.verified import record

NEW, OLD = ".new", ".old"  # suffixes of hidden folders next to the target: the new folder, the replaced one
UNPREPARED, QUICK = "0", "quick"  # values of PREPARE=
STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
FILE_OPTIONS = ("templates", "golden")  # options that name a file


def add(options: AddModelOptions, lock: Path, command: str = "model-add") -> None:
    """Make the model folder that `options` describe, for `command`; `lock` is that of the service.

    Raise CommandError if that fails, and leave nothing behind.
    """
    if faults := _faults(options):
        raise CommandError(*faults)
    target = options.target
    set_umask_and_signals()
    with staging_folder(target) as folder:
        python = ensure(TOOLS, nvidia=bool(read_hardware().gpus))
        model_tools.run(python, "add", folder, _with_absolute_paths(options))
        if options.prepare != UNPREPARED:
            prepare(python, folder, target, options.calibration, options.prepare == QUICK)
        publish(folder, target, options.models, lock, command)
    display_path = target.relative_to(ROOT) if target.is_relative_to(ROOT) else target
    say(f"\nadded: {display_path}. To serve it, add this to the cluster file; the first model is the default:\n")
    say(f'  [[models]]\n  name = "{options.name}"\n  folder = {tomlkit.item(str(display_path)).as_string()}')


def prepare(python: Path, folder: Path, target: Path, calibration: str, quick: bool = False) -> None:
    """Prepare `folder`, the draft of `target`, on the images in `calibration` ("": generated ones).

    Raise CommandError if the preparation fails.
    """
    task = PrepareTask(target, Path(calibration).absolute() if calibration else None, quick)
    model_tools.run(python, "prepare", folder, task)


def effort_faults(value: str, *allowed: str) -> list[str]:
    """Return the faults of `value`, the value of PREPARE=, which must be one of `allowed` or ""."""
    if value in ("", *allowed):
        return []
    return [f"PREPARE: found {value!r}, needed {' or '.join(allowed)}, or no value for a thorough measurement"]


def calibration_faults(calibration: str) -> list[str]:
    """Return the faults of `calibration`, the folder of calibration images; "" stands for none."""
    if calibration and not Path(calibration).is_dir():
        return [f"CALIBRATION: {calibration}: no such folder: needed one with images"]
    return []


def set_umask_and_signals() -> None:
    """Make new files readable by the serving account, and make SIGTERM and SIGHUP clean up as a normal exit does."""
    os.umask(0o022)
    for signum in STOP_SIGNALS:
        signal.signal(signum, lambda number, _: sys.exit(128 + number))


def name_faults(options: AddModelOptions | TeachOptions) -> list[str]:
    """Return the faults of the name and of the target folder."""
    try:
        model_store.check_name(options.name)
    except CommandError as error:
        return list(error.lines)
    if options.target.exists() and not options.force:
        return [f"{options.target}: exists already: choose another NAME=, or set FORCE=1 to replace it"]
    return []


def file_faults(options: AddModelOptions) -> list[str]:
    """Return a line for each missing file and for each fault of the options other than name and source."""
    labels, faults = read_labels(options.labels)
    faults += retired_faults(options.retired) + label_file_faults(labels)
    paths = {name: getattr(options, name) for name in FILE_OPTIONS}
    faults += [
        f"{name.upper()}: {path}: no such file" for name, path in paths.items() if path and not Path(path).is_file()
    ]
    efforts = effort_faults(options.prepare, UNPREPARED, QUICK)
    faults += _channels_faults(options.channels) + input_values(options)[1]
    return faults + calibration_faults(options.calibration) + efforts


def _channels_faults(channels: str) -> list[str]:
    if not channels or (channels.isdecimal() and int(channels)):
        return []
    return [f"CHANNELS: found {channels!r}, needed the number of channels: 1 for grey, 3 for RGB, or another number"]


def _faults(options: AddModelOptions) -> list[str]:
    """Return every fault that can be found before any work starts."""
    source = []
    if not options.source:
        source = ["SOURCE: found nothing, needed the path of the model's file or folder"]
    elif not Path(options.source).exists():
        source = [f"SOURCE: {options.source}: no such file or folder"]
    return name_faults(options) + source + file_faults(options)


def _with_absolute_paths(options: AddModelOptions) -> AddModelOptions:
    """Return `options` with absolute paths, since the tool runs in another directory."""
    paths = {name: getattr(options, name) for name in ("source", *FILE_OPTIONS)}
    absolute: dict[str, Any] = {name: str(Path(path).absolute()) for name, path in paths.items() if path}
    labels = {language: Path(path).absolute() for language, path in read_labels(options.labels)[0].items()}
    return replace(options, labels=",".join(f"{language}:{path}" for language, path in labels.items()), **absolute)


@contextlib.contextmanager
def staging_folder(target: Path) -> Iterator[Path]:
    """Yield a new, locked folder next to `target`, and delete it afterwards unless it was moved.

    Raise CommandError if it cannot be created or another command uses it.
    """
    folder = target.with_name(f".{target.name}{NEW}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clean_up(target.parent)
        folder.mkdir()
    except OSError as error:
        if os.path.isdir(folder):
            raise CommandError(f"{folder}: another command is making this model: wait for it to end") from error
        raise CommandError(f"{error.filename}: {error.strerror}: needed a writable folder: set MODELS=") from error
    with locked(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _clean_up(models: Path) -> None:
    """Remove what a killed model-add left in `models`, and restore the folder it was replacing.

    The kernel released its lock when it died.
    """
    for folder in models.glob(f".*{NEW}"):
        with contextlib.suppress(BlockingIOError), locked(folder):
            shutil.rmtree(folder)
    for folder in models.glob(f".*{OLD}"):
        target = folder.with_name(folder.name.removeprefix(".").removesuffix(OLD))
        if target.exists():
            shutil.rmtree(folder)
        else:
            folder.rename(target)


def publish(folder: Path, target: Path, models: Path, lock: Path, command: str) -> None:
    """Install the finished `folder` as `target` and record it as verified, once nothing else changes the service.

    What took `command` long is not lost to a change that goes on at its end: it waits for that.
    """
    with exclusive(lock, command, patient=True):
        install_folder(folder, target)
        record(models, target, good=True)


def install_folder(folder: Path, target: Path) -> None:
    """Move the finished `folder` to `target`, and delete the previous folder after that."""
    old = target.with_name(f".{target.name}{OLD}")
    if target.exists():
        target.rename(old)
    folder.rename(target)
    shutil.rmtree(old, ignore_errors=True)
