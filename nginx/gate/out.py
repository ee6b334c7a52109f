"""The gate's output: log lines, files, and the upstream list that Nginx loads."""

import hashlib
import json
import os
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .freshness import mark_fresh
from .status import render_index
from .upstreams import listed_servers

RETRY_GAP_S = 3.0  # after a list that Nginx rejected, or a reload that found no Nginx
READY, READY_ALL = "reported.json", "ready.json"
LOG_BYTES = 16 << 20
CALL_TIMEOUT_S = 6.0  # of Nginx's command: two calls must fit into the watcher's patience
SETTLE_S = 1.0  # after a reload, until Nginx's new processes take the requests


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def log(event: str, **details: Any) -> None:
    """Write a line to standard output. If nobody reads it, the line is lost: the gate must not wait, nor end."""
    line = json.dumps({"time": now(), "event": event, **details}) + "\n"
    with suppress(OSError):
        os.write(1, line.encode())


def digest(file: Path) -> str:
    """Return what tells one text of the file from another; "" if it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


def never_wait_for_log() -> None:
    """Let `log` lose lines rather than wait for whoever reads the pipe behind standard output."""
    if stat.S_ISFIFO(os.fstat(1).st_mode):
        os.set_blocking(1, False)


def write_atomically(path: Path, text: str, durable: bool = True) -> None:
    """Replace the file so that readers see the old text or the new; if `durable`, even after a power cut.

    Its mode is 0644.
    """
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=path.name, delete=False) as file:
        try:
            file.write(text.encode(errors="replace"))  # a worker's words may hold half a surrogate pair
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            if durable:
                os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:  # such as a full disk
            os.unlink(file.name)
            raise


def render_json(document: Mapping[str, Any]) -> str:
    """Return `document` as JSON, with each entry of its lists on a line.

    json's own indentation takes ten times as long: with 400 workers, a fifth of the gate's time.
    """
    values = {
        name: "[\n  " + ",\n  ".join(json.dumps(entry, ensure_ascii=False) for entry in value) + "\n ]"
        if isinstance(value, list) and value
        else json.dumps(value, ensure_ascii=False)
        for name, value in document.items()
    }
    return "{\n" + ",\n".join(f" {json.dumps(name)}: {value}" for name, value in values.items()) + "\n}\n"


def write_models(out: Path, models: dict[str, Any], views: Mapping[str, Container[str]]) -> None:
    """Write the files that list the models, and for each prefix of `views` those that list only its models."""
    for view, chosen in {"": None, **views}.items():
        listed = {"models": [model for model in models["models"] if chosen is None or model["name"] in chosen]}
        texts = {
            "models.json": render_json(listed),
            "names.json": render_json({"models": [model["name"] for model in listed["models"]]}),
            "index.json": json.dumps(render_index(listed), ensure_ascii=False) + "\n",
        }
        for name, text in texts.items():
            file = out / f"{view}{name}"
            # It seldom changes, and a write waits for the disk.
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                write_atomically(file, text)


def read_models(out: Path) -> dict[str, Any]:
    """Return what `write_models` wrote of all models; no models if it has not yet."""
    try:
        models: dict[str, Any] = json.loads((out / "models.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"models": []}
    return models


def write_target(out: Path, address: str) -> None:
    """Write the file by which a Prometheus on this machine finds the gate; its port changes with every start."""
    target = {"targets": [address], "labels": {"instance": socket.gethostname()}}
    write_atomically(out / "target.json", json.dumps([target]) + "\n")


def write_status(out: Path, status: dict[str, Any], required_models: Container[str]) -> None:
    """Write the file of the status; ready.json exists if all `required_models` are ready, and each model has its own.

    They are links to one file, which carries the time.
    """
    write_atomically(out / "status.json", render_json(status), durable=False)
    write_atomically(out / READY, render_json({"ready": True, "as_of": status["as_of"]}), durable=False)
    ready = {ready_file(model["name"]): model["ready"] for model in status["models"]}
    ready[READY_ALL] = all(model["ready"] for model in status["models"] if model["name"] in required_models)
    _link_ready(out, {name for name, is_ready in ready.items() if is_ready})
    mark_fresh(out)


def ready_file(model: str) -> str:
    """Return the name of the file that exists while the model is ready; routes.conf has it, too."""
    return f"ready.pool_{model}.json"


def _link_ready(out: Path, names: set[str]) -> None:
    """Make links with these `names` to the file of the time, and remove all others."""
    existing = {path.name for path in out.glob("ready.*json") if path.is_symlink()}
    for name in names - existing:
        (out / name).unlink(missing_ok=True)  # what is no link was left by an earlier version
        (out / name).symlink_to(READY)
    for path in out.glob("ready.*json"):
        if path.name not in names:
            path.unlink(missing_ok=True)


class Nginx:
    """Write, test and load upstreams.conf, at most once in `gap_s` seconds.

    A reload replaces every Nginx worker process and costs 200 ms or more.
    """

    def __init__(self, command: Sequence[str], file: Path, gap_s: float) -> None:
        self.command = command
        self.file = file
        self.gap_s = gap_s
        self.logs = file.parent.parent / "tmp"
        self.loaded: str | None = None  # None: unknown, so the next text is loaded even if it is the same
        self.next_reload_at = self.settled_at = 0.0
        self.loaded_at = 0.0  # in seconds since 1970; 0 while no list of this gate was loaded
        self.refused = False  # whether the newest list was, or could not be loaded

    @property
    def settled(self) -> bool:
        """Whether requests go by the text that was loaded last."""
        return self.loaded is not None and time.monotonic() >= self.settled_at

    def apply(self, text: str) -> bool:
        """Load `text` unless it is loaded already, and return whether it was tried.

        A failed load is tried again by a call after RETRY_GAP_S.
        """
        if text == self.loaded:
            self.refused = False
            return False
        if time.monotonic() < self.next_reload_at:
            return False
        before = self.file.read_text()
        self.refused = True  # until it is not
        servers = sorted(listed_servers(text).values())
        gap = RETRY_GAP_S
        write_atomically(self.file, text)
        if fault := self._call("-t"):
            write_atomically(self.file, before)
            log("upstreams_rejected", fault=fault, servers=servers)
        elif fault := self._call("-s", "reload"):
            self.loaded = None  # Nginx may be down; it reads the file when it starts
            log("reload_failed", fault=fault, servers=servers)
        else:
            self.loaded = text
            self.settled_at, self.loaded_at = time.monotonic() + SETTLE_S, time.time()
            self.refused = False
            gap = self.gap_s
            log("reloaded", servers=servers)
        self.next_reload_at = time.monotonic() + gap
        return True

    def reopen_large_logs(self) -> None:
        """Have Nginx begin new log files once one is large; one former file of each is kept."""
        for file in (path for path in self.logs.glob("*.log") if path.stat().st_size > LOG_BYTES):
            file.replace(f"{file}.1")
            self._call("-s", "reopen")

    def _call(self, *arguments: str) -> str | None:
        """Return None, or why the command failed."""
        try:
            result = subprocess.run([*self.command, *arguments], capture_output=True, text=True, timeout=CALL_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        return None if result.returncode == 0 else result.stderr.strip()[-2000:] or f"exit status {result.returncode}"
