"""`make bench`: measure everything in one run on this machine; write a report, a plot and the raw samples."""

import json
import os
import platform
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from scripts.base.console import say
from scripts.base.options import Flag
from scripts.bench import containers, startup
from scripts.bench.fixtures import check_photos, prepare_fixtures
from scripts.bench.goals import ServedModel, goals
from scripts.bench.report import Run, markdown
from scripts.bench.runner import Runner, run_pinned
from scripts.bench.servers import server_environ
from scripts.bench.summary import Sample, rows
from scripts.bench.targets import (
    CLIENTS,
    DOCUMENTED,
    REFERENCE,
    Fixtures,
    models_of,
    own_targets,
    peer_targets,
    require_known,
)
from scripts.cluster.config import ROOT
from scripts.cluster.hardware import read_hardware
from scripts.host.environments import PEERS, SERVE, SERVE_TORCH, TOOLS, ensure, is_current
from worker.contract.cpu_list import format_cpu_list
from worker.contract.machine import machine_kind

OUT = ROOT / "bench"
ROUNDS, SECONDS, WARM_S = 3, 4.0, 1.0
QUICK_SECONDS, QUICK_WARM_S = 1.0, 0.2


@dataclass(frozen=True)
class BenchOptions:
    """Options of `make bench`: `rounds` 0 means the default, `photos` "" generated images; `out` is the directory."""

    out: Annotated[Path, Flag("the folder for the results")] = OUT
    photos: Annotated[str, Flag("a folder of images to send", "DIR")] = ""
    rounds: Annotated[int, Flag("the number of rounds; the results are their medians (3)")] = 0
    quick: Annotated[bool, Flag("one short round, only to show that everything works")] = False
    targets: Annotated[str, Flag("the targets to measure, separated by commas; if left out, all", "NAMES")] = ""

    @property
    def target_names(self) -> list[str]:
        """Return the names of the targets to measure; an empty list means all."""
        return [name for name in self.targets.split(",") if name]

    @property
    def number_of_rounds(self) -> int:
        return self.rounds or (1 if self.quick else ROUNDS)


def measure(options: BenchOptions, cluster: Path, with_peers: bool) -> None:
    """Measure the targets, write the report, the plot and the raw samples, print the report; raise CommandError."""
    started, out = time.monotonic(), options.out.absolute()
    photos = check_photos(Path(options.photos)) if options.photos else None
    require_known(options.target_names, with_peers)
    has_peers = _ensure_environments(with_peers) and (with_peers or not options.quick)
    (out / "logs").mkdir(parents=True, exist_ok=True)
    fixtures = prepare_fixtures(out, photos, options.quick, models_of(options.target_names))
    targets = own_targets(len(fixtures.slots), len(fixtures.slots[0]))
    targets += peer_targets(len(fixtures.cpus)) if has_peers else []
    targets = [target for target in targets if not options.target_names or target.name in options.target_names]
    times = (QUICK_SECONDS, QUICK_WARM_S) if options.quick else (SECONDS, WARM_S)
    rounds = options.number_of_rounds
    runner = Runner(fixtures, out / "logs", *times)
    runner.run(targets, rounds)
    model = _served_model(fixtures, startup.ready_s(fixtures.cluster, rounds))
    notes = _notes(model, has_peers) + startup.measure(cluster, rounds)
    notes += [] if options.quick else containers.measure(cluster, rounds)
    about = [*_conditions(fixtures, rounds), _duration(time.monotonic() - started, runner.samples)]
    names = [target.name for target in targets]
    summary = rows(sorted(runner.samples, key=lambda sample: names.index(sample.target)))
    documented_peers = [name for name in names if name.endswith(DOCUMENTED)]
    checked_goals = goals(summary, len(fixtures.slots), documented_peers, model)
    write(out, Run(about, targets, summary, runner.faults, checked_goals, notes), runner.samples)


def _ensure_environments(with_peers: bool) -> bool:
    """Make the missing environments; return whether the peers' environment exists."""
    nvidia = bool(read_hardware().gpus)
    for environment in (SERVE, SERVE_TORCH, TOOLS, *([PEERS] if with_peers else [])):
        ensure(environment, nvidia)
    return is_current(PEERS, nvidia)


def _served_model(fixtures: Fixtures, ready_s: float) -> ServedModel:
    """Compare the served reference model with the baseline, on the slot that serves it."""
    argv = [str(SERVE_TORCH.python), "-m", "scripts.bench.agreement"]
    argv += [str(fixtures.folders[REFERENCE]), str(fixtures.images), "--gpu", fixtures.gpu]
    environ = server_environ(REFERENCE, fixtures, 0)
    return ServedModel(**json.loads(run_pinned(argv, fixtures.cpus, environ=environ)), ready_s=ready_s)


def _conditions(fixtures: Fixtures, rounds: int) -> list[str]:
    """Return a description of the machine and of the method, one line each."""
    name = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    slots = "; ".join(format_cpu_list(slot) for slot in fixtures.slots)
    sizes = [path.stat().st_size for path in fixtures.images.iterdir()]
    return [
        f"{name[1] if name else platform.machine()}, {len(fixtures.cpus)} CPUs ({machine_kind(fixtures.gpu)}), "
        f"Linux {platform.release()}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"medians of {rounds} interleaved rounds, with a warm-up before every load; {len(sizes)} images, "
        f"{sum(sizes) / len(sizes) / 1000:.0f} KB on average",
        f"client: one process, keep-alive connections, the same for every server; a closed loop of {CLIENTS} clients "
        "unless stated otherwise, latency from the moment a request was due; open loops send at Poisson times",
        "one slot (in process, one worker, peers with this engine): server on CPU "
        f"{format_cpu_list(fixtures.slots[0])}, client on CPU {format_cpu_list(fixtures.remaining_cpus)}",
        f"all others: server, gateway and client share CPU {format_cpu_list(fixtures.cpus)}; this project's workers "
        f"are pinned to {slots}",
    ]


def _duration(seconds: float, samples: Sequence[Sample]) -> str:
    stolen = max((sample.stolen for sample in samples), default=0.0)
    return f"the whole run took {seconds:.0f} s; the hypervisor took at most {stolen:.1%} of any load's time"


def _notes(model: ServedModel, has_peers: bool) -> list[str]:
    served = (
        f"the reference model, ResNet-18 with random weights, is served by {model.engine} in {model.precision}; on "
        f"{model.images} images its largest difference of a score from torch f32 is {model.difference:.4f}"
    )
    no_peers = "peers are left out: `make bench-peers` installs MOSEC, LitServe and BentoML and measures them too"
    return [served] if has_peers else [served, no_peers]


def write(out: Path, run: Run, samples: Sequence[Sample]) -> None:
    """Write results.json, report.md and plot.png into `out`, and print the report."""
    results = {
        "about": run.about,
        "titles": {target.name: target.title for target in run.targets},
        "rows": [asdict(row) for row in run.rows],
        "faults": run.faults,
        "goals": [asdict(goal) for goal in run.goals],
        "notes": run.notes,
        "samples": [asdict(sample) for sample in samples],
    }
    report = markdown(run)
    (out / "results.json").write_text(json.dumps(results), encoding="utf-8")
    (out / "report.md").write_text(report, encoding="utf-8")
    argv = [str(TOOLS.python), "-m", "scripts.bench.plot", str(out / "results.json"), str(out / "plot.png")]
    run_pinned(argv, frozenset(os.sched_getaffinity(0)))
    say(f"\n{report}")
    say(f"written: {out / 'report.md'}, {out / 'plot.png'}, {out / 'results.json'}")
