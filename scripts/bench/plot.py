"""`python -m scripts.bench.plot RESULTS PNG`: plot the rates of a run and the service's latency under load."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes

OWN_COLOUR, OTHER_COLOUR = "#2a6f97", "#b0b0b0"
OWN_TARGETS = ("in-process", "worker", "multipart", "service", "f32", "small")


def draw(results: dict[str, Any], out: Path) -> None:
    """Draw two panels into the PNG `out`."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(15, 6), width_ratios=(3, 2))
    _rates(left, results)
    _latency(right, results)
    figure.suptitle(results["about"][0], fontsize=10)
    figure.tight_layout()
    figure.savefig(out, dpi=110)


def _rates(axes: Axes, results: dict[str, Any]) -> None:
    titles = results["titles"]
    best: dict[str, dict[str, Any]] = {}
    for row in results["rows"]:
        if row["target"] != "client" and row["rate"] >= best.get(row["target"], row)["rate"]:
            best[row["target"]] = row
    rows = list(best.values())[::-1]
    rates = [row["rate"] for row in rows]
    spread = [[row["rate"] - row["lowest"] for row in rows], [row["highest"] - row["rate"] for row in rows]]
    colours = [OWN_COLOUR if row["target"] in OWN_TARGETS else OTHER_COLOUR for row in rows]
    axes.barh([titles[row["target"]] for row in rows], rates, xerr=spread, color=colours, ecolor="#444444")
    for position, rate in enumerate(rates):
        axes.text(rate, position, f"  {rate:.0f}", va="bottom", fontsize=8)
    axes.set_xlabel("images/s at the best load; lines from the lowest round to the highest")
    axes.tick_params(axis="y", labelsize=8)


def _latency(axes: Axes, results: dict[str, Any]) -> None:
    for kind, marker in (("closed", "o"), ("open", "s")):
        rows = [row for row in results["rows"] if row["target"] == "service" and row["load"].startswith(kind)]
        rows = [row for row in rows if "without" not in row["load"]]
        for quantile, style in (("p50_ms", "-"), ("p99_ms", "--")):
            label = f"{kind} loop, {quantile.removesuffix('_ms')}"
            axes.plot([row["rate"] for row in rows], [row[quantile] for row in rows], style, marker=marker, label=label)
        for row in rows:
            axes.annotate(row["load"].split()[1], (row["rate"], row["p50_ms"]), fontsize=8)
    axes.set_yscale("log")
    axes.set_xlabel("images/s behind Nginx")
    axes.set_ylabel("ms")
    axes.legend(fontsize=8)
    axes.set_title("the service: latency by load (clients, or share of capacity)", fontsize=9)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
