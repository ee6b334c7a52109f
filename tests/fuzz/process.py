"""`python -m tests.fuzz.process`: fuzz one target in this process, which its memory limit or a crash may end.

For each distinct failure it writes a shrunk input and the traceback into the output folder and goes on.
"""

import argparse
import hashlib
import importlib
import os
import re
import resource
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import Check, Target
from tests.fuzz.progress import Progress
from tests.hostile import WORKER_BYTES
from tests.processes import high_water, reset_high_water

BATCH = 10  # drawn inputs between two looks at the clock
VARIANTS = 24  # of each: drawing an input takes longer than checking it
ROOM_BYTES = 3 << 30  # of address space beyond what the opened target uses: a request for more fails at once
SIZE = re.compile(r"^VmSize:\s+(\d+) kB$", re.MULTILINE)
SETTINGS = settings(
    database=None,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


class TooMuchMemory(Exception):
    """One input took more memory than its target may hold."""


class Fuzzer:
    """One target with the inputs that have failed so far, by signature."""

    def __init__(self, name: str, target: Target, home: Path, out: Path) -> None:
        self.name, self.target, self.home, self.out = name, target, home, out
        self.progress = Progress(home / f"{name}.progress")
        self.known: set[str] = set()
        self.failing: dict[str, tuple[bytes, str]] = {}

    def run(self, seconds: float, examples: int, seed: int) -> None:
        """Fuzz until `seconds` have passed or `examples` inputs are done."""
        check, until, end = self.opened(), time.monotonic() + seconds, self.progress.done + examples
        strategy = self.target.examples()
        batch = 0
        while time.monotonic() < until and (left := end - self.progress.done) > 0:
            batch += 1
            draws = min(BATCH, -(-left // (1 + VARIANTS)))
            choose = settings(SETTINGS, max_examples=draws)
            inputs = given(strategy, st.integers(0, 1 << 32))(self._attempt(check))
            attempt = hypothesis.seed(f"{seed}.{batch}")(choose(inputs))
            try:
                attempt()
            except Exception:
                self._report()

    def opened(self) -> Check:
        """Open the target, and limit this process's address space."""
        check = self.target.opened(self.home)
        (kilobytes,) = SIZE.findall(Path("/proc/self/status").read_text())
        limit = int(kilobytes) * 1024 + ROOM_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        return check

    def once(self, check: Check, data: bytes) -> None:
        """Check one input; raise what is wrong with it."""
        reset_high_water(os.getpid())
        self.progress.begin(data)
        try:
            check(data)
        finally:
            held = high_water(os.getpid())
            self.progress.end(held)
        if held > WORKER_BYTES:
            raise TooMuchMemory(f"found {held // 10**6} MB, needed at most {WORKER_BYTES // 10**6} MB")

    def _attempt(self, check: Check) -> Callable[[bytes, int], None]:
        def attempt(data: bytes, number: int) -> None:
            random = Random(number)
            for one in (data, *(self.target.vary(random, data) for _ in range(VARIANTS))):
                try:
                    self.once(check, one)
                except Exception as error:
                    found = signature(error)
                    if found in self.known:  # one failure each: go on to others
                        continue
                    self.failing[found] = one, traceback.format_exc()
                    raise

        return attempt

    def _report(self) -> None:
        """Write what has failed in this batch; the last input of a signature is the smallest."""
        for found, (data, text) in self.failing.items():
            save(self.out, self.name, data, text)
            self.known.add(found)
        self.failing.clear()


def signature(error: BaseException) -> str:
    """Return the type of an error and the place that raised it."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} {last.filename}:{last.lineno}"


def save(out: Path, name: str, data: bytes, text: str) -> Path:
    """Write a failing input and what it led to; return the path of the input."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    path.with_suffix(".txt").write_text(text, encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target", help="a module")
    parser.add_argument("--home", type=Path, required=True, help="for what the target writes")
    parser.add_argument("--out", type=Path, required=True, help="for failing inputs")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--examples", type=int, default=1 << 62)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--input", type=Path, help="check this file alone")
    asked = parser.parse_args()
    module: Target = importlib.import_module(asked.target)
    fuzzer = Fuzzer(asked.target.rpartition(".")[2], module, asked.home, asked.out)
    if asked.input:
        fuzzer.once(fuzzer.opened(), asked.input.read_bytes())
    else:
        fuzzer.run(asked.seconds, asked.examples, asked.seed)


if __name__ == "__main__":
    main()
