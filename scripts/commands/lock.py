"""`make lock`: recompile every lock file from its .in file with the pinned uv, and replace all of them or none.

A lock keeps its pins while they still satisfy the .in file, so an unchanged .in file gives an identical lock.
scripts/requirements/photos.txt is maintained by hand: it pins the packages that the embedded model was made with.
"""

import ast
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.base.options import Flag
from scripts.cluster.config import ROOT
from scripts.commands import Command, ServiceOptions
from scripts.host.environments import LOCK
from scripts.host.pins import read_pins
from scripts.host.venv import ensure
from worker.contract.files import write_atomically

TARGET = ("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28")  # Python and platform of the images
PIP_SECTIONS = ("global", "install", ":env:")  # sections of pip's configuration; later ones override earlier ones
# Package sources: pip's option -> uv's variable. extra-index-url is left out, since uv drops a pin if an extra index
# has another file of the pinned version.
UV_VARIABLES = {"index-url": "UV_DEFAULT_INDEX", "trusted-host": "UV_INSECURE_HOST", "cert": "SSL_CERT_FILE"}
FETCH_FAILED = "Failed to fetch"  # in uv's error messages
ALL = "all"
CPU_BUILD = "needed the CPU-only build, such as 2.13.0+cpu: set PIP_FIND_LINKS to a folder or page that has it"
GPU_BUILD = "needed the GPU build, without a local version: set PIP_INDEX_URL to an index that has it"


@dataclass(frozen=True)
class Lock:
    """A lock file `target` and its .in file `source` in one folder; with `local_builds`, torch is the CPU-only build.

    That build has a local version, such as 2.13.0+cpu, and comes from pip's find-links instead of the index.
    """

    source: str
    target: str
    local_builds: bool

    @property
    def arguments(self) -> list[str]:
        """Return uv's arguments, which uv also writes into the header of the lock."""
        without_addresses = ["--no-emit-index-url", *(["--no-emit-find-links"] if self.local_builds else [])]
        names = [Path(self.source).name, "-o", Path(self.target).name]
        return ["pip", "compile", "--generate-hashes", *TARGET, *without_addresses, *names]


# The order matters: earlier locks constrain later ones.
LOCKS = (
    Lock("scripts/requirements/lock.in", "scripts/requirements/lock.txt", local_builds=False),
    Lock("scripts/requirements/pip.in", "scripts/requirements/pip.txt", local_builds=False),
    Lock("worker/requirements/base.in", "worker/requirements/base.txt", local_builds=False),
    Lock("worker/requirements/local.in", "worker/requirements/local.txt", local_builds=False),
    Lock("worker/requirements/torch.in", "worker/requirements/torch-cuda.txt", local_builds=False),
    Lock("worker/requirements/torch.in", "worker/requirements/torch-cpu.txt", local_builds=True),
    Lock("scripts/requirements/tools.in", "scripts/requirements/tools.txt", local_builds=True),
    Lock("scripts/requirements/teach.in", "scripts/requirements/teach.txt", local_builds=False),
    Lock("scripts/requirements/peers.in", "scripts/requirements/peers.txt", local_builds=True),
    Lock("tests/requirements.in", "tests/requirements.txt", local_builds=True),
    Lock("tests/requirements-exporters.in", "tests/requirements-exporters.txt", local_builds=False),
)


@dataclass(frozen=True)
class Options:
    """What to upgrade."""

    upgrade: Annotated[str, Flag("packages to upgrade to their newest versions, or all", "NAMES")] = ""


def run(service: ServiceOptions, options: Options) -> None:
    """Recompile all lock files."""
    compile_locks(options.upgrade)


