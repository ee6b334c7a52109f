"""Make the fixtures of all targets once, in the bench's folder: images, weights, model folders, expected labels."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.bench.servers import cluster_text, free_ports, run_command, run_pinned, server_environ
from scripts.bench.targets import LARGEST, MIDDLE, PHOTOS, SMALLEST, Fixtures, Target, all_targets
from scripts.cluster.config import ROOT, load_cluster
from scripts.host.environments import SERVE_TORCH, TOOLS
from scripts.runtimes.deployment import plan_here
from scripts.runtimes.run_directory import run_dir

IMAGES, QUICK_IMAGES = {SMALLEST: 80, MIDDLE: 16, LARGEST: 6}, {SMALLEST: 4, LARGEST: 1}
STATISTICS_IMAGES, QUICK_STATISTICS_IMAGES = 48, 8  # for the random weights
GOLDEN = ROOT / "worker/photos/golden"  # what a quick run sends: enlarging takes less time than generating
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def prepare_fixtures(folder: Path, photos: Path | None, quick: bool, names: Sequence[str]) -> Fixtures:
    """Make what the targets called `names` need and `folder` lacks, from `photos` if set; raise CommandError.

    `quick` means fewer images, the golden ones of `photos`, and models added without prepare.
    """
    targets = [target for target in all_targets(1, 1, 1) if target.name in names]
    photos, counts = (photos or GOLDEN, QUICK_IMAGES) if quick else (photos, IMAGES)
    images = {size: _images(folder / "images", size, count, photos) for size, count in counts.items()}
    weights, folders = {}, {PHOTOS: ROOT / "worker/photos"}
    for model in sorted({target.model for target in targets} - {PHOTOS}):
        weights[model] = _weights(folder / f"weights/{model}.pth", model, quick)
        if any(target.model == model and target.has_folder for target in targets):
            folders[model] = _model(folder / "models", model, weights[model], quick)
    cluster = folder / "cluster.toml"
    fixtures = Fixtures(folders, weights, images, frozenset(os.sched_getaffinity(0)), [])
    service = next(target for target in all_targets(1, 1, 1) if target.model == PHOTOS)
    cluster.write_text(cluster_text(service, fixtures, free_ports(1)), encoding="utf-8")
    slots = [worker.slot for worker in plan_here(load_cluster(cluster), run_dir(folder / "run")).plan.workers]
    cpus = [frozenset(slot.cpus) for slot in slots]
    return Fixtures(folders, weights, images, fixtures.cpus, cpus, slots[0].gpu or "")


def expected_labels(fixtures: Fixtures, targets: Sequence[Target]) -> dict[str, dict[str, dict[str, str]]]:
    """Return the label that each target must give to each image, by target, size and path.

    It is the one that the same model folder gives in process, or torch in f32.
    """
    found: dict[tuple[str, bool], dict[str, dict[str, str]]] = {}
    for target in targets:
        key = target.model, target.has_folder
        if key not in found:
            step(f"the expected labels: {target.model}, {'as served' if target.has_folder else 'torch in f32'}")
            folder = fixtures.folders[target.model] if target.has_folder else ""
            found[key] = _in_process("labels", fixtures, target.model, folder, list(fixtures.images))
    return {target.name: found[target.model, target.has_folder] for target in targets}


def agreements(fixtures: Fixtures, model: str) -> dict[str, dict[str, float]]:
    """Return the agreement of scaled with exact decoding in f32, by size of the images."""
    step("the agreement of scaled with exact decoding")
    return _in_process("agreement", fixtures, model, fixtures.folders[model], (SMALLEST, LARGEST))


def _in_process(
    program: str, fixtures: Fixtures, model: str, folder: Path | str, sizes: Sequence[str]
) -> dict[str, Any]:
    argv = [SERVE_TORCH.python, "-m", "scripts.bench.in_process", program, folder, fixtures.gpu, 0]
    argv += [fixtures.images[size] for size in sizes]
    results = json.loads(run_pinned(argv, fixtures.cpus, environ=server_environ(model, fixtures)))
    return dict(zip(sizes, results, strict=True))


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


def _images(folder: Path, size: str, count: int, photos: Path | None) -> Path:
    """Return a folder of images of `size`: all of `photos` as they are, or `count` of them enlarged, or generated."""
    if photos and size == SMALLEST:
        return photos
    out = folder / (f"{size}-enlarged" if photos else size)
    if photos:  # another run may have had other photographs
        shutil.rmtree(out, ignore_errors=True)
    if not out.is_dir():
        step(f"{count} images of {size} megapixels: {'enlarged' if photos else 'generated like photographs'}")
        draft = out.with_name(f"{out.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        _run_tool("photos", size, count, draft, *([photos] if photos else []))
        draft.rename(out)
    return out


def _weights(path: Path, architecture: str, quick: bool) -> Path:
    if not path.is_file():
        step(f"weights for {architecture}")
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        _run_tool("network", architecture, QUICK_STATISTICS_IMAGES if quick else STATISTICS_IMAGES, draft)
        draft.rename(path)
    return path


def _model(models: Path, name: str, weights: Path, quick: bool) -> Path:
    """Run `make model-add` on the weights; unless `quick`, it prepares and measures them."""
    if not (models / name / "model.toml").is_file():
        step(f"make model-add NAME={name}")
        flags = ["--models", models, "--name", name, "--source", weights, "--loader", "torchvision"]
        run_command("model-add", *flags, "--architecture", name, *(["--prepare", 0] if quick else []))
    return models / name


def _run_tool(name: str, *arguments: object) -> None:
    run_pinned([TOOLS.python, "-m", f"scripts.bench.{name}", *arguments], frozenset(os.sched_getaffinity(0)))
