"""Files that show whether the gate works: Nginx serves no old status, and the watcher ends a gate that hangs."""

import time
from contextlib import suppress
from pathlib import Path

WINDOW_S = 5  # of nginx.conf's $gate_window; a status is served until it is 5 to 10 s old
FRESH = "fresh."  # and the second in which a window begins
HEARTBEAT = "heartbeat"


def window(seconds: float) -> int:
    """Return the second in which the window of the time `seconds` (since 1970) begins."""
    return int(seconds) // WINDOW_S * WINDOW_S


def mark_fresh(out: Path) -> None:
    """Let Nginx serve the status that has just been written into `out`: in this window and in the next."""
    now = window(time.time())
    names = {f"{FRESH}{begin}" for begin in (now, now + WINDOW_S)}
    for name in names:
        (out / name).touch()
    for old in out.glob(f"{FRESH}*"):
        if old.name not in names:
            old.unlink(missing_ok=True)


def beat(out: Path) -> None:
    """Show the watcher that the gate moves: renew the time of the file HEARTBEAT."""
    with suppress(OSError):  # such as a full disk, if there is no file yet: the gate then works without being watched
        (out / HEARTBEAT).touch()