def compile_locks(upgrade: str) -> None:
    """Recompile all lock files; `upgrade` names the packages to upgrade, or is ALL. Raise CommandError if one fails."""
    python = ensure(LOCK, nvidia=False)
    command = [str(python), "-m", "pip", "config", "list"]
    pip_config = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory(prefix="wanwu-lock-") as name:
        draft = Path(name)
        for path in {path for lock in LOCKS for path in (lock.source, lock.target) if (ROOT / path).exists()}:
            (draft / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, draft / path)
        for lock in LOCKS:
            step(lock.target)
            compile_lock(python.with_name("uv"), lock, draft, pip_config, upgrade.replace(",", " ").split())
        _replace(draft)


def compile_lock(uv: Path, lock: Lock, root: Path, pip_config: str, upgrade: Sequence[str] = ()) -> None:
    """Recompile `lock` in the tree at `root`; `pip_config`, the output of `pip config list`, names the sources.

    Raise CommandError if no index answers, no versions satisfy the .in file, or the build of torch is the wrong one.
    """
    options = ["--upgrade"] if list(upgrade) == [ALL] else [f"--upgrade-package={package}" for package in upgrade]
    command = [str(uv), *lock.arguments, *options]
    environ = variables(pip_config, lock.local_builds)
    result = subprocess.run(command, cwd=(root / lock.target).parent, capture_output=True, text=True, env=environ)
    if result.returncode:
        _raise_failure(lock, result.stderr.strip().splitlines())
    pins = read_pins((root / lock.target).read_text(encoding="utf-8"))
    torch = next((pin for pin in pins if pin.startswith("torch==")), None)
    if torch and ("+" in torch) != lock.local_builds:
        raise CommandError(
            f"{lock.target}: found {torch}, {CPU_BUILD if lock.local_builds else GPU_BUILD}; nothing was changed"
        )


def variables(pip_config: str, local_builds: bool, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return uv's environment: packages come only from the index in `pip_config`, the output of `pip config list`.

    `local_builds` adds pip's find-links.
    """
    settings: dict[str, str] = {}
    rows = [line.partition("=") for line in pip_config.splitlines()]
    for section in PIP_SECTIONS:
        for key, _, value in rows:
            if key.startswith(f"{section}."):
                settings[key.removeprefix(f"{section}.")] = " ".join(str(ast.literal_eval(value)).split())
    own = {variable: settings[option] for option, variable in UV_VARIABLES.items() if settings.get(option)}
    if local_builds and settings.get("find-links"):
        own["UV_FIND_LINKS"] = settings["find-links"].replace(" ", ",")
    return {name: value for name, value in environ.items() if not name.startswith("UV_")} | own | {"UV_NO_CONFIG": "1"}


def _raise_failure(lock: Lock, output: Sequence[str]) -> None:
    lines = [line.strip() for line in output if line.strip().startswith(("error:", "cause:"))] or output[-5:]
    if any(FETCH_FAILED in line for line in lines):
        raise CommandError(
            f"{lock.target}: found no package index that answers:", *lines,
            "needed one on this network: set PIP_INDEX_URL to a mirror; nothing was changed",
        )  # fmt: skip
    raise CommandError(
        f"{lock.target}: found no versions that {lock.source} and its constraints allow:", *lines, "nothing was changed"
    )


def _replace(draft: Path) -> None:
    """Replace the locks of this tree that differ from those in `draft`, and print the changed pins."""
    changed = [lock for lock in LOCKS if _read(draft / lock.target) != _read(ROOT / lock.target)]
    for lock in changed:
        before, after = (read_pins(_read(root / lock.target)) for root in (ROOT, draft))
        say(f"   {lock.target}: {_join(before.keys() - after.keys())} -> {_join(after.keys() - before.keys())}")
    for lock in changed:
        write_atomically(ROOT / lock.target, _read(draft / lock.target))
    say(f"   {len(changed)} of {len(LOCKS)} lock files changed")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _join(pins: Iterable[str]) -> str:
    return ", ".join(sorted(pins)) or "no pin"


COMMAND = Command("recompile every lock file from its .in file", Options, run)
