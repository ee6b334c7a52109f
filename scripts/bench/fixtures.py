"""Make the input of all targets once, in the bench's folder: images, weights, model folders, expected labels."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts._vendor import tomlkit
from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.bench.programs import Cpus, call, run_command
from scripts.bench.targets import PHOTOS, SMALLEST, Scale, Target
from scripts.cluster.config import ROOT, load_cluster
from scripts.host.environments import SERVE_TORCH, TOOLS
from scripts.runtimes.deployment import plan_here
from scripts.runtimes.run_directory import run_dir
from worker.contract.settings import offline_variables

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class Fixtures:
    """The input of every target: model folders and weights by name, folders of images by size, the CPUs of each worker.

    `gpu` is the UUID of the first worker's GPU, or "".
    """

    folders: Mapping[str, Path]
    weights: Mapping[str, Path]
    images: Mapping[str, Path]
    cpus: Cpus
    slots: Sequence[Cpus]
    gpu: str = ""

    def server_cpus(self, target: Target) -> Cpus:
        return self.slots[0] if target.one_slot else self.cpus

    def client_cpus(self, target: Target) -> Cpus:
        """Return the CPUs outside the first slot if `target` is pinned to it and leaves any; all of them otherwise."""
        return (target.one_slot and self.cpus - self.slots[0]) or self.cpus

    def environ(self, model: str) -> dict[str, str]:
        """Return a server's environment: its settings and, of the caller's environment, only PATH and HOME."""
        system = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "BENTOML_DO_NOT_TRACK": "True"}
        files = {"WEIGHTS": self.weights.get(model, ""), "FOLDER": self.folders.get(model, ""), "ARCHITECTURE": model}
        return system | offline_variables() | {f"BENCH_{name}": str(value) for name, value in files.items()}


def prepare_fixtures(folder: Path, photos: Path | None, scale: Scale, targets: Sequence[Target]) -> Fixtures:
    """Make what `targets` need and `folder` lacks, with images made of `photos` if set; raise CommandError."""
    images = {size: _images(folder / "images", size, count, photos) for size, count in scale.images.items()}
    weights, folders = {}, {PHOTOS: ROOT / "worker/photos"}
    for model in sorted({target.model for target in targets} - {PHOTOS}):
        weights[model] = _once(folder / f"weights/{model}.pth", "network:write", model, scale.statistics)
        if any(target.model == model and target.has_folder for target in targets):
            folders[model] = _model(folder / "models", model, weights[model], scale.prepare)
    cluster = folder / "cluster.toml"
    models = [{"name": "bench", "folder": str(folders[PHOTOS])}]
    cluster.write_text(tomlkit.dumps({"models": models}), encoding="utf-8")
    slots = [worker.slot for worker in plan_here(load_cluster(cluster), run_dir(folder / "run")).plan.workers]
    cpus = [frozenset(slot.cpus) for slot in slots]
    return Fixtures(folders, weights, images, frozenset(os.sched_getaffinity(0)), cpus, slots[0].gpu or "")


def expected_labels(fixtures: Fixtures, targets: Sequence[Target]) -> dict[str, dict[str, dict[str, str]]]:
    """Return the label that each target must give to each image, by target, size and path.

    It is the one that the same model folder gives in process, or torch in f32.
    """
    labels: dict[tuple[str, bool], dict[str, dict[str, str]]] = {}
    for model, ours in sorted({(target.model, target.has_folder) for target in targets}):
        step(f"the expected labels: {model}, {'as served' if ours else 'torch in f32'}")
        labels[model, ours] = in_process("labels" if ours else "torch_labels", fixtures, fixtures.cpus, model)
    return {target.name: labels[target.model, target.has_folder] for target in targets}


def in_process(function: str, fixtures: Fixtures, cpus: Cpus, model: str, *more: object) -> dict[str, Any]:
    """Return the results of a function of in_process.py by size of the images."""
    settings = (fixtures.folders.get(model, ""), fixtures.gpu, fixtures.images, *more)
    environ, function = fixtures.environ(model), f"in_process:{function}"
    results: dict[str, Any] = call(SERVE_TORCH.python, cpus, function, *settings, environ=environ)
    return results


def check_photos(folder: Path) -> Path:
    """Return `folder` if it holds images and nothing else; raise CommandError otherwise."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    others = [file.name for file in files if file.suffix.lower() not in SUFFIXES]
    if others or not files:
        found, needed = others[0] if others else "no images", ", ".join(SUFFIXES)
        raise CommandError(
            f"PHOTOS: {folder}: found {found}, needed a folder of files ending in {needed}, and no others"
        )
    return folder


def _images(folder: Path, size: str, count: int, photos: Path | None) -> Path:
    """Return a folder of images of `size`: all of `photos` as they are, or `count` of them enlarged, or generated."""
    if not photos:
        return _once(folder / size, "photos:write", size, count)
    if size == SMALLEST:
        return photos
    shutil.rmtree(folder / f"{size}-enlarged", ignore_errors=True)  # another run may have had other photographs
    return _once(folder / f"{size}-enlarged", "photos:write", size, count, photos)


def _model(models: Path, name: str, weights: Path, prepare: bool) -> Path:
    """Run `make model-add` on the weights unless it has run."""
    if not (models / name / "model.toml").is_file():
        step(f"make model-add NAME={name}")
        flags = ["--models", models, "--name", name, "--source", weights, "--loader", "torchvision"]
        run_command("model-add", *flags, "--architecture", name, *([] if prepare else ["--prepare", 0]))
    return models / name


def _once(path: Path, function: str, *arguments: object) -> Path:
    """Return `path`, which `function` makes under another name if it is missing, so that it is never half there."""
    if not path.exists():
        step(f"{path.parent.name}/{path.name}")
        draft = path.with_name(f"{path.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        call(TOOLS.python, frozenset(os.sched_getaffinity(0)), function, draft, *arguments)
        draft.rename(path)
    return path
