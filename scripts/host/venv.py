"""Make the environments of environments.py under .venv, on first use and after a change of their locks.

Each is in a folder of its own, `.venv/NAME-DIGEST`, named after its Python and its locks, and `.venv/NAME` links to the
one to use. A new one is made beside those before, which stay as they are: processes may run from them, and a machine
without an index could not make them again. Wheels come from a bundle, if it has all that an environment needs, and
otherwise from where pip is told to look.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from scripts.base.console import say, step, warn
from scripts.base.errors import CommandError
from scripts.host.environments import PIP, TORCH_CPU, TORCH_CUDA, Environment
from scripts.host.packages import require_ensurepip
from scripts.host.pins import carried
from scripts.host.pip import failure_lines, run_pip

STAMP = "installed"  # the file that says what a complete environment was made from
# If a constraints file of the site pins torch, pip reports a conflict instead of a missing build.
NO_CPU_BUILD = re.compile(r"(?:No matching distribution found for|Cannot install) (?:.* )?torch==\S+\+cpu")


def ensure(environment: Environment, nvidia: bool) -> Path:
    """Create the environment, after those that it extends, if it is missing or its locks have changed.

    Return the path of its Python. If several commands need it at once, one creates it and the others wait. Raise
    CommandError if it cannot be created; then the one before still serves.
    """
    if environment.parent:
        ensure(environment.parent, nvidia)
    if not is_current(environment, nvidia):
        try:
            with _exclusive(environment):
                if not is_current(environment, nvidia):
                    _switch(environment, _build(environment, fingerprint(environment, nvidia), nvidia))
        except (CommandError, OSError) as error:
            lines = error.lines if isinstance(error, CommandError) else (_unwritable(environment, error),)
            if not _fits(environment, nvidia):
                raise CommandError(*lines) from error
            for line in lines:
                warn(line)
            warn(f"{environment.folder}: still used, made by an earlier build of this Python: same packages")
    return environment.python


def _unwritable(environment: Environment, error: OSError) -> str:
    where = error.filename or environment.folder
    return f"{where}: {error.strerror}: needed free space, and an account that may write there, or root"


def is_current(environment: Environment, nvidia: bool) -> bool:
    """Return whether the environment, and each that it extends, exists and matches its locks and Python."""
    if environment.parent and not is_current(environment.parent, nvidia):
        return False
    return _stamped(environment.home) == fingerprint(environment, nvidia)


def _fits(environment: Environment, nvidia: bool) -> bool:
    """Return whether the environment has the locked packages, for another build of the same minor version of Python."""
    ours, theirs = fingerprint(environment, nvidia), _stamped(environment.home)
    minor = f"{sys.version_info.major}.{sys.version_info.minor}."
    return theirs.startswith(minor) and ours.splitlines()[1:] == theirs.splitlines()[1:]


@contextmanager
def _exclusive(environment: Environment) -> Iterator[None]:
    environment.folder.parent.mkdir(parents=True, exist_ok=True)
    with environment.folder.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _stamped(home: Path) -> str:
    """Return what the environment in `home` was made from; nothing if it is not complete."""
    try:
        return (home / STAMP).read_text()
    except OSError:
        return ""


def fingerprint(environment: Environment, nvidia: bool) -> str:
    """Return a text that changes whenever another environment is needed: with Python or with a lock file."""
    locks = environment.locks + ((TORCH_CUDA if nvidia else TORCH_CPU,) if environment.torch else ())
    text = "".join(lock.read_text() for lock in locks)
    return f"{sys.version}\n{hashlib.sha256(text.encode()).hexdigest()}\n"


def _home(environment: Environment, fingerprint: str) -> Path:
    digest = hashlib.sha256(fingerprint.encode()).hexdigest()[:12]
    return environment.folder.with_name(f"{environment.folder.name}-{digest}")


def _build(environment: Environment, fingerprint: str, nvidia: bool) -> Path:
    """Return the folder of the environment with this fingerprint, made unless it is there and complete."""
    home = _home(environment, fingerprint)
    if _stamped(home) != fingerprint:
        step(f"Python environment .venv/{environment.folder.name}")
        built = replace(environment, folder=home)
        _create(built)
        _install(built, nvidia)
        (home / STAMP).write_text(fingerprint)
    return home


def _switch(environment: Environment, home: Path) -> None:
    """Have the link lead to `home`."""
    link = environment.folder
    if link.is_dir() and not link.is_symlink():  # earlier kits made it in the place of the link
        former = _home(environment, _stamped(link))
        link.rename(former if not former.exists() else link.with_name(f"{former.name}.before"))
    draft = link.with_name(f"{link.name}.new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(home.name)
    draft.replace(link)


def _create(environment: Environment) -> None:
    wheels = carried([PIP])
    if not wheels:
        require_ensurepip()
    shutil.rmtree(environment.folder, ignore_errors=True)  # of an interrupted command: nothing links to it
    # An environment that extends another finds pip there; the setuptools that comes with pip would hide the pinned one.
    options = ["--without-pip"] if wheels or environment.parent else []
    _create_by(environment, [sys.executable, "-m", "venv", *options, str(environment.folder)])
    if wheels and not environment.parent:
        # pip runs from its own wheel: a server's Python often has none, and the package that brings it is not there.
        program = next(wheels.glob("pip-*.whl")) / "pip"
        _create_by(environment, [str(environment.python), str(program), *_install_arguments([PIP])])
    if ancestors := list(_ancestors(environment)):
        # https://docs.python.org/3/library/site.html: a line of a .pth file adds a folder behind the environment's own.
        lines = "".join(f"{os.path.relpath(each.packages, environment.packages)}\n" for each in ancestors)
        (environment.packages / "extends.pth").write_text(lines)


def _create_by(environment: Environment, command: Sequence[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise CommandError(
            f"{environment.folder}: cannot create a Python environment: {(result.stderr or result.stdout).strip()}"
        )


def _install_arguments(locks: Sequence[Path]) -> list[str]:
    """Return pip's arguments that install what `locks` pin, from a bundle's wheels if it has them all."""
    wheels = carried(locks)
    source = ["--no-index", f"--find-links={wheels}"] if wheels else []
    return ["install", *source, "--require-hashes", "--only-binary=:all:", *(f"--requirement={lock}" for lock in locks)]


def _ancestors(environment: Environment) -> Iterator[Environment]:
    while environment.parent:
        environment = environment.parent
        yield environment


def _install(environment: Environment, nvidia: bool) -> None:
    if not environment.torch or (environment.parent and environment.parent.torch):
        _pip(environment, environment.own_locks)
    elif nvidia or not _pip(environment, (*environment.own_locks, TORCH_CPU), expected_error=NO_CPU_BUILD):
        # The one build that every index has. It runs without a GPU, too, but is larger.
        _pip(environment, (*environment.own_locks, TORCH_CUDA))
    if environment.compiled or sys.dont_write_bytecode:
        # On all cores: pip would compile on one. A module that is no Python of this version stays as it is.
        compile_all = [str(environment.python), "-m", "compileall", "-qq", "--workers=0", str(environment.packages)]
        subprocess.run(compile_all, capture_output=True)


def _pip(environment: Environment, locks: Sequence[Path], expected_error: re.Pattern[str] | None = None) -> bool:
    """Install what `locks` pin; return False if pip fails with a line that matches `expected_error`.

    Raise CommandError if it fails for another reason.
    """
    arguments = [*_install_arguments(locks), "--no-compile"]
    total = len(_names(locks) - _names(environment.parent.locks if environment.parent else ()))
    succeeded, output = run_pip(environment.python, arguments, total)
    if not succeeded and expected_error and any(expected_error.search(line) for line in output):
        say("   no CPU build of torch is available; installing the CUDA build, which is larger")
        return False
    if not succeeded:
        raise CommandError(
            f"pip could not install the packages of {environment.folder}:",
            *failure_lines(output),
            "needed a package index, or PIP_FIND_LINKS set to a folder with the wheels",
        )
    return True


def _names(locks: Sequence[Path]) -> set[str]:
    return {line.split("==")[0] for lock in locks for line in lock.read_text().splitlines() if "==" in line}
