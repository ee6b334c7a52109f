"""The gate's output: log lines, files, and the upstream list that Nginx loads."""

import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .status import render_index
from .upstreams import listed_servers

RETRY_GAP_S = 3.0  # after a list that Nginx rejected, or a reload that found no Nginx
SETTLE_S = 1.0  # after a reload, until Nginx's new processes take the requests


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def log(event: str, **details: Any) -> None:
    print(json.dumps({"time": now(), "event": event, **details}), flush=True)


def digest(file: Path) -> str:
    """Return what tells one text of the file from another; "" if it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


def write_atomically(path: Path, text: str) -> None:
    """Replace the file so that readers see the old text or the new, even after a power cut. Its mode is 0644."""
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=path.name, delete=False) as file:
        try:
            file.write(text.encode(errors="replace"))  # a worker's words may hold half a surrogate pair
            file.flush()
            os.fchmod(file.fileno(), 0o644)
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


def write_status(out: Path, status: dict[str, Any], models: dict[str, Any], required_models: Container[str]) -> None:
    """Write the files of the status, and ready.json if all `required_models` are ready, else remove it."""
    write_atomically(out / "status.json", render_json(status))
    names = {"models": [model["name"] for model in models["models"]]}
    texts = {
        "models.json": render_json(models),
        "names.json": render_json(names),
        "index.json": json.dumps(render_index(models), ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        file = out / name
        # It seldom changes, and a write waits for the disk.
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            write_atomically(file, text)
    ready = out / "ready.json"
    if not all(model["ready"] for model in status["models"] if model["name"] in required_models):
        ready.unlink(missing_ok=True)
    elif not ready.exists():
        write_atomically(ready, '{"ready": true}\n')


class Nginx:
    """Write, test and load upstreams.conf, at most once in `gap_s` seconds.

    A reload replaces every Nginx worker process and costs 200 ms or more.
    """

    def __init__(self, command: Sequence[str], file: Path, gap_s: float) -> None:
        self.command = command
        self.file = file
        self.gap_s = gap_s
        self.loaded: str | None = None  # None: unknown, so the next text is loaded even if it is the same
        self.next_reload_at = self.settled_at = 0.0

    @property
    def settled(self) -> bool:
        """Whether requests go by the text that was loaded last."""
        return self.loaded is not None and time.monotonic() >= self.settled_at

    def apply(self, text: str) -> bool:
        """Load `text` unless it is loaded already, and return whether it was tried.

        A failed load is tried again by a call after RETRY_GAP_S.
        """
        if text == self.loaded or time.monotonic() < self.next_reload_at:
            return False
        before = self.file.read_text()
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
            self.settled_at = time.monotonic() + SETTLE_S
            gap = self.gap_s
            log("reloaded", servers=servers)
        self.next_reload_at = time.monotonic() + gap
        return True

    def _call(self, *arguments: str) -> str | None:
        """Return None, or why the command failed."""
        try:
            result = subprocess.run([*self.command, *arguments], capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        return None if result.returncode == 0 else result.stderr.strip()[-2000:] or f"exit status {result.returncode}"
