"""The watcher: end a gate that hangs, and an Nginx without its entrance, so that their supervisor starts others.

It is a process of its own.
"""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from .entrance import follow
from .freshness import HEARTBEAT
from .out import log

LOOK_S = 1.0
# Of the same beat in a row. The gate beats every second; a test and a reload of Nginx are given up after 12 s (out.py).
# Looks are counted, not seconds: when the whole machine was asleep, gate and watcher wake up together.
MAX_MISSED_BEATS = 15


def watch(out: Path) -> None:
    """Watch the gate that writes into `out`, for ever."""
    last, looks = None, 0
    while True:
        time.sleep(LOOK_S)
        follow(out)
        found = _last_beat(out)
        last, looks = found, looks + 1 if found == last else 0
        if found and looks >= MAX_MISSED_BEATS:
            _end(out)
            looks = 0


def _last_beat(out: Path) -> int | None:
    try:
        return (out / HEARTBEAT).stat().st_mtime_ns
    except OSError:
        return None


def _end(out: Path) -> None:
    """Kill the gate that writes into `out`; it may have stopped before it could write anywhere who it is."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile, or belongs to another account
            command = (process / "cmdline").read_bytes()
            if b"gate\0run\0" in command and b"\0--out\0" + os.fsencode(out) + b"\0" in command:
                os.kill(int(process.name), signal.SIGKILL)
                log("gate_killed", pid=int(process.name), reason=f"it did not move for {MAX_MISSED_BEATS * LOOK_S:g} s")
