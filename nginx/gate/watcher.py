"""The watcher: end a gate that hangs, so that its supervisor starts another. It is a process of its own."""

import os
import signal
import time
from pathlib import Path

from .freshness import HEARTBEAT
from .out import log

LOOK_S = 1.0
# Of the same beat in a row. The gate beats every second; a test and a reload of Nginx are given up after 12 s (out.py).
# Looks are counted, not seconds: when the whole machine was asleep, gate and watcher wake up together.
LOOKS = 15


def watch(out: Path) -> None:
    """Watch the gate that writes into `out`, for ever."""
    beat, looks = None, 0
    while True:
        time.sleep(LOOK_S)
        last, beat = beat, _beat(out)
        looks = looks + 1 if beat == last else 0
        if beat and looks >= LOOKS:
            _end(beat[0])
            looks = 0


def _beat(out: Path) -> tuple[int, int] | None:
    """Return the gate's process id and the time of its last beat; None if there is none."""
    file = out / HEARTBEAT
    try:
        return int(file.read_text()), file.stat().st_mtime_ns
    except (OSError, ValueError):
        return None


def _end(pid: int) -> None:
    try:
        # Another process may have the number by now.
        if b"gate\0run\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
            log("gate_killed", pid=pid, reason=f"it did not move for {LOOKS * LOOK_S:g} s")
    except OSError:  # it has ended meanwhile
        pass
