"""`make support`: one archive with what is needed to find a fault, without secrets and without a network."""

import io
import json
import os
import platform
import subprocess
import tarfile
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from scripts.base.console import say, step, warn
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.base.options import Flag
from scripts.base.programs import search_path
from scripts.base.redaction import redact
from scripts.cluster.config import ROOT, Cluster
from scripts.cluster.hardware import read_hardware
from scripts.cluster.keys import own_key, read_keys
from scripts.commands import Command, NoOptions, ServiceOptions, doctor
from scripts.runtimes.choice import choose, count_servers
from scripts.runtimes.run_directory import RunDir, run_dir
from scripts.runtimes.runtime import Runtime
from worker.contract.version import VERSION

LOG_LINES = 5000  # of the end of each log
# What is rendered and has no secret; keys.json, upstreams.conf and the certificate do.
RENDERED = ("runtime", "rendered/programs.conf", "gateway/rendered/members.json", "gateway/rendered/listen.conf",
            "compose.env", "workers.yaml", "members/members.json", "members.json", "stack-workers.yaml")  # fmt: skip
PROGRAMS = (
    ("uname", "-a"), ("nginx", "-v"), ("docker", "version"), ("docker", "compose", "version"),
    ("systemctl", "--version"), ("df", "-h"), ("free", "-m"), ("nvidia-smi",),
)  # fmt: skip
PROGRAM_TIMEOUT_S = 20
MODE = 0o600  # logs have addresses of clients


@dataclass(frozen=True)
class Options:
    """Where the archive goes."""

    out: Annotated[str, Flag("the archive to write (support-HOST-TIME.tar.gz)", "FILE")] = ""


def run(service: ServiceOptions, options: Options) -> None:
    """Write the archive; what cannot be found out is said in it, since something is at fault."""
    name = f"support-{platform.node() or 'host'}-{datetime.now():%Y%m%d-%H%M%S}"
    out = Path(options.out or f"{name}.tar.gz")
    if os.path.lexists(out):  # False, too, where this account may not look
        raise CommandError(f"OUT: found {out}, needed a path that is free: choose another, or remove it")
    directory = run_dir(service.run_dir)
    runtime = choose(service.runtime, directory, count_servers(service.cluster))
    step("collecting: status, plan, versions, hardware, configuration, logs and what `make doctor` says")
    secrets = _secrets(service)
    files = {path: redact(text, secrets) for path, text in _collect(service, runtime, directory).items()}
    _write(out, name, files)
    say(f"{out.resolve()}: {out.stat().st_size / 1e6:.1f} MB, {len(files)} files, without keys and certificates' keys;")
    say("the logs in it have addresses of clients")


def _collect(service: ServiceOptions, runtime: Runtime, directory: RunDir) -> dict[str, str]:
    """Return path within the archive -> text."""

    def plan() -> str:
        return runtime.plan(service.load_cluster(), directory).plan_text()

    def status() -> str:
        cluster = service.load_cluster()
        code, found = get(f"{cluster.endpoint}/status", key=own_key(cluster))
        return json.dumps({"code": code, "status": found}, ensure_ascii=False, indent=1)

    parts: dict[str, Callable[[], str]] = {
        "versions.txt": _versions,
        "status.json": status,
        "plan.txt": plan,
        "hardware.json": lambda: read_hardware().to_json(),
        "doctor.txt": lambda: _doctor(service),
        "configuration/cluster.toml": partial(_read, service.cluster),
        "after-reboot.txt": lambda: runtime.after_reboot(directory),
    }
    files = {path: _tried(part) for path, part in parts.items()}
    files |= {f"configuration/{name}": text for name in RENDERED if (text := directory.text(name))}
    with suppress(CommandError):
        for model in service.load_cluster().models:
            files[f"models/{model.name}.toml"] = _tried(partial(_read, model.folder / "model.toml"))
    return files | _logs(runtime, directory)


def _logs(runtime: Runtime, directory: RunDir) -> dict[str, str]:
    ends: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=LOG_LINES))
    try:
        for line in runtime.log_lines(directory):
            ends[line.log].append(line.text)
    except CommandError as error:
        ends["none"].extend(error.lines)
    return {f"logs/{log}.log": "\n".join(lines) + "\n" for log, lines in ends.items()}


def _tried(part: Callable[[], str]) -> str:
    try:
        return part() + "\n"
    except CommandError as error:
        return "\n".join(f"!! {line}" for line in error.lines) + "\n"
    except OSError as error:
        return f"!! {error}\n"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _doctor(service: ServiceOptions) -> str:
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            doctor.run(service, NoOptions())
        except CommandError as error:
            for line in error.lines:
                warn(line)
    return said.getvalue()


def _versions() -> str:
    revision = ROOT / "REVISION"  # of a kit; a checkout has git's
    texts = [f"wanwu {VERSION} {revision.read_text().strip() if revision.exists() else ''}".rstrip()]
    texts += [f"python {platform.python_version()}", _tried(partial(_read, Path("/etc/os-release")))]
    if not revision.exists():
        texts.append(_output("git", "-C", str(ROOT), "log", "-1", "--format=%H %cI"))
    return "\n".join([*texts, *(_output(*command) for command in PROGRAMS)])


def _output(*command: str) -> str:
    """Return what a program prints; that it is missing or hangs is worth knowing, too."""
    shown = f"$ {' '.join(command)}\n"
    try:
        environ = {**os.environ, "PATH": search_path(), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environ,
            timeout=PROGRAM_TIMEOUT_S,
        )  # fmt: skip
        return shown + done.stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{shown}{error}\n"


def _secrets(service: ServiceOptions) -> list[str]:
    """Return what no file of the archive may have."""
    try:
        cluster: Cluster = service.load_cluster()
        return [own_key(cluster), *(key.hash for key in read_keys(cluster))]
    except CommandError:
        return []


def _write(out: Path, folder: str, files: dict[str, str]) -> None:
    """Write the archive whole or not at all; raise CommandError if that fails."""
    draft = out.with_name(f".{out.name}.new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, MODE)
        with open(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive:
            for path, text in sorted(files.items()):
                content = text.encode(errors="replace")
                member = tarfile.TarInfo(f"{folder}/{path}")
                member.size, member.mode, member.mtime = len(content), MODE, int(datetime.now().timestamp())
                archive.addfile(member, io.BytesIO(content))
        draft.replace(out)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise CommandError(f"{out}: {error.strerror}: needed a folder that can be written: set OUT=FILE") from error


COMMAND = Command("write one archive with what is needed to find a fault, without secrets", Options, run)
