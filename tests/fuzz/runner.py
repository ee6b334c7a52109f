"""Run the targets one after the other, each in processes of its own, and watch them.

A process that dies, or is at one input for too long, has found a failure, too: its input is saved, and another process
goes on with other inputs.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.base.console import aligned, say
from scripts.cluster.config import ROOT
from tests.fuzz import INPUT_S, TARGETS
from tests.fuzz.process import save
from tests.fuzz.progress import Progress

LOOK_S = 0.1
ENDLESS = 1 << 62
START_S = 120  # until a target is open, on a busy machine
WITH_MODEL = {"decode", "forms", "json_bodies", "tensors"}


@dataclass
class Outcome:
    """What one target has come to."""

    target: str
    executions: int = 0
    peak_bytes: int = 0
    seconds: float = 0.0
    failures: list[Path] = field(default_factory=list)

    def row(self) -> tuple[str, ...]:
        rate = self.executions / self.seconds if self.seconds else 0.0
        return (
            self.target, f"{self.executions:,}", f"{rate:.0f}", str(len(self.failures)), str(self.peak_bytes // 10**6),
        )  # fmt: skip


def fuzz(
    targets: Sequence[str],
    out: Path,
    seconds: float,
    examples: int = ENDLESS,
    seed: int = 0,
    package: str = "tests.fuzz",
) -> list[Outcome]:
    """Fuzz each of `targets`, modules of `package`, for `seconds` or `examples`; failing inputs go to `out`."""
    outcomes = []
    with tempfile.TemporaryDirectory() as home:
        if WITH_MODEL.intersection(targets):
            _make_model(Path(home))
        for target in targets:
            outcomes.append(_one(f"{package}.{target}", Path(home), out, seconds, examples, seed))
    return outcomes


def show(outcomes: Sequence[Outcome]) -> None:
    """Print a row for each target, and where each failure is and how to see it again."""
    head = ("target", "executions", "per second", "failures", "peak MB")
    say(aligned([head, *(outcome.row() for outcome in outcomes)]))
    for outcome in outcomes:
        for path in outcome.failures:
            last = path.with_suffix(".txt").read_text(encoding="utf-8").strip().splitlines()[-1]
            say(f"{outcome.target}: {last[:200]}\n  again: python -m tests.fuzz --input {path}")


def again(path: Path) -> int:
    """Check one saved input; return the status of the process that did."""
    target = path.name.rpartition("-")[0]
    with tempfile.TemporaryDirectory() as home:
        if target in WITH_MODEL:
            _make_model(Path(home))
        command = _command(f"tests.fuzz.{target}", Path(home), Path(home), "--input", path.resolve())
        return subprocess.run(command, cwd=ROOT, timeout=START_S + INPUT_S).returncode


def _make_model(home: Path) -> None:
    from tests.folders import openvino_folder  # imports torch, which other targets do without

    openvino_folder(home / "bright")


def _command(module: str, home: Path, out: Path, *more: object) -> list[str]:
    command = [sys.executable, "-m", "tests.fuzz.process", module, "--home", home, "--out", out.resolve(), *more]
    return [str(word) for word in command]


def _one(module: str, home: Path, out: Path, seconds: float, examples: int, seed: int) -> Outcome:
    name = module.rpartition(".")[2]
    before, progress = _saved(out, name), Progress(home / f"{name}.progress")
    outcome, started = Outcome(name), time.monotonic()
    while (left := seconds - (time.monotonic() - started)) > 0 and progress.done < examples:
        limits = ("--seconds", left, "--examples", examples - progress.done, "--seed", seed)
        before_done = progress.done
        reason = _watched(_command(module, home, out, *limits), progress)
        if not reason:
            break
        save(out, name, progress.data, reason)
        if progress.done == before_done:  # it cannot be opened, or dies of its first input
            break
        seed += 1
    outcome.executions, outcome.peak_bytes = progress.done, progress.peak
    outcome.seconds = time.monotonic() - started
    outcome.failures = sorted(_saved(out, name) - before)
    return outcome


def _watched(command: Sequence[str], progress: Progress) -> str:
    """Run `command` to its end; return why it ended, or had to be ended, before its time, "" if it did not."""
    started, done = time.monotonic(), progress.done
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            time.sleep(LOOK_S)
            opening = progress.done == done and not progress.busy_s() and time.monotonic() - started > START_S
            if progress.busy_s() > INPUT_S or opening:
                process.kill()
                return f"one input took more than {INPUT_S} s" if not opening else f"not open after {START_S} s"
        assert process.stderr
        said = process.stderr.read()
    return f"{said}\nthe process ended with status {process.returncode}" if process.returncode else ""


def _saved(out: Path, name: str) -> set[Path]:
    return {path for path in out.glob(f"{name}-*") if not path.suffix}


def chosen(names: Sequence[str]) -> Sequence[str]:
    """Return `names`, or all targets if there are none; raise ValueError for an unknown one."""
    if unknown := [name for name in names if name not in TARGETS]:
        raise ValueError(f"found target {', '.join(unknown)}, needed some of {', '.join(TARGETS)}: correct it")
    return names or TARGETS
