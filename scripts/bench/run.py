"""`make bench`: measure everything in one run on this machine; write a report and the raw samples."""

import json
import os
import platform
import re
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from scripts.base.console import say
from scripts.base.options import Flag
from scripts.bench.fixtures import agreements, check_photos, expected_labels, prepare_fixtures
from scripts.bench.goals import goals, has_full_rate
from scripts.bench.report import Run, markdown
from scripts.bench.results import Results
from scripts.bench.runner import Runner
from scripts.bench.targets import REFERENCE, Fixtures, all_targets, require_known
from scripts.cluster.config import ROOT
from scripts.cluster.hardware import read_hardware
from scripts.host.environments import PEERS, SERVE, SERVE_TORCH, TOOLS, ensure, is_current
from scripts.host.packages import LOAD_GENERATOR, require
from worker.contract.cpu_list import format_cpu_list
from worker.contract.machine import CPUINFO, machine_kind

OUT = ROOT / "bench"
ROUNDS = 3
SECONDS, QUICK_SECONDS = 4, 1  # of a load


@dataclass(frozen=True)
class BenchOptions:
    """Options of `make bench`: `rounds` 0 means the default, `photos` "" generated images; `out` is the directory."""

    out: Annotated[Path, Flag("the folder for the results")] = OUT
    photos: Annotated[str, Flag("a folder of images to send, as they are and enlarged", "DIR")] = ""
    rounds: Annotated[int, Flag("the number of rounds; the results are their medians (3)")] = 0
    quick: Annotated[bool, Flag("one short round, only to show that everything works")] = False
    targets: Annotated[str, Flag("the targets to measure, separated by commas; if left out, all", "NAMES")] = ""


def measure(options: BenchOptions, with_peers: bool) -> None:
    """Measure the targets, write the report and the raw samples, print the report; raise CommandError."""
    started, load, out = time.monotonic(), os.getloadavg()[0], options.out.absolute()
    photos = check_photos(Path(options.photos).absolute()) if options.photos else None
    names = [name for name in options.targets.split(",") if name]
    require_known(names, with_peers)
    require(LOAD_GENERATOR)
    has_peers = _ensure_environments(with_peers) and (with_peers or not options.quick)
    (out / "logs").mkdir(parents=True, exist_ok=True)
    allowed = [target.name for target in all_targets(1, 1, 1) if has_peers or not target.is_peer]
    names = [name for name in allowed if name in names or not names]
    folder = out / ("material-quick" if options.quick else "material")
    fixtures = prepare_fixtures(folder, photos, options.quick, names)
    every = all_targets(len(fixtures.slots), len(fixtures.slots[0]), len(fixtures.cpus), options.quick)
    targets = [target for target in every if target.name in names]
    labels = expected_labels(fixtures, targets)
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    runner = Runner(fixtures, labels, out / "logs", QUICK_SECONDS if options.quick else SECONDS)
    samples, faults = runner.run(targets, rounds)
    agreement = agreements(fixtures, REFERENCE) if REFERENCE in fixtures.folders else {}
    cpuinfo, results = CPUINFO.read_text(encoding="utf-8"), Results(samples, targets)
    about = _about(fixtures, cpuinfo, rounds)
    about.append(f"{time.monotonic() - started:.0f} s; load average {load:.1f} before, {os.getloadavg()[0]:.1f} after")
    notes = (
        [] if has_peers else ["peers are left out: `make bench-peers` installs and measures MOSEC, LitServe, BentoML"]
    )
    notes.append("the goals for 400 workers need a simulation of their own; all others are for 8 clients")
    write(out, Run(about, results, faults, goals(results, has_full_rate(cpuinfo), agreement), notes))


def _ensure_environments(with_peers: bool) -> bool:
    """Make the missing environments; return whether the peers' environment exists."""
    nvidia = bool(read_hardware().gpus)
    for environment in (SERVE, SERVE_TORCH, TOOLS, *([PEERS] if with_peers else [])):
        ensure(environment, nvidia)
    return is_current(PEERS, nvidia)


def _about(fixtures: Fixtures, cpuinfo: str, rounds: int) -> list[str]:
    """Return a description of the machine and of the method, one line each."""
    name = re.search(r"^model name\s*: (.+)$", cpuinfo, re.MULTILINE)
    int8 = "int8 at full rate (AMX or VNNI)" if has_full_rate(cpuinfo) else "int8 at half rate or by AVX2"
    images = {size: [path.stat().st_size for path in folder.iterdir()] for size, folder in fixtures.images.items()}
    sizes = (f"{len(all_)} of {size} MP, {sum(all_) / len(all_) / 1e3:.0f} KB" for size, all_ in images.items())
    slots = "; ".join(map(format_cpu_list, fixtures.slots))
    return [
        f"processor: {name[1] if name else platform.machine()}, {len(fixtures.cpus)} CPUs, "
        f"{machine_kind(fixtures.gpu)}: {int8}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"medians of {rounds} interleaved rounds; a ratio is to the baseline of the same round",
        f"images, with their average size: {'; '.join(sizes)}",
        "closed loops by wrk in one thread; open loops by a client that checks every label, also before each load",
        f"one slot: server on CPU {format_cpu_list(fixtures.slots[0])}, client on the others; all other targets share "
        f"the CPUs with the client; workers are pinned to {slots}",
    ]


def write(out: Path, run: Run) -> None:
    """Write results.json and report.md into `out`, and print the report."""
    samples, goals_ = ([asdict(one) for one in group] for group in (run.results.samples, run.goals))
    results = {"about": run.about, "faults": run.faults, "goals": goals_, "notes": run.notes, "samples": samples}
    report = markdown(run)
    (out / "results.json").write_text(json.dumps(results), encoding="utf-8")
    (out / "report.md").write_text(report, encoding="utf-8")
    say(f"\n{report}")
    say(f"written: {out / 'report.md'}, {out / 'results.json'}")
