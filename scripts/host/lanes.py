"""Run commands in lanes, a few at a time, and report what failed in any of them."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts.base.console import aligned, say, step
from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT

FAULTS = ("FAILED ", "ERROR ")  # pytest's summary starts the line of a test that did not pass with these
POLL_INTERVAL_S = 0.5
# Commands that run at once: one waits for a process or the disk while the others keep the cores busy. More would only
# wait for the cores: on two of them four at once took longer than three, and five twice the processor time.
AT_ONCE = len(os.sched_getaffinity(0)) + 1


@dataclass
class Lane:
    """A running command; what it prints goes to the file `output`."""

    name: str
    process: subprocess.Popen[bytes]
    output: Path
    started_s: float = field(default_factory=time.monotonic)
    minutes: float = 0.0

    def has_ended(self) -> bool:
        self.minutes = (time.monotonic() - self.started_s) / 60
        return self.process.poll() is not None

    def read_output(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def failures(self) -> list[str]:
        """Return a line for each test that did not pass, and one for the lane; an empty list if all passed."""
        if not self.process.returncode:
            return []
        failed = [line for line in self.read_output().splitlines() if line.startswith(FAULTS)]
        return [*failed, f"{self.name} failed with status {self.process.returncode}"]


def run_in_parallel(commands: Mapping[str, Sequence[object]], folder: Path) -> None:
    """Run all `commands` (lane name -> command), AT_ONCE at a time; write their output to lane-NAME.log in `folder`.

    Show a lane's output when it ends, and at last the minutes of each. Raise CommandError with the failures of all.
    """
    folder.mkdir(exist_ok=True)
    step(f"lanes, {AT_ONCE} at a time, with logs in {folder}/lane-*.log: {', '.join(commands)}")
    with ExitStack() as stack:
        completed = []
        for lane in _as_completed(commands, folder, stack):
            step(f"lane {lane.name}")
            say(lane.read_output().rstrip())
            completed.append(lane)
        step("minutes of each lane")
        say(aligned([("  ", lane.name, f"{lane.minutes:.1f}") for lane in completed]))
        if failures := [line for lane in completed for line in lane.failures()]:
            raise CommandError(*failures)


@contextmanager
def _start(name: str, command: Sequence[object], folder: Path) -> Iterator[Lane]:
    path = folder / f"lane-{name}.log"
    with (
        path.open("wb") as output,
        subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        yield Lane(name, process, path)


def _as_completed(commands: Mapping[str, Sequence[object]], folder: Path, stack: ExitStack) -> Iterator[Lane]:
    """Start `commands` in their order, the next one whenever fewer than AT_ONCE run; yield each when it has ended."""
    waiting, running = list(commands.items()), list[Lane]()
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            running.append(stack.enter_context(_start(*waiting.pop(0), folder)))
        time.sleep(POLL_INTERVAL_S)
        for lane in [lane for lane in running if lane.has_ended()]:
            running.remove(lane)
            yield lane
