"""Make the fixtures of all targets once, in the bench's folder: weights, model folders, images."""

import os
import shutil
import subprocess
import tomllib
from collections.abc import Collection
from pathlib import Path

from scripts._vendor import tomlkit
from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.bench.commands import free_ports, run_command
from scripts.bench.servers import planned_text
from scripts.bench.targets import ONLY_F32, REFERENCE, SMALL, Fixtures
from scripts.cluster.config import ROOT, load_cluster
from scripts.host.environments import TOOLS
from scripts.runtimes.deployment import plan_here
from scripts.runtimes.run_directory import run_dir
from worker.contract import machine

IMAGES, QUICK_IMAGES = 200, 20
FOLDER, QUICK_FOLDER = "material", "material-quick"
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def prepare_fixtures(folder: Path, photos: Path | None, quick: bool, models: Collection[str]) -> Fixtures:
    """Make the missing fixtures for `models` in `folder`, with the images in `photos` if set; raise CommandError.

    `quick` uses a folder of its own, fewer images, and models added without prepare.
    """
    folder = folder / (QUICK_FOLDER if quick else FOLDER)
    images = photos or _images(folder / "images", QUICK_IMAGES if quick else IMAGES)
    weights = {name: _weights(folder / f"weights/{name}.pth", name) for name in (REFERENCE, SMALL) if name in models}
    folders = {name: _model(folder / "models", name, path, quick) for name, path in weights.items()}
    if ONLY_F32 in models:
        folders[ONLY_F32] = copy_f32_only(folders[REFERENCE], folder / "models" / ONLY_F32)
    cluster = folder / "cluster.toml"
    cluster.write_text(planned_text(folders[REFERENCE], free_ports(1)), encoding="utf-8")
    slots = [worker.slot for worker in plan_here(load_cluster(cluster), run_dir(folder / "run")).plan.workers]
    cpus = frozenset(os.sched_getaffinity(0))
    return Fixtures(
        folders, weights, images, cluster, cpus, [frozenset(slot.cpus) for slot in slots], slots[0].gpu or ""
    )


def check_photos(folder: Path) -> Path:
    """Return `folder` if it holds images and nothing else; raise CommandError otherwise."""
    if not folder.is_dir():
        raise CommandError(f"PHOTOS: {folder}: found no such folder, needed a folder of images: correct the path")
    files = sorted(folder.iterdir())
    needed = f"needed files ending in {', '.join(SUFFIXES)}"
    if other := [file.name for file in files if file.suffix.lower() not in SUFFIXES]:
        raise CommandError(f"PHOTOS: {folder}: found {other[0]}, {needed} and no others")
    if not files:
        raise CommandError(f"PHOTOS: {folder}: found no images, {needed}")
    return folder


def _images(folder: Path, count: int) -> Path:
    if not folder.is_dir():
        step(f"{count} generated images with the statistics of photographs")
        draft = _empty_folder(folder.with_name("images.new"))
        _run_tool("photos", "--count", str(count), "--out", str(draft))
        draft.rename(folder)
    return folder


def _weights(path: Path, architecture: str) -> Path:
    if not path.is_file():
        step(f"weights for {architecture}")
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        _run_tool("network", "--architecture", architecture, "--out", str(draft))
        draft.rename(path)
    return path


def _run_tool(name: str, *arguments: str) -> None:
    """Run a module of the bench in the tools' environment; raise CommandError with the end of its error output."""
    argv = [str(TOOLS.python), "-m", f"scripts.bench.{name}", *arguments]
    process = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    if process.returncode:
        raise CommandError(f"{name}: failed:", *process.stderr.splitlines()[-3:])


def _model(models: Path, name: str, weights: Path, quick: bool) -> Path:
    """Run `make model-add` on the weights; unless `quick`, it prepares and measures them."""
    if not (models / name / "model.toml").is_file():
        step(f"make model-add NAME={name}")
        arguments = ["--models", str(models), "--name", name, "--source", str(weights)]
        arguments += ["--loader", "torchvision", "--architecture", name]
        run_command("model-add", [*arguments, "--prepare", "0"] if quick else arguments)
    return models / name


def _empty_folder(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def copy_f32_only(folder: Path, copy: Path) -> Path:
    """Copy the model folder to `copy`, limited to its fastest f32 engine on this machine; return `copy`."""
    text = (folder / "model.toml").read_text(encoding="utf-8")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy, copy_function=os.link, ignore=shutil.ignore_patterns("model.toml"))
    (copy / "model.toml").write_text(keep_f32_only(text, machine.machine_kind()), encoding="utf-8")
    return copy


def keep_f32_only(text: str, kind: str) -> str:
    """Return model.toml's `text` with the fastest f32 engine measured on this `kind` of machine as its only engine."""
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
