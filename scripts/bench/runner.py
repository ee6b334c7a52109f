"""The rounds of a run: start, load and stop every target, one after another."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scripts.base.console import say, step, warn
from scripts.base.errors import CommandError
from scripts.bench import procfs
from scripts.bench.client import encode, post
from scripts.bench.fixtures import Fixtures, in_process
from scripts.bench.programs import Cpus, call, run_pinned
from scripts.bench.results import Sample
from scripts.bench.servers import Running, running
from scripts.bench.targets import IN_PROCESS, OPEN_SHARE, Load, Target

SCRIPT = Path(__file__).with_name("load.lua")
TIMEOUT_S = 120  # of a request
MIN_ARRIVALS = 10  # of an open loop
DOUBLINGS = 3  # of a closed loop's seconds, until anything was answered
Labels = Mapping[str, str]  # by path


@dataclass
class Runner:
    """Run the rounds with loads of `seconds`, and collect samples; a target that does not start is not tried again.

    `labels` holds the expected label of every image, by the name of a target and the size of the image.
    """

    fixtures: Fixtures
    labels: Mapping[str, Mapping[str, Labels]]
    logs: Path
    seconds: int

    def run(self, targets: Sequence[Target], rounds: int) -> tuple[list[Sample], dict[str, str]]:
        """Return all samples, and the faults of targets; every second round is reversed, so that a drift averages."""
        samples: list[Sample] = []
        faults: dict[str, str] = {}
        for number in range(rounds):
            for target in targets[:: -1 if number % 2 else 1]:
                if target.name in faults:
                    continue
                step(f"round {number + 1} of {rounds}: {target.title}")
                try:
                    for sample in self._in_process(target) if target.kind == IN_PROCESS else self._served(target):
                        samples.append(replace(sample, round=number))
                        name = f"{sample.load.size} MP, {sample.load.label}"
                        say(f"   {name:24} {sample.rate:8.1f} images/s   p99 {sample.p99_ms:8.1f} ms")
                except CommandError as error:
                    faults[target.name] = "\n".join(error.lines)
                    warn(faults[target.name])
        return samples, faults

    def _in_process(self, target: Target) -> Iterator[Sample]:
        rows = in_process("measure", self.fixtures, self.fixtures.slots[0], target.model, self.seconds)
        yield from (Sample(target.name, Load(size), **row) for size, row in rows.items())

    def _served(self, target: Target) -> Iterator[Sample]:
        with running(target, self.fixtures, self.logs) as server:
            at_rest, rate = procfs.memory(server[1]), 0.0
            for load in target.loads:
                if load.open and not rate:
                    raise CommandError(f"{target.title}: found no right answer, needed some: see {self.logs}")
                sample = self._load(target, server, load, rate * OPEN_SHARE)
                rate = sample.rate if load == Load() else rate
                yield replace(sample, at_rest=at_rest)

    def _load(self, target: Target, server: Running, load: Load, rate: float) -> Sample:
        """Send an open loop at `rate`, or a closed loop, again for twice as long if nothing was answered."""
        (address, pids), labels = server, self.labels[target.name][load.size]
        image, label = min(labels.items())
        request = (address, target.path, *encode(target.encoding, Path(image).read_bytes()), label)
        seconds = max(self.seconds, ceil(MIN_ARRIVALS / rate)) if load.open else self.seconds
        errors = Counter[str]()
        while True:
            # wrk leaves a request of each client in the server's queue, and some servers do not notice that it has
            # gone. Once this request, sent later, is answered, they are done, and no part of the next load.
            errors.update(filter(None, [post(*request, TIMEOUT_S)]))
            before = procfs.cpu_s(pids)
            outcome = self._send(target, address, load, rate, seconds)
            used = procfs.cpu_s(pids) - before
            errors.update(outcome.pop("errors"))
            if load.open or outcome["answers"] or seconds >= self.seconds << DOUBLINGS:
                break
            seconds *= 2
        answers, memory = outcome.pop("answers"), procfs.memory(pids)
        rate, cpu_ms = answers / outcome.pop("seconds"), 1000 * used / max(1, answers)
        return Sample(target.name, load, rate, cpu_ms, **outcome, errors=dict(+errors), loaded=memory)

    def _send(self, target: Target, address: str, load: Load, rate: float, seconds: int) -> dict[str, Any]:
        """Return the answers, the latencies and the errors of a load of `seconds`."""
        labels, cpus = self.labels[target.name][load.size], self.fixtures.client_cpus(target)
        if not load.open:
            return wrk(target, address, labels, load.clients, seconds, cpus)
        job = (address, target.path, target.encoding, labels, rate, seconds, TIMEOUT_S)
        outcome: dict[str, Any] = call(sys.executable, cpus, "client:run", *job)
        return outcome


def wrk(target: Target, address: str, labels: Labels, clients: int, seconds: int, cpus: Cpus) -> dict[str, Any]:
    """Send the images in `labels` in closed loops of `clients`; return what the script of wrk prints."""
    with TemporaryDirectory(prefix="wanwu-bench-") as folder:
        files = [Path(folder) / str(number) for number in range(len(labels))]
        for file, (image, label) in zip(files, sorted(labels.items()), strict=True):
            content_type, body = encode(target.encoding, Path(image).read_bytes())
            head = f"POST {target.path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {content_type}\r\n"
            file.write_bytes(f"{label}\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        argv = ["wrk", "--threads", clients, "--connections", clients, "--duration", f"{seconds}s"]
        argv += ["--timeout", f"{TIMEOUT_S}s", "--script", SCRIPT, f"http://{address}", clients, *files]
        outcome: dict[str, Any] = json.loads(run_pinned(argv, cpus).splitlines()[-1])
    return outcome
