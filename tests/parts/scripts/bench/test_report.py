"""The plot, drawn from the raw results."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

from PIL import Image

from scripts.bench.goals import goals
from scripts.bench.report import Run
from scripts.bench.summary import rows
from scripts.bench.targets import own_targets, peer_targets
from scripts.cluster.config import ROOT
from tests.unit.scripts.bench.test_report import MODEL, sample


def example_run() -> Run:
    samples = [
        sample("in-process", 200.125, "batches of 1"), sample("service", 350, "closed 16"),
        replace(sample("service", 300, "open 80%"), offered=301.4, errors={"503": 2}),
    ]  # fmt: skip
    measured = rows(samples)
    first_goal = goals(measured, 2, [], MODEL)[:1]
    targets = own_targets(2, 1) + peer_targets(2)
    return Run(["a machine"], targets, measured, {"mosec-engine": "it ended\nwith status 1"}, first_goal, ["a note"])


def test_the_plot_is_drawn_from_the_raw_results(tmp_path: Path) -> None:
    run = example_run()
    titles = {target.name: target.title for target in run.targets}
    results = {"about": run.about, "titles": titles, "rows": [asdict(row) for row in run.rows]}
    (tmp_path / "results.json").write_text(json.dumps(results))
    command = [sys.executable, "-m", "scripts.bench.plot", str(tmp_path / "results.json"), str(tmp_path / "plot.png")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with Image.open(tmp_path / "plot.png") as image:
        assert image.format == "PNG"
        assert image.width > 1000
        assert len(image.convert("RGB").getcolors(1 << 24) or []) > 10
