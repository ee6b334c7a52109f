"""What every subject works on, made once and kept in the bench's folder: weights, model folders, images."""

import os
import shutil
import subprocess
import tomllib
from collections.abc import Collection
from pathlib import Path

from scripts._vendor import tomlkit
from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.bench.commands import command, free_ports
from scripts.bench.servers import planned_text
from scripts.bench.targets import ONLY_F32, REFERENCE, SMALL, Material
from scripts.cluster.config import ROOT, load_cluster
from scripts.host.environments import TOOLS
from scripts.runtimes.deployment import plan_here
from scripts.runtimes.run_directory import run_dir
from worker.contract import machine

IMAGES, FEW = 200, 20
WHOLE, QUICK = "material", "material-quick"
KINDS = (".jpg", ".jpeg", ".png", ".webp")


def gather(folder: Path, photos: Path | None, quick: bool, models: Collection[str]) -> Material:
    """All of it for `models`, in `folder`; `photos` is a folder of one's own images. Raises CommandError.

    A `quick` one is kept apart: few images, and models that nothing was prepared or measured of.
    """
    folder = folder / (QUICK if quick else WHOLE)
    images = photos or _images(folder / "images", FEW if quick else IMAGES)
    weights = {name: _weights(folder / f"weights/{name}.pth", name) for name in (REFERENCE, SMALL) if name in models}
    folders = {name: _model(folder / "models", name, path, quick) for name, path in weights.items()}
    if ONLY_F32 in models:
        folders[ONLY_F32] = f32_only(folders[REFERENCE], folder / "models" / ONLY_F32)
    cluster = folder / "cluster.toml"
    cluster.write_text(planned_text(folders[REFERENCE], free_ports(1)), encoding="utf-8")
    slots = [worker.slot for worker in plan_here(load_cluster(cluster), run_dir(folder / "run")).plan.workers]
    cpus = frozenset(os.sched_getaffinity(0))
    return Material(
        folders, weights, images, cluster, cpus, [frozenset(slot.cpus) for slot in slots], slots[0].gpu or ""
    )


def own_photos(folder: Path) -> Path:
    """`folder`, when it holds images and nothing else; raises CommandError."""
    if not folder.is_dir():
        raise CommandError(f"PHOTOS: {folder}: no such folder")
    files = sorted(folder.iterdir())
    if other := [file.name for file in files if file.suffix.lower() not in KINDS]:
        raise CommandError(
            f"PHOTOS: {folder}: found {other[0]}, needed files ending in {', '.join(KINDS)} and no others"
        )
    if not files:
        raise CommandError(f"PHOTOS: {folder}: found no images, needed files ending in {', '.join(KINDS)}")
    return folder


def _images(folder: Path, count: int) -> Path:
    if not folder.is_dir():
        step(f"{count} images with a photograph's statistics")
        draft = _fresh(folder.with_name("images.new"))
        _tool("photos", "--count", str(count), "--out", str(draft))
        draft.rename(folder)
    return folder


def _weights(path: Path, architecture: str) -> Path:
    if not path.is_file():
        step(f"weights for {architecture}")
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        _tool("network", "--architecture", architecture, "--out", str(draft))
        draft.rename(path)
    return path


def _tool(name: str, *arguments: str) -> None:
    """Run a part of the bench in the environment of the model tools; raises CommandError with what it said last."""
    argv = [str(TOOLS.python), "-m", f"scripts.bench.{name}", *arguments]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise CommandError(f"{name}: failed:", *done.stderr.splitlines()[-3:])


def _model(models: Path, name: str, weights: Path, quick: bool) -> Path:
    """`make model-add` on the weights, which prepares and measures them, unless it is to be `quick`."""
    if not (models / name / "model.toml").is_file():
        step(f"make model-add NAME={name}")
        source = (
            "--source",
            str(weights),
            "--loader",
            "torchvision",
            "--architecture",
            name,
            *(["--prepare", "0"] if quick else []),
        )
        command("model-add", ("--models", str(models), "--name", name, *source))
    return models / name


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def f32_only(folder: Path, copy: Path) -> Path:
    """`copy`, made from the model folder as a machine would serve it whose fastest engines do f32 and nothing else."""
    text = (folder / "model.toml").read_text(encoding="utf-8")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy, copy_function=os.link, ignore=shutil.ignore_patterns("model.toml"))
    (copy / "model.toml").write_text(without_others(text, machine.kind()), encoding="utf-8")
    return copy


def without_others(text: str, kind: str) -> str:
    """model.toml's `text` with the fastest f32 engine that was measured on this `kind` of machine as the only one."""
    engine = tomllib.loads(text)["engine"]
    rows = [row for row in engine.get("measured", []) if row["machine"] == kind and row["precision"] == "f32"]
    best = max(rows, key=lambda row: row["images_per_s"], default={**engine, "engine": engine["name"]})
    document = tomlkit.parse(text)
    document["engine"] = {
        "name": best["engine"],
        "precision": "f32",
        "batch_sizes": best["batch_sizes"],
        **({"prepared": engine["prepared"]} if "prepared" in engine else {}),
    }
    return str(tomlkit.dumps(document))
