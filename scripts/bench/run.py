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
from scripts.base.options import Flag, made_folder
from scripts.bench.fixtures import Fixtures, check_photos, expected_labels, prepare_fixtures
from scripts.bench.goals import goals, has_full_rate
from scripts.bench.report import markdown
from scripts.bench.results import Results
from scripts.bench.runner import Runner
from scripts.bench.targets import FULL, QUICK, choose
from scripts.cluster.config import ROOT
from scripts.cluster.hardware import read_hardware
from scripts.host.environments import PEERS, SERVE, SERVE_TORCH, TOOLS
from scripts.host.packages import LOAD_GENERATOR, NGINX, require
from scripts.host.venv import ensure
from worker.contract.cpu_list import format_cpu_list
from worker.contract.machine import CPUINFO, machine_kind

NOTES = [
    "all goals are for 8 clients",
    "memory is that of all processes of a server: at rest, at its peak, and what no file backs: weights, heap, buffers",
]
NO_PEERS = "peers are left out: `make bench-peers` installs and measures MOSEC, LitServe, BentoML"


@dataclass(frozen=True)
class BenchOptions:
    """Options of `make bench`: `rounds` 0 means the default, `photos` "" generated images; `out` is the directory."""

    out: Annotated[Path, Flag("the folder for the results")] = ROOT / "bench"
    photos: Annotated[str, Flag("a folder of images to send, as they are and enlarged", "DIR")] = ""
    rounds: Annotated[int, Flag("the number of rounds; the results are their medians (3)")] = 0
    quick: Annotated[bool, Flag("one short round, only to show that everything works")] = False
    targets: Annotated[str, Flag("the targets to measure, separated by commas; if left out, all", "NAMES")] = ""


def measure(options: BenchOptions, with_peers: bool) -> None:
    """Measure the targets, write the report and the raw samples, print the report; raise CommandError."""
    started, load, out = time.monotonic(), os.getloadavg()[0], made_folder(options.out)
    photos = check_photos(Path(options.photos).absolute()) if options.photos else None
    scale, folder = (QUICK, out / "material-quick") if options.quick else (FULL, out / "material")
    targets = choose([name for name in options.targets.split(",") if name], with_peers, scale)
    rounds = options.rounds or scale.rounds
    _require(with_peers)
    (out / "logs").mkdir(parents=True, exist_ok=True)
    fixtures = prepare_fixtures(folder, photos, scale, targets)
    labels = expected_labels(fixtures, targets)
    samples, faults = Runner(fixtures, labels, out / "logs", scale.seconds).run(targets, rounds)
    cpuinfo, results = CPUINFO.read_text(encoding="utf-8"), Results(samples, targets)
    about = _about(fixtures, cpuinfo, rounds)
    about.append(f"{time.monotonic() - started:.0f} s; load average {load:.1f} before, {os.getloadavg()[0]:.1f} after")
    verdicts = [*goals(results, has_full_rate(cpuinfo))]
    report = markdown(about, results, faults, verdicts, NOTES if with_peers else [*NOTES, NO_PEERS])
    raw = {"about": about, "faults": faults, "goals": [*map(asdict, verdicts)], "samples": [*map(asdict, samples)]}
    (out / "results.json").write_text(json.dumps(raw), encoding="utf-8")
    (out / "report.md").write_text(report, encoding="utf-8")
    say(f"\n{report}\nwritten: {out / 'report.md'}, {out / 'results.json'}")


def _require(with_peers: bool) -> None:
    """Install the environments that are missing; raise CommandError if a program is."""
    require(LOAD_GENERATOR | NGINX)
    nvidia = bool(read_hardware().gpus)
    for environment in (SERVE, SERVE_TORCH, TOOLS, *([PEERS] if with_peers else [])):
        ensure(environment, nvidia)


def _about(fixtures: Fixtures, cpuinfo: str, rounds: int) -> list[str]:
    """Return a description of the machine and of the method, one line each."""
    name = re.search(r"^model name\s*: (.+)$", cpuinfo, re.MULTILINE)
    int8 = "int8 at full rate (AMX or VNNI)" if has_full_rate(cpuinfo) else "int8 at half rate or by AVX2"
    bytes_ = {size: [path.stat().st_size for path in folder.iterdir()] for size, folder in fixtures.images.items()}
    images = "; ".join(f"{len(one)} of {size} MP, {sum(one) / len(one) / 1e3:.0f} KB" for size, one in bytes_.items())
    return [
        f"processor: {name[1] if name else platform.machine()}, {len(fixtures.cpus)} CPUs, "
        f"{machine_kind(fixtures.gpu)}: {int8}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"medians of {rounds} interleaved rounds; a ratio is to the baseline of the same round",
        f"images, with their average size: {images}",
        "closed loops by wrk, open loops by a client of this project; both check the label in every answer",
        f"workers are pinned to CPUs {'; '.join(map(format_cpu_list, fixtures.slots))}; a single one, or what is "
        "compared with it, has the first of these, and its client the others; all else shares the CPUs with the client",
    ]
