"""The rounds of a run: start, load and stop every target, one after another."""

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
from scripts.bench.servers import RunningServer, running
from scripts.bench.summary import Sample, percentile
from scripts.bench.targets import IN_PROCESS, Fixtures, Load, Target
from scripts.cluster.config import ROOT
from scripts.host.environments import SERVE_TORCH


class Runner:
    """Run the rounds and collect their samples; a target that does not start is not tried again."""

    def __init__(self, fixtures: Fixtures, logs: Path, seconds: float, warm_s: float) -> None:
        self.fixtures, self.logs, self.seconds, self.warm_s = fixtures, logs, seconds, warm_s
        self.samples: list[Sample] = []
        self.faults: dict[str, str] = {}

    def run(self, targets: Sequence[Target], rounds: int) -> None:
        """Run the rounds, every second one in reverse order, so that a drift of the machine affects all alike."""
        for number in range(rounds):
            self._round(number, rounds, targets if number % 2 == 0 else targets[::-1])

    def _round(self, number: int, rounds: int, targets: Sequence[Target]) -> None:
        for target in targets:
            if target.name in self.faults:
                continue
            step(f"round {number + 1} of {rounds}: {target.title}")
            try:
                for sample in self._in_process(target) if target.kind == IN_PROCESS else self._served(target):
                    self.samples.append(replace(sample, round=number))
                    say(f"   {sample.load:24} {sample.rate:8.1f} images/s   p99 {sample.p99_ms:8.1f} ms")
            except CommandError as error:
                self.faults[target.name] = "\n".join(error.lines)
                warn(self.faults[target.name])

    def _in_process(self, target: Target) -> Iterator[Sample]:
        argv = [str(SERVE_TORCH.python), "-m", "scripts.bench.in_process"]
        argv += [str(self.fixtures.folders[target.model]), str(self.fixtures.images)]
        argv += ["--seconds", str(self.seconds), "--warm-s", str(self.warm_s), "--gpu", self.fixtures.gpu]
        for row in json.loads(run_pinned(argv, self.fixtures.server_cpus(target))):
            times = row["latencies_ms"]
            yield Sample(
                target=target.name,
                load=f"batches of {row['batch']}",
                round=0,
                rate=row["images"] / row["seconds"],
                p50_ms=percentile(times, 0.5),
                p99_ms=percentile(times, 0.99),
                cpu_ms=1000 * row["cpu_s"] / row["images"],
                latencies_ms=times,
            )

    def _served(self, target: Target) -> Iterator[Sample]:
        with running(target, self.fixtures, self.logs) as server:
            best = 0.0
            for load in target.loads:
                sample = self._load(target, server, load, best)
                best = max(best, sample.rate if load.share is None and not load.direct else 0)
                yield sample

    def _load(self, target: Target, server: RunningServer, load: Load, best: float) -> Sample:
        """Run one load; an open loop sends at its share of the rate `best`."""
        rate = None if load.share is None else load.share * best
        job = Job(
            addresses=server.workers if load.direct else [server.address],
            path=target.path,
            encoding=target.encoding,
            images=str(self.fixtures.images),
            clients=load.clients,
            seconds=self.seconds,
            warm_s=self.warm_s,
            rate=rate,
            pids=server.pids,
        )
        argv = [sys.executable, "-m", "scripts.bench.client"]
        outcome = json.loads(run_pinned(argv, self.fixtures.client_cpus(target), json.dumps(asdict(job))))
        times, seconds = outcome["latencies_ms"], outcome["seconds"]
        images = max(1, len(times))
        return Sample(
            target=target.name,
            load=load.label,
            round=0,
            rate=len(times) / seconds,
            p50_ms=percentile(times, 0.5),
            p99_ms=percentile(times, 0.99),
            errors=outcome["errors"],
            cpu_ms=1000 * outcome["server_cpu_s"] / images,
            client_cpu_ms=1000 * outcome["client_cpu_s"] / images,
            memory_mb=procfs.memory_mb(server.pids) / (1 if target.one_slot else target.workers),
            startup_s=server.startup_s,
            stolen=outcome["stolen_s"] / seconds / len(self.fixtures.cpus),
            offered=rate,
            latencies_ms=times,
        )


def run_pinned(
    argv: Sequence[str], cpus: frozenset[int], text: str = "", environ: Mapping[str, str] | None = None
) -> str:
    """Run a program on `cpus` with `text` as its input; return its output, or raise CommandError if it fails."""
    process = subprocess.run(
        argv,
        cwd=ROOT,
        env=environ,
        input=text,
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    )
    if process.returncode:
        raise CommandError(f"{' '.join(argv[1:3])}: failed:", *process.stderr.splitlines()[-3:])
    return process.stdout
