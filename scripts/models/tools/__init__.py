"""Start the tools of the model commands, which run in their own environment and use the worker's code.

A tool is `python -m scripts.models.tools.NAME FOLDER` and reads its options as JSON from standard input. This file
needs only the standard library.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from scripts.base.console import warn
from scripts.base.errors import CommandError
from scripts.base.options import from_json, to_json
from scripts.cluster.config import ROOT
from worker.contract.settings import offline_variables
from worker.contract.toml_reader import ModelError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


@dataclass(frozen=True)
class PrepareTask:
    """Options of `prepare`: the path that messages show instead of the draft's, the calibration images, the effort."""

    display_path: Path
    calibration: Path | None = None
    quick: bool = False


@dataclass(frozen=True)
class EvaluateTask:
    """Options of `evaluate`: the model folder, the labelled images, and whether to run on this machine's GPUs.

    With `answers`, the answers are written to that file, for a comparison, and no report.
    """

    model: Path
    images: Path
    on_gpus: bool
    answers: Path | None = None


@dataclass(frozen=True)
class CompareTask:
    """Options of `evaluate.compare`: the files of the answers, their images, and the model folder of the first."""

    answers: tuple[str, ...]
    images: Path
    model: Path


@dataclass(frozen=True)
class TeachTask:
    """Options of `teach`: the new model's name, the base's folder, the images, and a folder for their features.

    `add` tells whether the images are added to what the base was taught; `replaced` is the model folder of the same
    name, if there is one.
    """

    name: str
    base: Path
    images: Path
    cache: Path
    add: bool = False
    replaced: Path | None = None


@dataclass(frozen=True)
class PhotosTask:
    """Options of `photos`: the folder of pinned wheels, the file that pins them, the model folder to compare with.

    `crops` is how many crops of photographs to calibrate on, 0 for the default number.
    """

    wheels: Path
    lock: Path
    previous: Path
    crops: int = 0


def start(
    python: Path,
    tool: str,
    folder: Path,
    options: "DataclassInstance | None" = None,
    online: bool = False,
    **popen_options: Any,
) -> "subprocess.Popen[str]":
    """Start `tool`, send it `options` and return its process; it runs offline unless `online`.

    `popen_options` are further arguments of Popen.
    """
    command: list[str | Path] = [python, "-m", f"{__name__}.{tool}", folder]
    variables = online_variables() if online else offline_variables() | {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | variables, text=True, stdin=subprocess.PIPE, **popen_options
    )
    if process.stdin:
        with suppress(BrokenPipeError), process.stdin as pipe:  # a tool that has ended reports by its exit status
            pipe.write(to_json(options) if options else "")
        process.stdin = None
    return process


def run(python: Path, tool: str, folder: Path, options: "DataclassInstance", online: bool = False) -> None:
    """Run `tool` and wait for it; kill it if this process is interrupted. Raise CommandError if it fails."""
    with start(python, tool, folder, options, online) as process:
        try:
            process.wait()
        except BaseException:
            process.kill()
            raise
    require_success(process.returncode)


def run_in_session(python: Path, tool: str, folder: Path, options: "DataclassInstance") -> None:
    """Run `tool`, which starts processes of its own, and raise CommandError if it fails.

    It has its own session, so that an interrupt does not reach it: any exception here kills its process group.
    """
    with start(python, tool, folder, options, start_new_session=True) as process:
        try:
            process.wait()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    require_success(process.returncode)


def require_success(status: int) -> None:
    """Raise CommandError unless the exit status is 0; it is empty if the tool has printed the error itself."""
    if status < 0:
        raise CommandError(f"killed by signal {-status}; is there enough memory?")
    if status:
        raise CommandError()


def read_arguments(kind: type[T]) -> tuple[Path, T]:
    """Return the folder and the options that `start` passed to this process."""
    return Path(sys.argv[1]), from_json(kind, sys.stdin.read())


def run_and_report(work: Callable[[], None], draft: Path, display_path: Path, fallback: Path) -> int:
    """Run `work` and return an exit status: 0, or 1 after printing the error.

    Messages show `display_path` instead of `draft`, which is deleted afterwards, and `fallback` where an OSError has
    no file name.
    """
    try:
        work()
    except (ModelError, CommandError) as error:
        for line in str(error).replace(str(draft), str(display_path)).splitlines():
            warn(line)
        return 1
    except OSError as error:
        warn(f"{error.filename or fallback}: {error.strerror}: needed free space, and permission to read and write")
        return 1
    return 0


def online_variables() -> dict[str, str]:
    """Return the variables of a tool that runs online: no telemetry, and progress bars on a terminal only."""
    quiet = {name: value for name, value in offline_variables().items() if not name.endswith("_OFFLINE")}
    bars = {} if sys.stderr.isatty() else {"TQDM_DISABLE": "1"}
    return quiet | bars | {"MODELSCOPE_LOG_LEVEL": "CRITICAL"}
