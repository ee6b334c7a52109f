"""The rounds of a run: every subject started, loaded and ended again, one after the other."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from scripts.base.console import say, step, warn
from scripts.base.errors import CommandError
from scripts.bench import procfs
from scripts.bench.client import Job
from scripts.bench.servers import Running, running
from scripts.bench.summary import Sample, percentile
from scripts.bench.targets import INSIDE, Load, Material, Subject
from scripts.cluster.config import ROOT
from scripts.host.environments import SERVE_TORCH


class Rounds:
    """The rounds of one run, and what came of them; a subject that does not start is not tried again."""

    def __init__(self, material: Material, logs: Path, seconds: float, warm_s: float) -> None:
        self.material, self.logs, self.seconds, self.warm_s = material, logs, seconds, warm_s
        self.samples: list[Sample] = []
        self.faults: dict[str, str] = {}

    def run(self, subjects: Sequence[Subject], count: int) -> None:
        """`count` rounds, every second one backwards: what drifts meanwhile hits all alike."""
        for number in range(count):
            self._round(number, count, subjects if number % 2 == 0 else subjects[::-1])

    def _round(self, number: int, count: int, subjects: Sequence[Subject]) -> None:
        for subject in subjects:
            if subject.name in self.faults:
                continue
            step(f"round {number + 1} of {count}: {subject.title}")
            try:
                measured = self._inside(subject) if subject.kind == INSIDE else self._served(subject)
                for sample in measured:
                    self.samples.append(replace(sample, round=number))
                    say(f"   {sample.load:24} {sample.rate:8.1f} images/s   p99 {sample.p99_ms:8.1f} ms")
            except CommandError as refusal:
                self.faults[subject.name] = "\n".join(refusal.lines)
                warn(self.faults[subject.name])

    def _inside(self, subject: Subject) -> Iterator[Sample]:
        argv = [
            str(SERVE_TORCH.python), "-m", "scripts.bench.in_process", str(self.material.folders[subject.model]),
            str(self.material.images), "--seconds", str(self.seconds), "--warm-s", str(self.warm_s),
            "--gpu", self.material.gpu,
        ]  # fmt: skip
        for row in json.loads(pinned(argv, self.material.server_cpus(subject))):
            times = row["latencies_ms"]
            yield Sample(
                subject.name, f"batches of {row['batch']}", 0, row["images"] / row["seconds"], percentile(times, 0.5),
                percentile(times, 0.99), cpu_ms=1000 * row["cpu_s"] / row["images"], latencies_ms=times,
            )  # fmt: skip

    def _served(self, subject: Subject) -> Iterator[Sample]:
        with running(subject, self.material, self.logs) as server:
            best = 0.0
            for load in subject.loads:
                sample = self._load(subject, server, load, best)
                best = max(best, sample.rate if load.share is None and not load.direct else 0)
                yield sample

    def _load(self, subject: Subject, server: Running, load: Load, best: float) -> Sample:
        """One load; `best` is the rate that an open loop's share is of."""
        rate = None if load.share is None else load.share * best
        addresses = server.workers if load.direct else [server.address]
        job = Job(
            addresses, subject.path, subject.form, str(self.material.images), load.clients, self.seconds,
            self.warm_s, rate, pids=server.pids,
        )  # fmt: skip
        argv = [sys.executable, "-m", "scripts.bench.client"]
        outcome = json.loads(pinned(argv, self.material.client_cpus(subject), json.dumps(asdict(job))))
        times, seconds = outcome["latencies_ms"], outcome["seconds"]
        images = max(1, len(times))
        return Sample(
            subject.name, load.label, 0, len(times) / seconds, percentile(times, 0.5), percentile(times, 0.99),
            outcome["errors"], 1000 * outcome["server_cpu_s"] / images, 1000 * outcome["client_cpu_s"] / images,
            procfs.memory_mb(server.pids) / (1 if subject.one_slot else subject.workers), server.startup_s,
            outcome["stolen_s"] / seconds / len(self.material.cpus), rate, times,
        )  # fmt: skip


def pinned(argv: Sequence[str], cpus: frozenset[int], text: str = "", environ: Mapping[str, str] | None = None) -> str:
    """What a program on `cpus` prints, given `text`; raises CommandError with the end of its complaint."""
    done = subprocess.run(
        argv, cwd=ROOT, env=environ, input=text, capture_output=True, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    )  # fmt: skip
    if done.returncode:
        raise CommandError(f"{' '.join(argv[1:3])}: failed:", *done.stderr.splitlines()[-3:])
    return done.stdout
