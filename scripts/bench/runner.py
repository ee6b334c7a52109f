"""The rounds of a run: start, load and stop every target, one after another."""

import json
import resource
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scripts.base.console import say, step, warn
from scripts.base.errors import CommandError
from scripts.bench import procfs
from scripts.bench.client import Job
from scripts.bench.requests import request_bytes
from scripts.bench.results import Sample, percentile
from scripts.bench.servers import RunningServer, run_pinned, running
from scripts.bench.targets import IN_PROCESS, OPEN_SHARE, Fixtures, Load, Target
from scripts.host.environments import SERVE_TORCH

SCRIPT = Path(__file__).with_name("load.lua")
CHECKED_IMAGES = 40  # before every load, at most
MIN_ARRIVALS = 10  # of an open loop
MAX_SECONDS = 60  # a load that lasts longer is not repeated
MEMORY_INTERVAL_S = 0.25
Labels = Mapping[str, Mapping[str, str]]  # by size and path


@dataclass
class Runner:
    """Run the rounds with loads of `seconds`, and collect samples; a target that does not start is not tried again.

    `labels` holds the expected label of every image, by the name of a target.
    """

    fixtures: Fixtures
    labels: Mapping[str, Labels]
    logs: Path
    seconds: int

    def run(self, targets: Sequence[Target], rounds: int) -> tuple[list[Sample], dict[str, str]]:
        """Return all samples, and the faults of targets; every second round is reversed, so that a drift averages."""
        samples: list[Sample] = []
        faults: dict[str, str] = {}
        for number in range(rounds):
            for target in targets if number % 2 == 0 else targets[::-1]:
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
        argv = [SERVE_TORCH.python, "-m", "scripts.bench.in_process", "measure", self.fixtures.folders[target.model]]
        argv += [self.fixtures.gpu, self.seconds, *(self.fixtures.images[load.size] for load in target.loads)]
        rows = json.loads(run_pinned(argv, self.fixtures.server_cpus(target)))
        for load, row in zip(target.loads, rows, strict=True):
            yield Sample(target.name, load, **row)

    def _served(self, target: Target) -> Iterator[Sample]:
        with running(target, self.fixtures, self.logs) as server:
            at_rest, rate = procfs.memory(server.pids) / target.workers, 0.0
            for load in target.loads:
                if load.open and not rate:
                    raise CommandError(f"{target.title}: found no right answer, needed some: see {self.logs}")
                sample = self._load(target, server, load, rate * OPEN_SHARE)
                rate = sample.rate if load == Load() else rate
                yield replace(sample, at_rest=at_rest)

    def _load(self, target: Target, server: RunningServer, load: Load, rate: float) -> Sample:
        """Check answers, which also warms up, then load, an open loop at `rate`.

        A closed loop is repeated for twice as long until each client may have an answer.
        """
        labels, errors = self.labels[target.name][load.size], Counter[str]()
        seconds = max(self.seconds, ceil(MIN_ARRIVALS / rate)) if load.open else self.seconds
        cpus = self.fixtures.client_cpus(target)
        job = Job(server.address, target.path, target.encoding, labels)
        check = replace(job, count=min(len(labels), CHECKED_IMAGES))
        while True:
            errors.update(_client(check, cpus)["errors"])
            with measured(server.pids) as used:
                outcome = (
                    _client(replace(job, rate=rate, seconds=seconds), cpus)
                    if load.open
                    else _wrk(job, load.clients, seconds, cpus)
                )
            seconds *= 2
            if load.open or outcome["answers"] >= load.clients or seconds > MAX_SECONDS:
                break
        count = max(1, outcome["answers"])
        return Sample(
            target.name, load, outcome["answers"] / outcome["seconds"], outcome["p50_ms"], outcome["p99_ms"],
            errors + Counter(outcome["errors"]), 1000 * used["server_s"] / count, 1000 * used["client_s"] / count,
            loaded=used["memory"] / target.workers, latencies_ms=outcome.get("latencies_ms", ()),
        )  # fmt: skip


def _client(job: Job, cpus: frozenset[int]) -> dict[str, Any]:
    outcome = json.loads(run_pinned([sys.executable, "-m", "scripts.bench.client"], cpus, json.dumps(asdict(job))))
    times: Sequence[float] = outcome["latencies_ms"]
    return outcome | {"answers": len(times), "p50_ms": percentile(times, 0.5), "p99_ms": percentile(times, 0.99)}


def _wrk(job: Job, clients: int, seconds: int, cpus: frozenset[int]) -> dict[str, Any]:
    with TemporaryDirectory(prefix="wanwu-bench-") as folder:
        files = [Path(folder) / str(number) for number in range(len(job.labels))]
        for file, image in zip(files, sorted(job.labels), strict=True):
            file.write_bytes(request_bytes(job.encoding, job.path, Path(image).read_bytes()))
        argv = ["wrk", "--threads", "1", "--connections", clients, "--duration", f"{seconds}s"]
        argv += ["--timeout", f"{job.timeout_s:.0f}s", "--script", SCRIPT, f"http://{job.address}", *files]
        outcome: dict[str, Any] = json.loads(run_pinned(argv, cpus).splitlines()[-1])
    return outcome


@contextmanager
def measured(pids: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield what a load uses, complete at the end: CPU seconds of server and client, the server's most memory."""

    def cpu_s() -> tuple[float, float]:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return procfs.cpu_s(pids), children.ru_utime + children.ru_stime

    def watch_memory() -> None:
        while not ended.wait(MEMORY_INTERVAL_S):
            used["memory"] = max(used["memory"], procfs.memory(pids), key=lambda memory: memory.pss)

    used: dict[str, Any] = {"memory": procfs.memory(pids)}
    ended, before = threading.Event(), cpu_s()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(watch_memory)
        try:
            yield used
        finally:
            ended.set()
            used["server_s"], used["client_s"] = (
                after - earlier for after, earlier in zip(cpu_s(), before, strict=True)
            )
