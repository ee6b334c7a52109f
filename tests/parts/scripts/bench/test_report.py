"""From samples to the report: pure functions of data, and the plot that is drawn of them."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

from PIL import Image

from scripts.bench.figures import Model, figures
from scripts.bench.report import Run
from scripts.bench.summary import Sample, rows
from scripts.bench.targets import own, peers
from scripts.cluster.config import ROOT

MODEL = Model("openvino", "int8", 0.985, 0.01, 200, 1.234)


def sample(subject: str, rate: float, load: str = "closed 16", number: int = 0, p99: float = 30.0) -> Sample:
    return Sample(subject, load, number, rate, 10.0, p99, {}, 3.0, 0.05, 200.0, 1.5, 0.01)


def a_run() -> Run:
    samples = [
        sample("inside", 200.125, "batches of 1"), sample("service", 350, "closed 16"),
        replace(sample("service", 300, "open 80%"), offered=301.4, errors={"503": 2}),
    ]  # fmt: skip
    found = rows(samples)
    shown = figures(found, 2, [], MODEL)[:1]
    return Run(["a machine"], own(2, 1) + peers(2), found, {"mosec-engine": "it ended\nwith status 1"}, shown, ["so"])


def test_the_plot_is_drawn_of_the_raw_results(tmp_path: Path) -> None:
    run = a_run()
    titles = {subject.name: subject.title for subject in run.subjects}
    results = {"about": run.about, "titles": titles, "rows": [asdict(row) for row in run.rows]}
    (tmp_path / "results.json").write_text(json.dumps(results))
    command = [sys.executable, "-m", "scripts.bench.plot", str(tmp_path / "results.json"), str(tmp_path / "plot.png")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with Image.open(tmp_path / "plot.png") as image:
        assert image.format == "PNG"
        assert image.width > 1000
        assert len(image.convert("RGB").getcolors(1 << 24) or []) > 10
