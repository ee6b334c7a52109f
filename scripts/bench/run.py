"""`make bench`: everything in one run on this machine; a report, a plot and the raw samples."""

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
from scripts.bench.figures import Model, figures
from scripts.bench.fixtures import gather, own_photos
from scripts.bench.report import Run, markdown
from scripts.bench.runner import Rounds, pinned
from scripts.bench.servers import server_environ
from scripts.bench.summary import Sample, rows
from scripts.bench.targets import CLIENTS, DOCUMENTED, REFERENCE, Material, models_of, own, peers, require_known
from scripts.cluster.config import ROOT
from scripts.cluster.hardware import read_hardware
from scripts.host.environments import PEERS, SERVE, SERVE_TORCH, TOOLS, ensure, is_made
from worker.contract.cpu_list import format_cpu_list
from worker.contract.machine import kind

OUT = ROOT / "bench"
ROUNDS, SECONDS, WARM_S = 3, 4.0, 1.0
QUICK_SECONDS, QUICK_WARM_S = 1.0, 0.2


@dataclass(frozen=True)
class BenchOptions:
    """How many rounds (0: the usual number), of what, on which images, into which folder."""

    out: Annotated[Path, Flag("the folder that the results go to")] = OUT
    photos: Annotated[str, Flag("a folder of images to send", "DIR")] = ""
    rounds: Annotated[int, Flag("of which the medians are taken (3)")] = 0
    quick: Annotated[bool, Flag("one short round, to see that all of it works")] = False
    subjects: Annotated[str, Flag("what to measure, by commas; without it everything", "NAMES")] = ""

    @property
    def chosen(self) -> list[str]:
        """Return the names of the subjects to measure, none for all."""
        return [name for name in self.subjects.split(",") if name]

    @property
    def count(self) -> int:
        """Return the number of rounds."""
        return self.rounds or (1 if self.quick else ROUNDS)


def measure(options: BenchOptions, cluster: Path, with_peers: bool) -> None:
    """Measure all there is, write the report, the plot and the raw samples, and show the report; raise CommandError."""
    started, out = time.monotonic(), options.out.absolute()
    photos = own_photos(Path(options.photos)) if options.photos else None
    require_known(options.chosen, with_peers)
    has_peers = _environments(with_peers) and (with_peers or not options.quick)
    (out / "logs").mkdir(parents=True, exist_ok=True)
    material = gather(out, photos, options.quick, models_of(options.chosen))
    subjects = own(len(material.slots), len(material.slots[0])) + (peers(len(material.cpus)) if has_peers else [])
    subjects = [subject for subject in subjects if not options.chosen or subject.name in options.chosen]
    times = (QUICK_SECONDS, QUICK_WARM_S) if options.quick else (SECONDS, WARM_S)
    rounds = Rounds(material, out / "logs", *times)
    rounds.run(subjects, options.count)
    model = _model(material, startup.ready_s(material.cluster, options.count))
    beside = startup.measure(cluster, options.count)
    beside += [] if options.quick else containers.measure(cluster, options.count)
    about = [*_machine(material, options.count), _spent(time.monotonic() - started, rounds.samples)]
    names = [subject.name for subject in subjects]
    found = rows(sorted(rounds.samples, key=lambda sample: names.index(sample.subject)))
    reached = figures(found, len(material.slots), [name for name in names if name.endswith(DOCUMENTED)], model)
    run = Run(about, subjects, found, rounds.faults, reached, [*_notes(model, has_peers), *beside])
    write(out, run, rounds.samples)


def _environments(with_peers: bool) -> bool:
    """Make the environments that are missing; whether that of the peers is there."""
    nvidia = bool(read_hardware().gpus)
    for environment in (SERVE, SERVE_TORCH, TOOLS, *([PEERS] if with_peers else [])):
        ensure(environment, nvidia)
    return is_made(PEERS, nvidia)


def _model(material: Material, ready_s: float) -> Model:
    """How the reference model that is served agrees with the articles' way, asked on the slot that it is served on."""
    argv = [
        str(SERVE_TORCH.python), "-m", "scripts.bench.agreement", str(material.folders[REFERENCE]),
        str(material.images), "--gpu", material.gpu,
    ]  # fmt: skip
    environ = server_environ(REFERENCE, material, 0)
    return Model(**json.loads(pinned(argv, material.cpus, environ=environ)), ready_s=ready_s)


def _machine(material: Material, rounds: int) -> list[str]:
    """Where and how it was measured."""
    name = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    slots = "; ".join(format_cpu_list(slot) for slot in material.slots)
    size = sum(path.stat().st_size for path in material.images.iterdir())
    count = len(list(material.images.iterdir()))
    return [
        f"{name[1] if name else platform.machine()}, {len(material.cpus)} CPUs ({kind(material.gpu)}), "
        f"Linux {platform.release()}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"medians of {rounds} interleaved rounds; every load is warmed up before; {count} images, "
        f"{size / count / 1000:.0f} KB on average",
        f"client: one process, kept connections, the same for every server; a closed loop of {CLIENTS} clients unless "
        "said otherwise, latency from the moment a request was due; open loops send at Poisson times",
        "one slot (in process, one worker, peers with this engine): server on CPU "
        f"{format_cpu_list(material.slots[0])}, client on CPU {format_cpu_list(material.others)}",
        f"all others: server, gateway and client share CPU {format_cpu_list(material.cpus)}; its own workers "
        f"are pinned to {slots}",
    ]


def _spent(seconds: float, samples: Sequence[Sample]) -> str:
    stolen = max((sample.stolen for sample in samples), default=0.0)
    return f"the whole run took {seconds:.0f} s; of no load's time did the hypervisor take more than {stolen:.1%}"


def _notes(model: Model, has_peers: bool) -> list[str]:
    served = (
        f"the reference model, ResNet-18 with random weights, is served by {model.engine} in {model.precision}; on "
        f"{model.images} images its largest difference of a score from torch f32 is {model.difference:.4f}"
    )
    absent = "peers are left out: `make bench-peers` installs MOSEC, LitServe and BentoML and measures them too"
    return [served] if has_peers else [served, absent]


def write(out: Path, run: Run, samples: Sequence[Sample]) -> None:
    """results.json, report.md and plot.png in `out`; the report is printed too."""
    titles = {subject.name: subject.title for subject in run.subjects}
    raw = {
        "about": run.about, "titles": titles, "rows": [asdict(row) for row in run.rows], "faults": run.faults,
        "figures": [asdict(figure) for figure in run.figures], "notes": run.notes,
        "samples": [asdict(sample) for sample in samples],
    }  # fmt: skip
    report = markdown(run)
    (out / "results.json").write_text(json.dumps(raw), encoding="utf-8")
    (out / "report.md").write_text(report, encoding="utf-8")
    argv = [str(TOOLS.python), "-m", "scripts.bench.plot", str(out / "results.json"), str(out / "plot.png")]
    pinned(argv, frozenset(os.sched_getaffinity(0)))
    say(f"\n{report}")
    say(f"written: {out / 'report.md'}, {out / 'plot.png'}, {out / 'results.json'}")
